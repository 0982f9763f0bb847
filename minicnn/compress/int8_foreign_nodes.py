"""Rows for operations that our networks never have and files of other exporters may."""

from __future__ import annotations

import numpy as np

from minicnn.compress.int8_nodes import Row, Step, activations, blank, convolution, ends_of
from minicnn.compress.int8_scales import limits, scale_of, zero_of
from minicnn.graph import Graph, Node
from minicnn.kernels import int8_foreign
from minicnn.kernels.fixed_point import quantize_multiplier


def _add(graph: Graph, node: Node, rules: str) -> Step:
    """Two inputs of one shape; PrepareGeneral8BitAddOp of add.cc."""
    a, b = activations(graph, node)
    y = graph.tensors[node.output]
    if a.shape != b.shape:
        raise ValueError(f"{node.path}: adds {a.shape} and {b.shape}, wanted equal shapes")
    twice = 2 * max(float(scale_of(a)), float(scale_of(b)))
    a_factor, b_factor = (quantize_multiplier(float(scale_of(t)) / twice) for t in (a, b))
    y_factor = quantize_multiplier(twice / (2**20 * float(scale_of(y))))
    ends = limits(y, node.attrs.get("activation", "NONE"))

    def step(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        filled = blank(y, len(first))
        terms = first.reshape(-1), zero_of(a), a_factor, second.reshape(-1), zero_of(b), b_factor
        int8_foreign.add(*terms, y_factor, zero_of(y), *ends, filled.reshape(-1))
        return filled

    return step


def _mean(graph: Graph, node: Node, rules: str) -> Step:
    """Over the pixels only; EvalMean of reduce.cc."""
    x, y = ends_of(graph, node)
    axes = sorted(int(axis) % len(x.shape) for axis in graph.data(node.inputs[1]).reshape(-1))
    if len(x.shape) != 4 or axes != [1, 2]:
        raise ValueError(f"{node.path}: MEAN over axes {axes} of {x.shape}, wanted [1, 2] of NHWC")
    scale = quantize_multiplier(float(scale_of(x)) / float(scale_of(y)))
    scale = int8_foreign.mean_multiplier(*scale, x.shape[1] * x.shape[2])

    def step(values: np.ndarray) -> np.ndarray:
        filled = blank(y, len(values))
        int8_foreign.mean(values, zero_of(x), *scale, zero_of(y), filled.reshape(len(values), -1))
        return filled

    return step


def _pad(graph: Graph, node: Node, rules: str) -> Step:
    x, _ = ends_of(graph, node)
    around = graph.data(node.inputs[1]).tolist()
    return lambda values: np.pad(values, around, constant_values=zero_of(x))


FOREIGN_ROWS: dict[str, Row] = {
    "ADD": _add,
    "DEPTHWISE_CONV_2D": convolution(int8_foreign.depthwise_conv2d, out_axis=3),
    "MEAN": _mean,
    "PAD": _pad,
}
