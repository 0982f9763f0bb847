"""Where the activations of an int8 graph lie in one array of bytes, the arena.

A byte is the integer plus 128 for int8, the integer itself for uint8. Nothing is moved that need
not be:

    'same' convolution  its input has a rim of pixels that hold the zero point, so that windows may
                        reach over the border
    CONCATENATION       what goes in is written right where it ends up, as channels of the result
    RESHAPE             result and input are the same bytes
    QUANTIZE            the same, where integers of int8 and uint8 differ by 128 alone

Tensors that are not needed at the same time may lie in the same place.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

import numpy as np

from minicnn.compress.int8_nodes import window
from minicnn.compress.int8_scales import zero_of
from minicnn.graph import Graph, Node, Tensor

ALIGNED = 64  # bytes
SLACK = 64  # after the last tensor: the last window is read in groups of bytes

Rim = tuple[int, int, int, int]  # pixels above, below, left, right


@dataclass(frozen=True)
class Place:
    """A tensor (height, width, channels) in the arena, or in memory of its own.

    at      its first byte
    down    bytes from row to row
    across  bytes from pixel to pixel
    """

    at: int
    down: int
    across: int
    height: int
    width: int
    channels: int

    def part(self, axis: int, first: int, count: int) -> Place:
        """Rows (axis 0), columns (1) or channels (2) first... of it."""
        name, step = [("height", self.down), ("width", self.across), ("channels", 1)][axis]
        return replace(self, at=self.at + first * step, **{name: count})


def dense(shape: tuple[int, ...], at: int = 0) -> Place:
    """The place of an array of this shape, without N: what is missing of H, W, C is 1."""
    if len(shape) > 3:
        raise LookupError(f"a tensor of shape {shape} (without N): wanted at most 3 dimensions")
    H, W, C = (1,) * (3 - len(shape)) + tuple(shape)
    return Place(at, W * C, C, H, W, C)


def stored_zero(tensor: Tensor) -> int:
    """The byte that stands for 0."""
    return zero_of(tensor) + flip(tensor)


def flip(tensor: Tensor) -> int:
    """What turns the tensor's own bytes into the arena's: added, or by exclusive or."""
    return 128 if tensor.dtype == "int8" else 0


class Memory:
    """The places of a graph's int8 and uint8 activations.

    same   nodes (by position) whose output is their input's bytes
    kept   activations that must last until the end
    size   bytes of an arena
    """

    def __init__(self, graph: Graph, same: Container[int], kept: Iterable[int]) -> None:
        self.graph = graph
        self._part: dict[int, tuple[int, int]] = {}  # tensor -> whole, first channel in it
        activations = [*graph.inputs, *(node.output for node in graph.nodes)]
        self._bytes = [t for t in activations if graph.tensors[t].dtype in ("int8", "uint8")]
        for number, node in enumerate(graph.nodes):
            if number in same:
                self._part[node.output] = node.inputs[0], 0
            elif node.op == "CONCATENATION" and axis_of(graph, node) == 2:
                self._join(node)
        self._rims = self._find_rims()
        for node in graph.nodes:
            if node.op == "RESHAPE" and self._fills(node.inputs[0]) and self._alone(node.output):
                self._part[node.output] = node.inputs[0], 0
        self._starts, self.size = self._laid_out(self._lives(set(kept)))

    def place(self, t: int) -> Place:
        """Where a tensor lies; LookupError for one that is no int8 or uint8 activation."""
        if t not in self._bytes:
            tensor = self.graph.tensors[t]
            raise LookupError(f"{tensor.name}: {tensor.dtype} has no place among int8 activations")
        whole, channel = self._whole(t)
        shape = self.graph.shape(t)
        if self._fills(t):
            return dense(shape, self._starts[whole])
        above, _, left, right = self._rim(whole)
        outer = dense(self.graph.shape(whole))
        down = (outer.width + left + right) * outer.channels
        at = self._starts[whole] + above * down + left * outer.channels + channel
        return replace(dense(shape), at=at, down=down, across=outer.channels)

    def arena(self, count: int) -> np.ndarray:
        """(count, bytes) uint8: rims hold their zero points, all else is unspecified."""
        arenas = aligned((count, self.size), np.uint8)
        for t in self._rims:
            start, size = self._starts[t], self._size(t)
            arenas[:, start : start + size] = stored_zero(self.graph.tensors[t])
        return arenas

    def _join(self, node: Node) -> None:
        """Each input becomes a part of the output, where it can."""
        channel, y = 0, self.graph.tensors[node.output]
        for t in node.inputs:
            x = self.graph.tensors[t]
            alike = x.dtype == y.dtype and zero_of(x) == zero_of(y)
            if alike and t in self._bytes and t not in self._part and node.inputs.count(t) == 1:
                self._part[t] = node.output, channel
            channel += x.shape[-1]

    def _whole(self, t: int) -> tuple[int, int]:
        """The tensor that has memory of its own and holds t, and t's first channel in it."""
        channel = 0
        while t in self._part:
            t, first = self._part[t]
            channel += first
        return t, channel

    def _rim(self, whole: int) -> Rim:
        return self._rims.get(whole, (0, 0, 0, 0))

    def _alone(self, t: int) -> bool:
        return t not in self._part and t not in self._rims

    def _fills(self, t: int) -> bool:
        """Whether t is all of the memory that it lies in, without a rim."""
        whole, _ = self._whole(t)
        sizes = (math.prod(self.graph.shape(number)) for number in (t, whole))
        return whole not in self._rims and len(set(sizes)) == 1

    def _find_rims(self) -> dict[int, Rim]:
        """What convolutions read beyond the border of their inputs."""
        rims: dict[int, Rim] = {}
        for node in self.graph.nodes:
            if node.op == "CONV_2D":
                rim = _reach(self.graph, node)
                whole, _ = self._whole(node.inputs[0])
                if any(rim):
                    widest = map(max, rim, rims.get(whole, rim))
                    rims[whole] = tuple(widest)  # type: ignore[assignment]
        return rims

    def _size(self, whole: int) -> int:
        above, below, left, right = self._rim(whole)
        place = dense(self.graph.shape(whole))
        return (place.height + above + below) * (place.width + left + right) * place.channels

    def _lives(self, kept: set[int]) -> dict[int, tuple[int, int]]:
        """From which to which node each memory holds something; -1 is before the first."""
        end = len(self.graph.nodes)
        uses = [(t, -1) for t in self.graph.inputs] + [(t, end) for t in kept]
        for number, node in enumerate(self.graph.nodes):
            uses += [(t, number) for t in (*node.inputs, *node.outputs)]
        # a rim is filled once and for all
        uses += [(t, number) for t in self._rims for number in (-1, end)]
        lives: dict[int, tuple[int, int]] = {}
        for t, number in uses:
            if t in self._bytes:
                whole, _ = self._whole(t)
                first, last = lives.get(whole, (number, number))
                lives[whole] = min(first, number), max(last, number)
        return lives

    def _laid_out(self, lives: dict[int, tuple[int, int]]) -> tuple[dict[int, int], int]:
        """Where each memory begins, and the end of all: largest first, each as low as it fits."""
        starts: dict[int, int] = {}
        for t in sorted(lives, key=self._size, reverse=True):
            start, size = 0, self._size(t)
            for other in sorted(starts, key=starts.__getitem__):
                meet = lives[t][0] <= lives[other][1] and lives[other][0] <= lives[t][1]
                if meet and start + size > starts[other]:
                    start = max(start, _up(starts[other] + self._size(other)))
            starts[t] = start
        ends = (start + self._size(t) for t, start in starts.items())
        return starts, _up(max(ends, default=0) + SLACK)


def aligned(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros that begin at a cache line: vectors then do not reach into two of them."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    return memory[start : start + size].view(dtype).reshape(shape)


def _up(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def axis_of(graph: Graph, node: Node) -> int:
    """A concatenation's axis among H, W, C; -1 for N."""
    rank = len(graph.tensors[node.output].shape)
    axis = int(node.attrs.get("axis", -1)) % rank
    return axis - rank + 3 if axis else -1


def _reach(graph: Graph, node: Node) -> Rim:
    """Pixels above, below, left and right of the input that windows of a convolution cover."""
    H, W, C = graph.shape(node.inputs[0])
    kernel = graph.data(node.inputs[1]).shape[1:3]
    stride, pad, dilation = window(node, (H, W, C), kernel)
    after = [
        (count - 1) * s + (k - 1) * d + 1 - before - size
        for count, s, k, d, before, size in zip(
            graph.shape(node.output), stride, kernel, dilation, pad, (H, W), strict=False
        )
    ]
    return pad[0], max(after[0], 0), pad[1], max(after[1], 0)
