"""The fast twin of the simulator's loops: a graph made ready once, then one call for all of it.

    Plan(graph).run(x)

gives what the loops of ``simulate`` give, bit for bit. Which bytes lie where is decided in
``plan_memory``, what is done with them in ``plan_steps`` and ``plan_products``;
``kernels.fast_int8_run`` does it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

import numpy as np
from numba import get_num_threads

from minicnn.compress.int8_scales import LITERT, RULES, scale_of
from minicnn.compress.plan_builder import Builder, Fields, copy, step
from minicnn.compress.plan_memory import ALIGNED, Memory, aligned, dense, flip, stored_zero
from minicnn.compress.plan_steps import STEPS, stays
from minicnn.compress.plan_weights import Constants
from minicnn.graph import Graph, row
from minicnn.kernels.fast_int8_run import dealt_items, run
from minicnn.kernels.int8_steps import STEP
from minicnn.kernels.int8_tiles import LARGEST_TILE
from minicnn.kernels.sharing import APART


@dataclass(frozen=True)
class _Room:
    """Memory for a number of threads; see ``fast_int8_run.run``."""

    arenas: np.ndarray
    dealt: np.ndarray
    places: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, memory: Memory, threads: int, items: np.ndarray, block: int) -> _Room:
        return cls(
            memory.arena(threads),
            dealt_items(items, threads),
            aligned((threads, 2, block), np.int64),
            aligned((threads, LARGEST_TILE), np.int32),
        )


class Plan:
    """An int8 graph ready to run.

    graph   one input; int8 or uint8 activations, float32 only at its ends; batch size 1
    rules   "litert-2.3" or "tflite-runtime-2.14": whose FULLY_CONNECTED is meant

    Raises LookupError for what has no fast kernel: the loops of ``int8`` know more.
    """

    def __init__(self, graph: Graph, rules: str = LITERT) -> None:
        if rules not in RULES:
            raise ValueError(f"rules {rules!r}: choose one of {', '.join(RULES)}")
        self.graph, self.rules = graph, rules
        same = {number for number, node in enumerate(graph.nodes) if stays(graph, node, rules)}
        origins = {node.output: node.inputs[0] for node in graph.nodes if node.op == "DEQUANTIZE"}
        kept = [origins.get(t, t) for t in graph.outputs]
        self._memory = Memory(graph, same, kept)
        builder = Builder(graph, self._memory, rules, Constants())
        steps = self._input_steps()
        for node in graph.nodes:
            steps += row(STEPS, node, "run fast")(builder, node)
        steps += self._output_steps(origins)
        self._steps = _records(steps)
        self._constants = tuple(builder.constants.joined(t) for t in (np.int32, np.float64))
        self._rooms: dict[int, _Room] = {}
        self._lock = Lock()

    def run(self, x: np.ndarray) -> list[np.ndarray]:
        """The graph's outputs for x (N, ...) in the input's dtype, each (N, ...)."""
        N = len(x)
        x = np.ascontiguousarray(x).reshape(-1)
        y = np.empty(N * self._size, np.uint8)
        floats = x if x.dtype == np.float32 else _NO_FLOATS
        with self._lock:  # the arenas are one caller's at a time
            self._run(N, (x.view(np.uint8), floats, y, y.view(np.float32)))
        return [
            y[N * at : N * (at + size)].view(dtype).reshape(N, *shape)
            for at, size, dtype, shape in self._results
        ]

    def _run(self, N: int, outside: tuple[np.ndarray, ...]) -> None:
        steps = self._steps
        # a step with one item gives others nothing to do
        threads = min(get_num_threads(), max(N, int(steps["items"].max(initial=1))))
        if threads not in self._rooms:
            block = int(steps["block"].max(initial=1))
            self._rooms[threads] = _Room.of(self._memory, threads, steps["items"], block)
        room = self._rooms[threads]
        apart = 1 < N >= threads
        for image in range(1 if apart else N):
            images = dealt_items(np.array([N]), threads)
            done = np.zeros(len(steps) * APART, np.int64)
            run(
                *(steps, images, room.dealt.copy(), done, image, N, apart, *self._constants),
                *(room.arenas, outside, room.places, room.sums),
            )

    def tensors(self, x: np.ndarray) -> dict[int, np.ndarray]:
        """Every activation, the input included: number of the tensor -> (N, ...)."""
        plan = self._of_all
        return {self.graph.inputs[0]: x} | dict(zip(plan.graph.outputs, plan.run(x), strict=True))

    @cached_property
    def _of_all(self) -> Plan:
        """The plan of the same graph with every activation as an output."""
        outputs = [node.output for node in self.graph.nodes]
        return Plan(replace(self.graph, outputs=outputs), self.rules)

    def _input_steps(self) -> list[Fields]:
        t = self.graph.inputs[0]
        tensor = self.graph.tensors[t]
        if tensor.dtype == "float32":  # QUANTIZE reads it
            return []
        place, outside = self._memory.place(t), dense(self.graph.shape(t))
        size = outside.height * outside.down
        return copy("input", outside, place, size=size, flip=flip(tensor))

    def _output_steps(self, origins: dict[int, int]) -> list[Fields]:
        """Copy the outputs out, or dequantize them; notes where the results are in ``y``."""
        steps, self._results, at = [], [], 0
        for t in self.graph.outputs:
            tensor, shape = self.graph.tensors[t], self.graph.shape(t)
            outside = dense(shape)
            size = outside.height * outside.down * np.dtype(tensor.dtype).itemsize
            numbers: Fields = {"size": size, "offset": at}
            if t in origins:
                inside = self._memory.place(origins[t])
                x = self.graph.tensors[origins[t]]
                numbers |= {"zero": stored_zero(x), "factor": float(scale_of(x))}
                steps.append(step("dequantize", inside, None, inside.height, **numbers))
            else:
                inside = self._memory.place(t)
                steps += copy("output", inside, outside, flip=flip(tensor), **numbers)
            self._results.append((at, size, tensor.dtype, shape))
            at += -(-size // ALIGNED) * ALIGNED
        self._size = at
        return steps


_NO_FLOATS = np.empty(0, np.float32)


def _records(steps: list[Fields]) -> np.ndarray:
    """The steps as the compiled functions read them."""
    records = np.zeros(len(steps), STEP)
    for record, fields in zip(records, steps, strict=True):
        for name, value in fields.items():
            record[name] = value
    return records
