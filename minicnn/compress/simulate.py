"""Run an int8 graph in TFLite's integer arithmetic, bit for bit, every tensor of it.

Equal means equal to OpResolverType.BUILTIN_REF, the plainest of TFLite's kernel sets: two runtimes
agree on it but for FULLY_CONNECTED, so ``rules`` names the runtime. The default kernels of either
round differently in places, and the Edge TPU is a further arithmetic; against those, expect the
same answers but not the same bits.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import numpy as np

from minicnn import kernels
from minicnn.compress.int8_foreign_nodes import FOREIGN_ROWS
from minicnn.compress.int8_nodes import ROWS
from minicnn.compress.int8_scales import LITERT, RULES
from minicnn.compress.plan import Plan
from minicnn.graph import Graph, row

LOOPS = {**ROWS, **FOREIGN_ROWS}


class Runs(Protocol):
    """What computes: the loops below, or the fast plan."""

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """The graph's outputs."""

    def tensors(self, x: np.ndarray) -> dict[int, np.ndarray]:
        """Every activation, by number."""


class Loops:
    """The graph through the loops of ``kernels.int8``; arguments as for :class:`Simulator`."""

    def __init__(self, graph: Graph, rules: str) -> None:
        self.graph = graph
        self._steps = [
            (node, row(LOOPS, node, "simulate")(graph, node, rules)) for node in graph.nodes
        ]

    def tensors(self, x: np.ndarray) -> dict[int, np.ndarray]:
        """As :meth:`Simulator.tensors`."""
        values = {self.graph.inputs[0]: np.ascontiguousarray(x)}
        for node, step in self._steps:
            values[node.output] = step(*(values[t] for t in node.inputs if t in values))
        return values

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """As :meth:`Simulator.run`."""
        values = self.tensors(x)
        return [values[t] for t in self.graph.outputs]


class Simulator:
    """A graph ready to run on images; the loops or their fast twin, as ``kernels.use`` chose.

    graph   one input; int8 or uint8 activations, float32 at its ends; weights int8
    rules   the runtime whose FULLY_CONNECTED is meant: "litert-2.3" or "tflite-runtime-2.14"

    Raises ValueError for other rules, for a graph with several inputs or a batch size that is not
    1; LookupError for an operation without a row. What has no fast kernel runs as loops.
    """

    def __init__(self, graph: Graph, rules: str = LITERT) -> None:
        if rules not in RULES:
            raise ValueError(f"rules {rules!r}: choose one of {', '.join(RULES)}")
        _check(graph)
        self.graph = graph
        self._runs = _runs(graph, rules)

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """The graph's outputs for x (N, ...) in the input's dtype, each (N, ...).

        ValueError for another shape or dtype.
        """
        return self._runs.run(self._checked(x))

    def tensors(self, x: np.ndarray) -> dict[int, np.ndarray]:
        """Every activation, the input included: number of the tensor -> (N, ...)."""
        return self._runs.tensors(self._checked(x))

    def _checked(self, x: np.ndarray) -> np.ndarray:
        wanted = self.graph.tensors[self.graph.inputs[0]]
        if x.ndim == 0 or x.shape[1:] != tuple(wanted.shape[1:]) or x.dtype != wanted.dtype:
            sizes = ", ".join(["N", *map(str, wanted.shape[1:])])
            raise ValueError(f"wanted ({sizes}) {wanted.dtype}, got {x.shape} {x.dtype}")
        return x


def simulate(graph: Graph, x: np.ndarray, rules: str = LITERT) -> np.ndarray:
    """The first output of a graph for x (N, ...); see :class:`Simulator`."""
    return Simulator(graph, rules).run(x)[0]


def _check(graph: Graph) -> None:
    if len(graph.inputs) != 1:
        raise ValueError(f"wanted a graph with one input, this has {len(graph.inputs)}")
    for number in (*graph.inputs, *(node.output for node in graph.nodes)):
        tensor = graph.tensors[number]
        if not tensor.shape or tensor.shape[0] != 1:
            raise ValueError(f"{tensor.name}: shape {tensor.shape}, wanted a batch size of 1")


def _runs(graph: Graph, rules: str) -> Runs:
    if kernels.current() == "fast":
        with suppress(LookupError):
            return Plan(graph, rules)
    return Loops(graph, rules)
