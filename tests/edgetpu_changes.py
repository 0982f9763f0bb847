"""Changes of an int8 graph that break it; ``edgetpu_mutations`` makes a table of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.graph import Graph, Node, Tensor

Change = Callable[[Graph], None]


def place(graph: Graph, op: str) -> int:
    """Position of the first node of a kind."""
    return next(at for at, node in enumerate(graph.nodes) if node.op == op)


def first(graph: Graph, op: str) -> Node:
    return graph.nodes[place(graph, op)]


def operand(graph: Graph, op: str, position: int) -> Tensor:
    """An input; LookupError where it is left out."""
    number = first(graph, op).inputs[position]
    if number < 0:
        raise LookupError(f"{op} has no input {position}")
    return graph.tensors[number]


def output(graph: Graph, op: str) -> Tensor:
    return graph.tensors[first(graph, op).output]


def attrs(op: str, **changed: Any) -> Change:
    def change(graph: Graph) -> None:
        node = first(graph, op)
        graph.nodes[place(graph, op)] = dataclasses.replace(node, attrs={**node.attrs, **changed})

    return change


def version(op: str, number: int) -> Change:
    def change(graph: Graph) -> None:
        graph.nodes[place(graph, op)] = dataclasses.replace(first(graph, op), version=number)

    return change


def tensor(op: str, position: int | None, **changed: Any) -> Change:
    """Change fields of an input, or (None) of the output; a callable is given the old value."""

    def change(graph: Graph) -> None:
        found = output(graph, op) if position is None else operand(graph, op, position)
        for key, value in changed.items():
            setattr(found, key, value(getattr(found, key)) if callable(value) else value)

    return change


def without_bias(op: str) -> Change:
    def change(graph: Graph) -> None:
        node = first(graph, op)
        inputs = (*node.inputs[:2], -1)
        graph.nodes[place(graph, op)] = dataclasses.replace(node, inputs=inputs)

    return change


def computed(op: str, position: int) -> Change:
    """An input that was constant becomes one of the graph's inputs."""

    def change(graph: Graph) -> None:
        number = first(graph, op).inputs[position]
        graph.tensors[number].data = None
        graph.inputs = [*graph.inputs, number]

    return change


def one_minus_128(data: np.ndarray) -> np.ndarray:
    data = data.copy()
    data.flat[0] = -128
    return data


def bigger(data: np.ndarray) -> np.ndarray:
    data = data.copy()
    data.flat[0] = 2**31 - 1
    return data


def batch_axis_too(data: np.ndarray) -> np.ndarray:
    data = data.copy()
    data.flat[0] = 0
    return data


def padded_batch(data: np.ndarray) -> np.ndarray:
    data = data.copy()
    data[0, 1] = 1
    return data


def dropped(values: np.ndarray) -> np.ndarray:
    return values[:-1].copy()


def ulp_more(scale: np.ndarray) -> np.ndarray:
    return np.nextafter(scale, np.float32(np.inf))


def fewer_channels(op: str) -> Change:
    """Scales of weights and bias for all channels but one."""

    def change(graph: Graph) -> None:
        for position in (1, 2):
            found = operand(graph, op, position)
            assert found.scale is not None and found.zero_point is not None
            found.scale, found.zero_point = found.scale[:-1], found.zero_point[:-1]

    return change


def thinner_weights(op: str) -> Change:
    """Weights for one input channel less."""

    def change(graph: Graph) -> None:
        weights = operand(graph, op, 1)
        assert weights.data is not None
        weights.data = np.ascontiguousarray(weights.data[..., :-1])
        weights.shape = weights.data.shape

    return change


def floats(found: Tensor) -> None:
    found.dtype, found.scale, found.zero_point = "float32", None, None


def float_output(op: str) -> Change:
    return lambda graph: floats(output(graph, op))


def float_bias(op: str) -> Change:
    def change(graph: Graph) -> None:
        bias = operand(graph, op, 2)
        floats(bias)
        assert bias.data is not None
        bias.data = bias.data.astype(np.float32)

    return change


def batch_of_two(graph: Graph) -> None:
    """A graph for two images at a time, down to where rows are made of them."""
    for found in graph.tensors:
        if found.data is None and len(found.shape) == 4 and math.prod(found.shape[:3]) > 1:
            found.shape = (2, *found.shape[1:])


def same_names(graph: Graph) -> None:
    graph.tensors[1].name = graph.tensors[0].name


def float_weights(graph: Graph) -> None:
    weights = operand(graph, "CONV_2D", 1)
    floats(weights)
    assert weights.data is not None
    weights.data = weights.data.astype(np.float32)
