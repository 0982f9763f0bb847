"""Rules that hold for the tensors of any operation: type, shape, size, quantization."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from exporters.edgetpu.operands import (
    FLOATS,
    LOWEST_SCALE,
    QUANTIZED,
    data_numbers,
    data_tensors,
    parameters,
)
from exporters.edgetpu.rules import Finding
from minicnn.graph import Graph, Node, Tensor

LARGEST_ACTIVATION = 8 * 2**20  # bytes: as much as the chip's whole memory
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")  # their input and output differ in type


def tensors(graph: Graph, node: Node, seen: set[int]) -> Iterator[Finding]:
    """Findings for a node's data tensors that are not in ``seen``, which grows by them."""
    for number in data_numbers(graph, node):
        if number in seen:
            continue
        seen.add(number)
        tensor = graph.tensors[number]
        if not _float_end(graph, node, number):
            yield from _type(node, tensor)
        if tensor.data is None:
            yield from _static(tensor)
            yield from _rank(tensor)
            yield from _size(tensor)
        if tensor.dtype in QUANTIZED:
            yield from _quantization(tensor)
    yield from _one_type(graph, node)
    for tensor in parameters(graph, node):
        if tensor.data is None:
            wanted = "a constant, so that every size is known beforehand"
            problem = f"an input of {node.op}, {tensor.name}, is computed while it runs"
            yield Finding("static-shape", node.path, problem, wanted)


def is_float_end(graph: Graph, node: Node) -> bool:
    """Whether a node only turns the graph's own float input or output into integers or back."""
    return any(_float_end(graph, node, number) for number in (*node.inputs, *node.outputs))


def is_quantized(graph: Graph) -> bool:
    """Whether anything but QUANTIZE and DEQUANTIZE computes with 8-bit integers."""
    nodes = [node for node in graph.nodes if node.op not in CONVERSIONS] or graph.nodes
    return any(t.dtype in QUANTIZED for node in nodes for t in data_tensors(graph, node))


def _float_end(graph: Graph, node: Node, number: int) -> bool:
    if number < 0 or graph.tensors[number].dtype not in FLOATS:
        return False
    if node.op == "QUANTIZE":
        return number in node.inputs and number in graph.inputs
    return node.op == "DEQUANTIZE" and number in node.outputs and number in graph.outputs


def _type(node: Node, tensor: Tensor) -> Iterator[Finding]:
    if tensor.dtype in QUANTIZED:
        return
    rule = "float-tensor" if tensor.dtype in FLOATS else "data-type"
    wanted = "int8 or uint8, with floats only at the ends, behind QUANTIZE and DEQUANTIZE"
    yield Finding(rule, node.path, f"{tensor.name} is {tensor.dtype}", wanted)


def _one_type(graph: Graph, node: Node) -> Iterator[Finding]:
    if node.op in CONVERSIONS:
        return
    types = {t.dtype for t in data_tensors(graph, node)} & set(QUANTIZED)
    if len(types) > 1:
        problem = f"inputs and outputs are {' and '.join(sorted(types))}"
        yield Finding("mixed-types", node.path, problem, "one type, with a QUANTIZE in between")


def _static(tensor: Tensor) -> Iterator[Finding]:
    if min(tensor.shape, default=1) < 1:
        yield Finding("static-shape", tensor.name, f"has the shape {tensor.shape}", "fixed sizes")
        return
    signature = tensor.signature or ()
    if min(signature, default=1) >= 1:
        return
    problem = f"has the shape_signature {signature}, -1 for sizes that may change"
    vector = len(signature) == 2 and signature[1] >= 1
    rule = "dynamic-batch" if vector else "static-shape"
    yield Finding(rule, tensor.name, problem, "fixed sizes: convert with a batch of 1")


def _rank(tensor: Tensor) -> Iterator[Finding]:
    outer = tensor.shape[:-3]
    if max(outer, default=1) > 1:
        rule = "batch" if len(tensor.shape) == 4 else "rank"
        wanted = "1 in all but the last three dimensions (one image at a time)"
        yield Finding(rule, tensor.name, f"has the shape {tensor.shape}", wanted)


def _size(tensor: Tensor) -> Iterator[Finding]:
    size = math.prod(tensor.shape)
    if size > LARGEST_ACTIVATION and tensor.dtype in QUANTIZED:
        problem = f"takes {size / 2**20:.1f} MiB, more than all memory on the chip"
        yield Finding("activation-size", tensor.name, problem, "a smaller image or fewer channels")


def _quantization(tensor: Tensor) -> Iterator[Finding]:
    scale, zero_point = tensor.scale, tensor.zero_point
    if scale is None or zero_point is None or not len(scale):
        problem = f"is {tensor.dtype} without scale and zero point"
        yield Finding("quantization-missing", tensor.name, problem, "one scale and one zero point")
        return
    if len(scale) != 1:
        problem = f"is no weight, yet has {len(scale)} scales"
        yield Finding("activation-per-channel", tensor.name, problem, "one scale")
    if len(zero_point) != len(scale):
        problem = f"has {len(zero_point)} zero points for {len(scale)} scales"
        yield Finding("zero-point-length", tensor.name, problem, "one for each scale")
    if not (np.isfinite(scale).all() and (scale >= LOWEST_SCALE).all()):
        worst = float(scale[np.nanargmin(scale)]) if not np.isnan(scale).all() else math.nan
        wanted = f"finite and at least {LOWEST_SCALE:.1e} (calibrate on other images)"
        yield Finding("activation-scale", tensor.name, f"has the scale {worst:g}", wanted)
    low, high = QUANTIZED[tensor.dtype]
    if len(zero_point) and not (low <= zero_point.min() and zero_point.max() <= high):
        problem = f"is {tensor.dtype} with the zero point {zero_point[0]}"
        yield Finding("zero-point-range", tensor.name, problem, f"one in [{low}, {high}]")
