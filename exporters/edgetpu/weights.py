"""Rules for weights and biases of convolutions and dense layers.

The type decides how strict they are: int8 follows TFLite's quantization specification; legacy uint8
files have one scale and any zero point for all weights, and bias scales that are nearly right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from exporters.edgetpu.operands import WEIGHTED, Weighted, operand, scale_of
from exporters.edgetpu.rules import Finding
from minicnn.graph import Graph, Node, Tensor

NEEDS_BIAS = ("CONV_2D", "DEPTHWISE_CONV_2D")
# Relative: TFLite 2.1 refuses more in int8 (tensorflow 41069); legacy converters were this far off.
BIAS_TOLERANCE = {"int8": 1e-6, "uint8": 0.02}
LARGEST_BIAS = 2**30 + 2**20  # converters clamp to 2**30, as a float32


def weights(graph: Graph, node: Node) -> Iterator[Finding]:
    """Findings for the weights and the bias of a node of ``WEIGHTED``."""
    places = WEIGHTED[node.op]
    x, w, b = (operand(graph, node, at) for at in (places.x, places.w, places.b))
    if x is None or w is None:
        yield Finding("op-operands", node.path, f"{node.op} lacks a tensor", "input and weights")
        return
    for tensor in (w, b):
        if tensor is not None and tensor.data is None:
            problem = f"{tensor.name} is computed while it runs"
            yield Finding("not-constant", node.path, problem, "constant weights and biases")
    if w.dtype != x.dtype and x.dtype in BIAS_TOLERANCE:
        problem = f"is {w.dtype}, the input {x.dtype}"
        yield Finding("weight-type", w.name, problem, "weights of the input's type")
        return
    if x.dtype in BIAS_TOLERANCE:
        yield from _shape(node, x, w, graph.tensors[node.output])
        yield from _values(places, w)
        yield from _bias(node, x, w, b, graph.tensors[node.output])


def _wanted_conv(x: Tensor, y: Tensor) -> tuple[int | None, ...]:
    return (y.shape[-1], None, None, x.shape[-1])


def _wanted_depthwise(x: Tensor, y: Tensor) -> tuple[int | None, ...]:
    return (1, None, None, y.shape[-1])


def _wanted_dense(x: Tensor, y: Tensor) -> tuple[int | None, ...]:
    return (y.shape[-1], None)


WANTED_SHAPE: dict[str, Callable[[Tensor, Tensor], tuple[int | None, ...]]] = {
    "CONV_2D": _wanted_conv,
    "DEPTHWISE_CONV_2D": _wanted_depthwise,
    "FULLY_CONNECTED": _wanted_dense,
    "TRANSPOSE_CONV": _wanted_conv,
}


def _shape(node: Node, x: Tensor, w: Tensor, y: Tensor) -> Iterator[Finding]:
    ranks = {len(x.shape), len(y.shape)}
    if 0 in ranks or (node.op != "FULLY_CONNECTED" and ranks != {4}):
        problem = f"lies between {x.shape} and {y.shape}"
        yield Finding("weight-shape", w.name, problem, "N x H x W x C in and out")
        return
    wanted = WANTED_SHAPE[node.op](x, y)
    pairs = zip(w.shape, wanted, strict=False)
    if len(w.shape) != len(wanted) or any(n not in (None, size) for size, n in pairs):
        names = " x ".join("any" if size is None else str(size) for size in wanted)
        problem = f"has the shape {w.shape} between {x.shape} and {y.shape}"
        yield Finding("weight-shape", w.name, problem, names)


def _values(places: Weighted, w: Tensor) -> Iterator[Finding]:
    scale, zero_point = w.scale, w.zero_point
    if scale is None or zero_point is None or not len(scale):
        problem = f"is {w.dtype} without scale and zero point"
        yield Finding("quantization-missing", w.name, problem, "a scale for each channel, or one")
        return
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        problem = "has a scale that is 0, negative or no number"
        yield Finding("weight-scale", w.name, problem, "finite scales above 0")
    if len(zero_point) != len(scale):
        problem = f"has {len(zero_point)} zero points for {len(scale)} scales"
        yield Finding("zero-point-length", w.name, problem, "one for each scale")
    if w.dtype == "int8":
        yield from _int8_values(w, zero_point)
    yield from _channels(places, w, len(scale))


def _int8_values(w: Tensor, zero_point: np.ndarray) -> Iterator[Finding]:
    if np.any(zero_point != 0):
        wrong = int(zero_point[zero_point != 0][0])
        yield Finding("weight-zero-point", w.name, f"has the zero point {wrong}", "0, in int8")
    if w.data is not None and (count := int((w.data == -128).sum())):
        problem = f"{count} of {w.data.size:,} weights are -128"
        yield Finding("weight-minus-128", w.name, problem, "-127 to 127")


def _channels(places: Weighted, w: Tensor, scales: int) -> Iterator[Finding]:
    if scales == 1:
        return
    if w.dtype == "uint8":
        yield Finding("weight-scale-count", w.name, f"is uint8 with {scales} scales", "one scale")
    elif w.axis != places.axis:
        problem = f"has its {scales} scales along dimension {w.axis}"
        yield Finding("quantized-dimension", w.name, problem, f"dimension {places.axis}")
    elif len(w.shape) > places.axis and scales != w.shape[places.axis]:
        problem = f"has {scales} scales for {w.shape[places.axis]} channels"
        yield Finding("weight-scale-count", w.name, problem, "one for each channel, or one for all")


def _bias(node: Node, x: Tensor, w: Tensor, b: Tensor | None, y: Tensor) -> Iterator[Finding]:
    if b is None:
        if node.op in NEEDS_BIAS:
            wanted = "a bias, if only of zeros"
            yield Finding("bias-missing", node.path, f"{node.op} has no bias", wanted)
        return
    if b.dtype != "int32":
        yield Finding("bias-type", b.name, f"is {b.dtype}", "int32")
        return
    if y.shape and math.prod(b.shape) != y.shape[-1]:
        problem = f"has the shape {b.shape} for {y.shape[-1]} channels"
        yield Finding("bias-shape", b.name, problem, f"({y.shape[-1]},)")
    if b.zero_point is not None and np.any(b.zero_point != 0):
        wrong = int(b.zero_point[b.zero_point != 0][0])
        yield Finding("bias-zero-point", b.name, f"has the zero point {wrong}", "0")
    if b.data is not None and np.any(np.abs(b.data.astype(np.int64)) > LARGEST_BIAS):
        wanted = "at most about 2**30 (a floor under the scales of dead channels)"
        yield Finding("bias-range", b.name, "is so large that sums may leave 32 bits", wanted)
    yield from _bias_scale(x, w, b)


def _bias_scale(x: Tensor, w: Tensor, b: Tensor) -> Iterator[Finding]:
    x_scale, w_scale = scale_of(x), w.scale
    if x_scale is None or w_scale is None or not (w_scale > 0).all():
        return
    count = 0 if b.scale is None else len(b.scale)
    if b.scale is None or count != len(w_scale):
        problem = f"has {count} scales, the weights have {len(w_scale)}"
        yield Finding("bias-scale-count", b.name, problem, "as many as the weights")
        return
    product = x_scale * w_scale.astype(np.float32)
    off = np.abs(b.scale.astype(np.float64) - product) / np.maximum(product, 1e-45)
    worst = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
    problem = f"has the scale {b.scale[worst]:.9g} where input times weight is {product[worst]:.9g}"
    if not off[worst] <= BIAS_TOLERANCE[w.dtype]:
        yield Finding("bias-scale", b.name, problem, "the input's scale times the weights'")
    elif w.dtype == "int8" and off[worst] > 0:
        yield Finding("bias-scale-inexact", b.name, problem, "exactly the float32 product")
