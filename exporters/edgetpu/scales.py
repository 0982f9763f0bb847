"""Rules for operations whose output's scale and zero point depend on the inputs', or are fixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from exporters.edgetpu.operands import QUANTIZED, data_tensors, scale_of, zero_point_of
from exporters.edgetpu.rules import Finding
from minicnn.graph import Graph, Node, Tensor

Rule = Callable[[Graph, Node], Iterator[Finding]]
# Scale of the output, zero points of int8 and of uint8 (softmax.cc, activations.cc, l2norm.cc).
FIXED: dict[str, tuple[float, int, int]] = {
    "SOFTMAX": (1 / 256, -128, 0),
    "LOGISTIC": (1 / 256, -128, 0),
    "TANH": (1 / 128, 0, 128),
    "L2_NORMALIZATION": (1 / 128, 0, 128),
}


def same_scales(rule: str) -> Rule:
    """A rule for operations that copy or compare stored values."""

    def check(graph: Graph, node: Node) -> Iterator[Finding]:
        y = graph.tensors[node.output]
        for x in data_tensors(graph, node)[:-1]:
            if _differ(scale_of(x), scale_of(y)) or _differ(zero_point_of(x), zero_point_of(y)):
                problem = f"{_stored(x)} goes in, {_stored(y)} comes out"
                yield Finding(rule, node.path, problem, "one scale and zero point for both")

    return check


def _differ(a: object, b: object) -> bool:
    """Whether two values differ; what is broken by itself (None) is another rule's to say."""
    return a is not None and b is not None and a != b


def _stored(tensor: Tensor) -> str:
    scale, zero_point = scale_of(tensor), zero_point_of(tensor)
    return f"{tensor.name} ({float(scale or math.nan):.9g}, {zero_point})"


def concatenation(graph: Graph, node: Node) -> Iterator[Finding]:
    """The int8 kernel copies; the uint8 one requantizes."""
    *inputs, y = data_tensors(graph, node)
    for x in inputs:
        if x.data is not None and (len(inputs) != 2 or np.any(x.data != (zero_point_of(x) or 0))):
            problem = f"{x.name} is a constant among {len(inputs)} inputs"
            wanted = "constants only as zeros, beside one other input"
            yield Finding("concat-constant", node.path, problem, wanted)
        if y.dtype != "int8":
            continue
        problem = f"{_stored(x)} goes in, {_stored(y)} comes out"
        if _differ(scale_of(x), scale_of(y)):
            yield Finding("concat-scales", node.path, problem, "the output's scale for every input")
        if _differ(zero_point_of(x), zero_point_of(y)):
            wanted = "the output's zero point for every input"
            yield Finding("concat-zero-points", node.path, problem, wanted)


def fixed(graph: Graph, node: Node) -> Iterator[Finding]:
    """Operations with one possible output quantization, as ``FIXED`` has it."""
    wanted, *zero_points = FIXED[node.op]
    y = graph.tensors[node.output]
    scale, zero_point = scale_of(y), zero_point_of(y)
    prefix = "softmax" if node.op == "SOFTMAX" else "fixed"
    if _differ(scale, wanted):
        problem = f"{node.op} gives {y.name} the scale {scale:.9g}"
        yield Finding(f"{prefix}-scale", node.path, problem, f"1/{1 / wanted:.0f}")
    if y.dtype in QUANTIZED and _differ(zero_point, zero_points[y.dtype == "uint8"]):
        problem = f"{node.op} gives {y.name} the zero point {zero_point}"
        right = f"{zero_points[y.dtype == 'uint8']}, in {y.dtype}"
        yield Finding(f"{prefix}-zero-point", node.path, problem, right)
