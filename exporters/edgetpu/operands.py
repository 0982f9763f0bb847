"""Which of an operation's inputs are what: data, weights and bias, or shapes and axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minicnn.graph import Graph, Node, Tensor

QUANTIZED = {"int8": (-128, 127), "uint8": (0, 255)}  # lowest and highest stored value
# A fused RELU6 divides 6 by the scale, and the quotient must fit in 32 bits (kernel_util.cc).
LOWEST_SCALE = 6 / 2**31
FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Weighted:
    """Input positions of an operation with weights, and the weights' dimension of channels."""

    x: int = 0
    w: int = 1
    b: int = 2
    axis: int = 0


WEIGHTED = {
    "CONV_2D": Weighted(),
    "DEPTHWISE_CONV_2D": Weighted(axis=3),
    "FULLY_CONNECTED": Weighted(),
    "TRANSPOSE_CONV": Weighted(x=2, w=1, b=3),
}
# Positions of shapes, paddings, axes and sizes: int32 constants, no data.
PARAMETERS: dict[str, tuple[int, ...]] = {
    "RESHAPE": (1,),
    "PAD": (1,),
    "MEAN": (1,),
    "SUM": (1,),
    "REDUCE_MAX": (1,),
    "REDUCE_MIN": (1,),
    "TRANSPOSE": (1,),
    "EXPAND_DIMS": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "SPLIT": (0,),
    "TRANSPOSE_CONV": (0,),
}
# Weights, biases and states of an LSTM follow rules of their own, which are not checked here.
UNCHECKED: dict[str, tuple[int, ...]] = {
    "LSTM": tuple(range(1, 24)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": tuple(range(1, 24)),
}


def operand(graph: Graph, node: Node, position: int) -> Tensor | None:
    """The input at a position; None where it is left out."""
    if position >= len(node.inputs) or node.inputs[position] < 0:
        return None
    return graph.tensors[node.inputs[position]]


def constant(graph: Graph, node: Node, position: int) -> np.ndarray | None:
    """Values of the input at a position; None where it is left out or computed."""
    tensor = operand(graph, node, position)
    return None if tensor is None else tensor.data


def parameters(graph: Graph, node: Node) -> list[Tensor]:
    """Inputs that are shapes, paddings, axes or sizes."""
    found = (operand(graph, node, position) for position in PARAMETERS.get(node.op, ()))
    return [tensor for tensor in found if tensor is not None]


def data_numbers(graph: Graph, node: Node) -> list[int]:
    """Numbers of the tensors an operation computes with, weights and biases apart; outputs last."""
    places = WEIGHTED.get(node.op)
    skipped = {*PARAMETERS.get(node.op, ()), *UNCHECKED.get(node.op, ())}
    skipped |= {places.w, places.b} if places else set()
    inputs = [number for at, number in enumerate(node.inputs) if at not in skipped]
    return [number for number in (*inputs, *node.outputs) if number >= 0]


def data_tensors(graph: Graph, node: Node) -> list[Tensor]:
    """The tensors of :func:`data_numbers`."""
    return [graph.tensors[number] for number in data_numbers(graph, node)]


def scale_of(tensor: Tensor) -> np.float32 | None:
    """The scale of a quantized activation, None where it has none that can be compared."""
    if tensor.dtype not in QUANTIZED or tensor.scale is None or len(tensor.scale) != 1:
        return None
    scale = np.float32(tensor.scale[0])
    return scale if np.isfinite(scale) and scale >= LOWEST_SCALE else None


def zero_point_of(tensor: Tensor) -> int | None:
    """The zero point of a quantized activation, None where it has not exactly one."""
    if tensor.dtype not in QUANTIZED or tensor.zero_point is None or len(tensor.zero_point) != 1:
        return None
    return int(tensor.zero_point[0])
