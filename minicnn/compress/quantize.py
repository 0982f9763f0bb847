"""From a float graph and the ranges of its tensors to an int8 graph: TFLite's quantization.

    activations  int8, one scale and zero point a tensor:  value = scale * (q - zero_point)
    weights      int8 in [-127, 127], zero point 0; a scale for each output channel of a
                 convolution, one for a dense layer
    biases       int32, scale = input scale * weight scale, zero point 0

Pools, reshapes and concatenations only move values, so what goes in and what comes out of them has
one scale: both halves of a fire module are quantized on their common range. See TFLite's
quantization specification (tensorflow.org/lite/performance/quantization_spec).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from minicnn.compress.calibrate import Range, Ranges
from minicnn.compress.fold import Pixels
from minicnn.compress.rounding import Inputs, round_together
from minicnn.graph import Graph, Node, Tensor, row

IO = ("uint8", "int8", "float32")
LARGEST = 127  # of a weight, either way: -128 would break the symmetry that kernels rely on
SOFTMAX = (1 / 256, -128)  # what TFLite's kernels demand of a softmax's output
# A channel without weights, or a tensor that was zero on all calibration images, still needs a
# scale that arithmetic can use: multipliers and biases must stay in their 32 bits.
SMALLEST_WEIGHT_SCALE = 1e-8
SMALLEST_RANGE = 1e-3
LARGEST_BIAS = 2**30

Parameters = tuple[float, int]  # scale and zero point
Quantize = Callable[[Graph, Graph, Node, dict[int, Inputs]], None]


def quantize(
    graph: Graph,
    ranges: Ranges,
    pixels: Pixels,
    io: str = "uint8",
    inputs: dict[int, Inputs] | None = None,
) -> Graph:
    """The int8 graph of a float graph: the same tensors under the same numbers, and its ends after.

    graph   as ``fold.deployed`` made it; it is not changed
    ranges  lowest and highest value of its activation tensors, from ``calibrate``
    pixels  what its input is
    io      type of the graph's ends: "uint8" (raw bytes in, probabilities * 256 out), "int8" (both
            less 128) or "float32" (``pixels.apply`` of the bytes in, probabilities out)
    inputs  what ``rounding.inputs_of_weights`` found: weights are rounded together; None, or a
            node that is not in it: each to the nearest step

    Raises ValueError for another io, LookupError for an operation without a row.
    """
    if io not in IO:
        raise ValueError(f"io is {io!r}, wanted one of {', '.join(IO)}")
    parameters = activation_parameters(graph, ranges, pixels)
    tensors = [replace(tensor) for tensor in graph.tensors]
    for t, (scale, zero_point) in parameters.items():
        tensors[t] = _quantized(tensors[t], "int8", [scale], [zero_point])
    quantized = Graph(tensors, [], list(graph.inputs), list(graph.outputs))
    for node in graph.nodes:
        row(QUANTIZE, node, "quantize")(graph, quantized, node, inputs or {})
        quantized.nodes.append(node)
    return quantized if io == "int8" else _with_ends(quantized, io)


def activation_parameters(graph: Graph, ranges: Ranges, pixels: Pixels) -> dict[int, Parameters]:
    """Scale and zero point of every activation; tensors that must share them do."""
    fixed = {graph.inputs[0]: (pixels.scale, pixels.zero - 128)}
    fixed |= {node.output: SOFTMAX for node in graph.nodes if node.op == "SOFTMAX"}
    parameters: dict[int, Parameters] = {}
    for group in groups(graph):
        given = {fixed[t] for t in group if t in fixed}
        if len(given) > 1:
            names = ", ".join(graph.tensors[t].name for t in group if t in fixed)
            raise ValueError(f"{names} have fixed scales that differ, but flow into each other")
        common = given.pop() if given else _parameters(_union([ranges[t] for t in group]))
        parameters |= dict.fromkeys(group, common)
    return parameters


def groups(graph: Graph) -> list[list[int]]:
    """The activation tensors in groups that share one scale: what moving operations connect."""
    group = {t: [t] for t in (*graph.inputs, *(node.output for node in graph.nodes))}
    for node in graph.nodes:
        if node.op not in MOVING:
            continue
        for t in node.inputs:
            if t in group and group[t] is not group[node.output]:
                joined = sorted(group[t] + group[node.output])
                group |= dict.fromkeys(joined, joined)
    return list({id(members): members for members in group.values()}.values())


def _union(several: list[Range]) -> Range:
    return min(low for low, _ in several), max(high for _, high in several)


def _parameters(ends: Range) -> Parameters:
    """Scale and zero point of the range, which holds zero; zero is exactly an integer."""
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    high = max(high, low + SMALLEST_RANGE)
    scale = float(np.float32((high - low) / 255))
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def _quantized(
    tensor: Tensor, dtype: str, scale: np.ndarray | list, zero_point: np.ndarray | list
) -> Tensor:
    return replace(
        tensor,
        dtype=dtype,
        scale=np.asarray(scale, np.float32),
        zero_point=np.asarray(zero_point, np.int64),
    )


def _learned(per_channel: bool) -> Quantize:
    def quantize_node(
        graph: Graph, quantized: Graph, node: Node, inputs: dict[int, Inputs]
    ) -> None:
        x, w, b = node.inputs
        x_scale = quantized.tensors[x].scale
        assert x_scale is not None
        values = quantize_weights(
            graph.data(w), graph.data(b), x_scale[0], per_channel, inputs.get(w)
        )
        for t, dtype, (data, scale) in zip((w, b), ("int8", "int32"), values, strict=True):
            tensor = _quantized(graph.tensors[t], dtype, scale, np.zeros(len(scale)))
            quantized.tensors[t] = replace(tensor, data=data)

    return quantize_node


def quantize_weights(
    w: np.ndarray,
    b: np.ndarray,
    input_scale: np.float32,
    per_channel: bool,
    inputs: Inputs | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """((w int8, scale), (b int32, scale)) of float weights (OC, ...) and biases (OC,).

    The scales are float32, (OC,) per channel and (1,) else. Where weights are so small that their
    bias would leave its 32 bits, the scale grows. With ``inputs`` the weights are rounded together
    and the bias takes over what they are off on average; else halves round away from zero, as in
    TFLite.
    """
    rows = w.reshape(len(w), -1).astype(np.float64)
    ranges = np.abs(rows).max(axis=1), np.abs(b).astype(np.float64)
    largest, bias = ranges if per_channel else (r.max(keepdims=True) for r in ranges)
    scale = np.maximum(largest / LARGEST, bias / (float(input_scale) * LARGEST_BIAS))
    w_scale = np.maximum(scale, SMALLEST_WEIGHT_SCALE).astype(np.float32)
    b_scale = np.float32(input_scale) * w_scale
    row_scale = np.broadcast_to(w_scale, len(w)).astype(np.float64)
    biases = b.astype(np.float64)
    if inputs is None:
        steps = np.clip(_round(rows / row_scale[:, None]), -LARGEST, LARGEST).astype(np.int8)
    else:
        steps = round_together(rows, row_scale, inputs, LARGEST)
        biases = biases - (steps * row_scale[:, None] - rows) @ inputs.mean
    b_steps = np.clip(_round(biases / b_scale), -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)
    return (steps.reshape(w.shape), w_scale), (b_steps, b_scale)


def _round(values: np.ndarray) -> np.ndarray:
    """To the nearest integer, halves away from zero."""
    return np.trunc(values + np.copysign(0.5, values))


def _nothing(graph: Graph, quantized: Graph, node: Node, inputs: dict[int, Inputs]) -> None:
    """No weights."""


QUANTIZE: dict[str, Quantize] = {
    "CONV_2D": _learned(per_channel=True),
    "FULLY_CONNECTED": _learned(per_channel=False),
    "MAX_POOL_2D": _nothing,
    "AVERAGE_POOL_2D": _nothing,
    "CONCATENATION": _nothing,
    "RELU": _nothing,
    "RESHAPE": _nothing,
    "SOFTMAX": _nothing,
}
MOVING = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "CONCATENATION", "RESHAPE")


def _with_ends(graph: Graph, io: str) -> Graph:
    """The graph between operations that convert its ends from and to ``io``."""
    (x,), (y,) = graph.inputs, graph.outputs
    into, out_of = ("QUANTIZE", "QUANTIZE") if io == "uint8" else ("QUANTIZE", "DEQUANTIZE")
    inside, result = graph.tensors[x], graph.tensors[y]
    outer = replace(_as_end(inside, io), name=inside.name)
    graph.tensors[x] = replace(inside, name=f"{inside.name}/int8")
    first = graph.new_tensor(outer)
    graph.nodes.insert(0, Node(into, (first,), (x,), inside.name))
    outer = replace(_as_end(result, io), name=result.name)
    graph.tensors[y] = replace(result, name=f"{result.name}/int8")
    last = graph.new_tensor(outer)
    graph.nodes.append(Node(out_of, (y,), (last,), result.name))
    graph.inputs, graph.outputs = [first], [last]
    return graph


def _as_end(tensor: Tensor, io: str) -> Tensor:
    if io == "float32":
        return replace(tensor, dtype=io, scale=None, zero_point=None)
    assert tensor.scale is not None and tensor.zero_point is not None
    return _quantized(tensor, io, tensor.scale, tensor.zero_point + 128)
