"""Legacy uint8 files: the type, not the name, decides which rules are looser."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import small_int8
from edgetpu_changes import operand, output, without_bias

from exporters import edgetpu
from minicnn.graph import Graph


def legacy() -> Graph:
    """uint8 in, a convolution, a concatenation, a dense layer, softmax: one scale per tensor."""
    m = small_int8.Maker()
    x = m.activation("x", (1, 8, 8, 3), (1 / 128, 128), "uint8")
    m.graph.inputs = [x]
    attrs = {"dtype": "uint8", **small_int8.conv()}
    a = m.weighted("CONV_2D", "a", x, (8, 3, 3, 3), (1, 8, 8, 8), (0.05, 0), **attrs)
    b = m.weighted("CONV_2D", "b", x, (8, 1, 1, 3), (1, 8, 8, 8), (0.07, 10), **attrs)
    x = m.node("CONCATENATION", "both", [a, b], (1, 8, 8, 16), (0.07, 4), "uint8", axis=3)
    shape = m.constant("flat/shape", np.int32([1, 1024]))
    x = m.node("RESHAPE", "flat", [x, shape], (1, 1024), (0.07, 4), "uint8")
    x = m.weighted("FULLY_CONNECTED", "dense", x, (7, 1024), (1, 7), (0.1, 99), dtype="uint8")
    x = m.node("SOFTMAX", "softmax", [x], (1, 7), (1 / 256, 0), "uint8", beta=1.0)
    m.graph.outputs = [x]
    for node in m.graph.nodes:
        if node.path in ("a", "b", "dense"):
            _one_scale(m.graph, node.inputs)
    return m.graph


def _one_scale(graph: Graph, inputs: tuple[int, ...]) -> None:
    x, w, b = (graph.tensors[number] for number in inputs)
    assert x.scale is not None and w.data is not None
    w.dtype, w.data = "uint8", (w.data.astype(np.int16) + 128).astype(np.uint8)
    w.scale, w.zero_point = np.float32([0.005]), np.array([157])
    b.scale, b.zero_point = x.scale * w.scale * np.float32(1.015), np.array([0])


def rules(graph: Graph) -> set[str]:
    return {finding.rule for finding in edgetpu.check(small_int8.written(graph)).findings}


def test_uint8_is_allowed_what_int8_is_not() -> None:
    verdict = edgetpu.check(small_int8.written(legacy()))
    assert not verdict.findings
    assert verdict.mapped


def _bias_off(graph: Graph) -> None:
    bias = operand(graph, "CONV_2D", 2)
    assert bias.scale is not None
    bias.scale = bias.scale * np.float32(1.01)


def _two_scales(graph: Graph) -> None:
    weights = operand(graph, "CONV_2D", 1)
    weights.scale, weights.zero_point = np.full(8, 0.005, np.float32), np.full(8, 157)
    bias = operand(graph, "CONV_2D", 2)
    assert bias.scale is not None
    bias.scale, bias.zero_point = np.repeat(bias.scale, 8), np.zeros(8, np.int64)


def _softmax(graph: Graph) -> None:
    output(graph, "SOFTMAX").scale = np.float32([1 / 255])


def _int8_weights(graph: Graph) -> None:
    weights = operand(graph, "CONV_2D", 1)
    assert weights.data is not None
    weights.dtype, weights.data = "int8", weights.data.view(np.int8)


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("bias-scale", _bias_off),
        ("weight-scale-count", _two_scales),
        ("softmax-scale", _softmax),
        ("weight-type", _int8_weights),
        ("bias-missing", without_bias("CONV_2D")),
    ],
)
def test_but_not_everything(rule: str, change: Callable[[Graph], None]) -> None:
    graph = legacy()
    change(graph)
    assert rules(graph) == {rule}


@pytest.mark.parametrize("graph", [legacy(), small_int8.net()])
def test_a_dense_layer_needs_no_bias(graph: Graph) -> None:
    without_bias("FULLY_CONNECTED")(graph)
    assert rules(graph) == set()
