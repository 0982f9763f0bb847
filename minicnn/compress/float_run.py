"""Run a float graph node by node, with every tensor kept: for calibration and for comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from minicnn import kernels
from minicnn.graph import Graph, Node, row
from minicnn.layers.window import pad_before

Run = Callable[[Graph, Node, list[np.ndarray]], np.ndarray]


def run(graph: Graph, x: np.ndarray) -> dict[int, np.ndarray]:
    """Every activation tensor of a float32 graph, by number, for x (N, H, W, C) float32.

    LookupError for an operation that has no row.
    """
    return run_nodes(graph, graph.nodes, {graph.inputs[0]: np.ascontiguousarray(x, np.float32)})


def run_nodes(
    graph: Graph, nodes: Sequence[Node], values: dict[int, np.ndarray]
) -> dict[int, np.ndarray]:
    """Some nodes of a graph, from the tensors in ``values``; their outputs are added to it."""
    for node in nodes:
        inputs = [values[t] if t in values else graph.data(t) for t in node.inputs]
        values[node.output] = row(RUN, node, "run in floats")(graph, node, inputs)
    return values


def _filled(graph: Graph, node: Node, N: int) -> np.ndarray:
    return np.empty((N, *graph.shape(node.output)), np.float32)


def _conv(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    x, w, b = inputs
    y, stride = _filled(graph, node, len(x)), node.attrs["stride"]
    pad = pad_before(x.shape[1:], w.shape[1:3], stride, node.attrs["padding"])
    kernels.conv2d_forward(x, w, b, stride, pad, node.attrs["activation"] == "RELU", y, 0)
    return y


def _dense(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    x, w, b = inputs
    y = _filled(graph, node, len(x))
    kernels.dense_forward(x, w, b, node.attrs["activation"] == "RELU", y)
    return y


def _pool_window(node: Node, x: np.ndarray) -> tuple[tuple[int, int], ...]:
    kernel, stride = node.attrs["kernel"], node.attrs["stride"]
    return kernel, stride, pad_before(x.shape[1:], kernel, stride, node.attrs["padding"])


def _max_pool(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    (x,) = inputs
    y = _filled(graph, node, len(x))
    window = _pool_window(node, x)
    places = np.uint8 if math.prod(window[0]) <= 256 else np.int32  # as in layers.MaxPool2D
    kernels.maxpool_forward(x, *window, y, np.empty(y.shape, places))
    return y


def average_pool(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    """(N, OH, OW, C) of [(N, H, W, C)], by the node's window."""
    (x,) = inputs
    y = _filled(graph, node, len(x))
    kernels.avgpool_forward(x, *_pool_window(node, x), y)
    return y


def _concatenation(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(inputs, axis=-1)


def _reshape(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    return inputs[0].reshape(len(inputs[0]), *graph.shape(node.output))


def _relu(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    return np.maximum(inputs[0], 0)


def _softmax(graph: Graph, node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    y = np.empty_like(inputs[0])
    kernels.softmax_forward(inputs[0], y)
    return y


RUN: dict[str, Run] = {
    "CONV_2D": _conv,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _max_pool,
    "AVERAGE_POOL_2D": average_pool,
    "CONCATENATION": _concatenation,
    "RELU": _relu,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
