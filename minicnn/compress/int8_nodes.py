"""A node of an int8 graph as a function on arrays: the rows behind the simulator's loops.

A row makes a node ready once: its multipliers, padding and limits, as TFLite's Prepare does. What
it gives is a step, x (N, ...) -> y (N, ...), or of several inputs where the node has them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.compress.int8_scales import (
    LITERT,
    TFLITE_RUNTIME,
    bias_of,
    dense_scales,
    limits,
    multipliers,
    output_scales,
    scale_of,
    softmax_scales,
    zero_of,
)
from minicnn.graph import Graph, Node, Tensor
from minicnn.kernels import int8
from minicnn.kernels.fixed_point import quantize_multiplier
from minicnn.layers.window import pad_before

Step = Callable[..., np.ndarray]
Row = Callable[[Graph, Node, str], Step]


def blank(y: Tensor, N: int) -> np.ndarray:
    """An output for N images, unfilled."""
    return np.empty((N, *y.shape[1:]), y.dtype)


def ends_of(graph: Graph, node: Node) -> tuple[Tensor, Tensor]:
    """A node's first input and its output."""
    return graph.tensors[node.inputs[0]], graph.tensors[node.output]


def activations(graph: Graph, node: Node) -> list[Tensor]:
    """All inputs of a node that takes activations only; ValueError for a constant among them."""
    tensors = [graph.tensors[t] for t in node.inputs]
    for tensor in tensors:
        if tensor.data is not None:
            raise ValueError(f"{node.path}: {tensor.name} is a constant, wanted an activation")
    return tensors


def window(
    node: Node, shape: tuple[int, ...], kernel: tuple[int, int]
) -> tuple[tuple[int, int], ...]:
    """Stride, padding before an image of shape (H, W, C), dilation; each (down, across)."""
    stride, dilation = tuple(node.attrs["stride"]), tuple(node.attrs.get("dilation", (1, 1)))
    reach = (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1
    return stride, pad_before(shape, reach, stride, node.attrs["padding"]), dilation


def convolution(kernel: Callable[..., None], out_axis: int) -> Row:
    """CONV_2D or DEPTHWISE_CONV_2D; ``out_axis`` is the output channels' place in w."""

    def prepare(graph: Graph, node: Node, rules: str) -> Step:
        x, y = ends_of(graph, node)
        w = graph.data(node.inputs[1])
        channels = w.shape[out_axis]
        factors = multipliers(output_scales(graph, node, channels))
        settings = (zero_of(x), *factors, zero_of(y), *window(node, x.shape[1:], w.shape[1:3]))
        settings += limits(y, node.attrs.get("activation", "NONE"))
        bias = bias_of(graph, node, channels)

        def step(values: np.ndarray) -> np.ndarray:
            filled = blank(y, len(values))
            kernel(values, w, bias, *settings, filled)
            return filled

        return step

    return prepare


def _conv(graph: Graph, node: Node, rules: str) -> Step:
    channels, wanted = graph.shape(node.inputs[0])[-1], graph.data(node.inputs[1]).shape[3]
    if channels != wanted:
        raise ValueError(f"{node.path}: {channels} channels come in, the weights are for {wanted}")
    return convolution(int8.conv2d, out_axis=0)(graph, node, rules)


def _fully_connected(graph: Graph, node: Node, rules: str) -> Step:
    x, y = ends_of(graph, node)
    w = graph.data(node.inputs[1])
    scales = dense_scales(graph, node, rules)
    bias, ends = bias_of(graph, node, len(w)), (zero_of(y), *limits(y, node.attrs["activation"]))
    kernel, factors = {
        LITERT: (int8.fully_connected_double, (scales,)),
        TFLITE_RUNTIME: (int8.fully_connected, multipliers(scales)),
    }[rules]

    def step(values: np.ndarray) -> np.ndarray:
        filled = blank(y, len(values))
        rows = values.reshape(len(values), w.shape[1])
        kernel(rows, w, bias, zero_of(x), *factors, *ends, filled.reshape(len(values), len(w)))
        return filled

    return step


def _pool(kernel: Callable[..., None]) -> Row:
    def prepare(graph: Graph, node: Node, rules: str) -> Step:
        x, y = ends_of(graph, node)
        size = tuple(node.attrs["kernel"])
        ends = limits(y, node.attrs.get("activation", "NONE"))
        settings = (size, *window(node, x.shape[1:], size)[:2], *ends)

        def step(values: np.ndarray) -> np.ndarray:
            filled = blank(y, len(values))
            kernel(values, *settings, filled)
            return filled

        return step

    return prepare


def _reshape(graph: Graph, node: Node, rules: str) -> Step:
    shape = graph.shape(node.output)
    return lambda x: x.reshape(len(x), *shape)


def _concatenation(graph: Graph, node: Node, rules: str) -> Step:
    _, y = ends_of(graph, node)
    for x in activations(graph, node):
        if (scale_of(x), zero_of(x)) != (scale_of(y), zero_of(y)):
            raise ValueError(f"{node.path}: {x.name} and the output differ in scale or zero point")
    axis = int(node.attrs.get("axis", -1))
    return lambda *parts: np.concatenate(parts, axis)


def _softmax(graph: Graph, node: Node, rules: str) -> Step:
    x, y = ends_of(graph, node)
    if (x.dtype, y.dtype) != ("int8", "int8"):
        raise ValueError(f"{node.path}: SOFTMAX from {x.dtype} to {y.dtype}, wanted int8 to int8")
    scales = softmax_scales(x, float(node.attrs.get("beta", 1.0)))

    def step(values: np.ndarray) -> np.ndarray:
        filled = blank(y, len(values))
        columns = values.shape[-1]
        int8.softmax(values.reshape(-1, columns), *scales, filled.reshape(-1, columns))
        return filled

    return step


def _rescale(x: Tensor, y: Tensor, scale: float, low: int, high: int) -> Step:
    multiplier, shift = quantize_multiplier(scale)

    def step(values: np.ndarray) -> np.ndarray:
        filled = blank(y, len(values))
        flat, ends = values.reshape(-1), (zero_of(y), low, high)
        int8.requantize(flat, zero_of(x), multiplier, shift, *ends, filled.reshape(-1))
        return filled

    return step


def _relu(graph: Graph, node: Node, rules: str) -> Step:
    x, y = ends_of(graph, node)
    return _rescale(x, y, float(scale_of(x) / scale_of(y)), *limits(y, "RELU"))  # in float32


def _quantize(graph: Graph, node: Node, rules: str) -> Step:
    x, y = ends_of(graph, node)
    if x.dtype != "float32":
        return _rescale(x, y, float(scale_of(x)) / float(scale_of(y)), *limits(y))

    def step(values: np.ndarray) -> np.ndarray:
        filled = blank(y, len(values))
        ends = zero_of(y), *limits(y)
        int8.quantize(values.reshape(-1), scale_of(y), *ends, filled.reshape(-1))
        return filled

    return step


def _dequantize(graph: Graph, node: Node, rules: str) -> Step:
    x, y = ends_of(graph, node)

    def step(values: np.ndarray) -> np.ndarray:
        filled = blank(y, len(values))
        int8.dequantize(values.reshape(-1), float(scale_of(x)), zero_of(x), filled.reshape(-1))
        return filled

    return step


ROWS: dict[str, Row] = {
    "AVERAGE_POOL_2D": _pool(int8.average_pool),
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _pool(int8.max_pool),
    "QUANTIZE": _quantize,
    "RELU": _relu,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
