"""The Edge TPU check of single operations and of containers; every rule has a test."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import small_int8
from edgetpu_changes import first, operand, output
from edgetpu_mutations import MUTATIONS
from small_int8 import chain

from exporters import edgetpu
from exporters.container import Buffer, OperatorCode, TensorFacts
from exporters.edgetpu.rules import RULES, WARNING
from exporters.edgetpu.versions import VERSIONS
from minicnn.graph import Graph, Node, Tensor


def rules(graph: Graph) -> set[str]:
    return {finding.rule for finding in edgetpu.check(small_int8.as_file(graph)).findings}


def _concat_with(data: np.ndarray) -> Graph:
    graph = chain("CONCATENATION", (1, 4, 4, 8), (1, 4, 4, 16), axis=3)
    constant = copy.copy(graph.tensors[graph.inputs[0]])
    constant.name, constant.data = "constant", data
    number = graph.new_tensor(constant)
    node = graph.nodes[0]
    graph.nodes[0] = dataclasses.replace(node, inputs=(*node.inputs, number))
    return graph


def _dense(rows: int, scales: int) -> Graph:
    m = small_int8.Maker()
    m.graph.inputs = [m.activation("x", (rows, 16), small_int8.OUT, "int8")]
    x = m.graph.inputs[0]
    m.graph.outputs = [m.weighted("FULLY_CONNECTED", "y", x, (7, 16), (rows, 7))]
    for position in (1, 2):
        tensor = operand(m.graph, "FULLY_CONNECTED", position)
        assert tensor.scale is not None
        tensor.scale, tensor.zero_point = np.repeat(tensor.scale, scales), np.zeros(scales, int)
    return m.graph


SHAPE = (1, 4, 4, 8)
TANH = (1 / 128, 0)
CHAINS: dict[str, tuple[str | None, Graph]] = {
    "tanh": (None, chain("TANH", SHAPE, SHAPE, TANH)),
    "tanh's scale": ("fixed-scale", chain("TANH", SHAPE, SHAPE, (1 / 256, 0))),
    "mean of columns": (None, chain("MEAN", SHAPE, (1, 1, 1, 8), constants=(np.array([1, 2]),))),
    "mean of channels": (None, chain("MEAN", SHAPE, (1, 4, 4), constants=(np.array([-1]),))),
    "mean of 6 channels": (
        "mean-channels",
        chain("MEAN", (1, 4, 4, 6), (1, 4, 4), constants=(np.array([3]),)),
    ),
    "sum of images": ("batch-axis", chain("SUM", SHAPE, (4, 4, 8), constants=(np.array([0]),))),
    "squeezed in front": (None, chain("SQUEEZE", (1, 1, 5, 8), (5, 8))),
    "squeezed inside": ("squeeze-layout", chain("SQUEEZE", (1, 5, 1, 8), (5, 8))),
    "slice": (
        None,
        chain(
            "STRIDED_SLICE", SHAPE, (1, 2, 2, 8), constants=(np.zeros(4), np.ones(4), np.ones(4))
        ),
    ),
    "every second row": (
        "slice-strides",
        chain(
            *("STRIDED_SLICE", SHAPE, (1, 2, 4, 8)),
            constants=(np.zeros(4), np.ones(4), np.array([1, 2, 1, 1])),
        ),
    ),
    "resized": (
        None,
        chain("RESIZE_BILINEAR", SHAPE, (1, 8, 8, 8), constants=(np.array([8, 8]),)),
    ),
    "resized to another scale": (
        "copy-scales",
        chain("RESIZE_BILINEAR", SHAPE, (1, 8, 8, 8), (0.2, 3), (np.array([8, 8]),)),
    ),
    "concatenated zeros": (None, _concat_with(np.full(SHAPE, 3, np.int8))),
    "a concatenated constant": ("concat-constant", _concat_with(np.zeros(SHAPE, np.int8))),
    "a dense layer": (None, _dense(1, 1)),
    "two rows of a dense layer": ("dense-output", _dense(2, 1)),
    "a dense layer per channel": ("dense-per-channel", _dense(1, 7)),
    "an operation Coral lacks": ("op-unknown", chain("ELU", SHAPE, SHAPE)),
    "an operation of today": ("op-too-new", chain("GELU", SHAPE, SHAPE)),
    "an operation of tomorrow": ("op-too-new", chain("BUILTIN:999", SHAPE, SHAPE)),
    "a custom operation": ("custom-op", chain("CUSTOM:MyOp", SHAPE, SHAPE)),
    "a compiled model": ("already-compiled", chain("CUSTOM:edgetpu-custom-op", SHAPE, SHAPE)),
    "a softmax too long": (
        "softmax-input",
        chain("SOFTMAX", (1, 16_001), (1, 16_001), small_int8.SOFTMAX),
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_single_operations(name: str) -> None:
    rule, graph = CHAINS[name]
    assert rules(graph) == ({rule} if rule else set())


def _facts(**changed: object) -> list[TensorFacts]:
    return [dataclasses.replace(TensorFacts(0), **changed)]  # type: ignore[arg-type]


CONTAINERS: dict[str, dict[str, object]] = {
    "identifier": {"content": b"\x1c\x00\x00\x00TFL2"},
    "schema-version": {"version": 2},
    "subgraphs": {"subgraphs": 2},
    "buffer-zero": {"buffers": [Buffer(100, 4)]},
    "builtin-codes": {"codes": [OperatorCode("CONV_2D", 3, 4, 3)]},
    "no-operations": {"graph": Graph()},
    "sparse-tensor": {"tensors": _facts(sparse=True)},
    "quantization-kind": {"tensors": _facts(quantization="CustomQuantization")},
}


@pytest.mark.parametrize("rule", CONTAINERS)
def test_containers(rule: str) -> None:
    file = dataclasses.replace(small_int8.as_file(small_int8.net()), **CONTAINERS[rule])  # type: ignore[arg-type]
    verdict = edgetpu.check(file)
    assert {finding.rule for finding in verdict.findings} == {rule}
    assert verdict.mapped == (RULES[rule].severity == WARNING)


def test_operands_that_are_missing() -> None:
    graph = small_int8.net()
    node = first(graph, "CONV_2D")
    graph.nodes[2:] = [dataclasses.replace(node, inputs=(node.inputs[0],))]
    graph.nodes[1] = dataclasses.replace(node, outputs=())
    assert rules(graph) == {"op-operands"}


def test_every_rule_has_a_test() -> None:
    in_net = {node.op for node in small_int8.net().nodes}
    tested = {mutation.rule for mutation in MUTATIONS.values() if mutation.op in in_net}
    tested |= {rule for rule, _ in CHAINS.values() if rule} | set(CONTAINERS)
    assert set(RULES) - tested == {"not-quantized", "op-operands", "parameters-size"}
    # which test_edgetpu.py and test_operands_that_are_missing have


def test_whatever_the_operands_are_nothing_breaks() -> None:
    rng = np.random.default_rng(0)
    shapes = ((), (1,), (1, 7), (1, 4, 4), (1, 4, 4, 8), (1, 1, 2, 1, 3), (0, 3), (1, -1, 2))
    for op in (*VERSIONS, "ELU", "CUSTOM:a"):
        for _ in range(100):
            graph = Graph()
            for number in range(6):
                shape = shapes[rng.integers(len(shapes))]
                dtype = ("int8", "uint8", "int32", "float32")[rng.integers(4)]
                tensor = Tensor(f"t{number}", shape, dtype)
                if rng.random() < 0.5 and min(shape, default=1) > 0:
                    tensor.data = np.ones(shape, dtype)
                if rng.random() < 0.7:
                    tensor.scale = rng.uniform(0, 0.1, rng.integers(3)).astype(np.float32)
                    tensor.zero_point = rng.integers(-128, 300, rng.integers(3))
                graph.tensors.append(tensor)
            operands = rng.integers(-1, 6, rng.integers(5)).tolist()
            results = rng.integers(-1, 6, rng.integers(3)).tolist()
            graph.nodes.append(Node(op, tuple(operands), tuple(results), "node"))
            edgetpu.report_text(edgetpu.check(small_int8.as_file(graph)))


def test_the_output_of_a_softmax_is_told_by_type() -> None:
    graph = chain("SOFTMAX", (1, 7), (1, 7), (1 / 256, 0))
    assert rules(graph) == {"softmax-zero-point"}
    for tensor in graph.tensors:
        tensor.dtype = "uint8"
    assert rules(graph) == set()
    output(graph, "SOFTMAX").zero_point = np.array([128])
    assert rules(graph) == {"softmax-zero-point"}
