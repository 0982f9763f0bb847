"""Weights and multipliers of an int8 convolution in the order in which the tiles read them."""

from __future__ import annotations

import numpy as np

from minicnn.compress.plan_memory import Place, aligned
from minicnn.kernels.fast_int8 import panel_at
from minicnn.kernels.int8_requantize import ROWS
from minicnn.kernels.int8_tiles import GROUP
from minicnn.kernels.vector_tiles import LANES


class Constants:
    """What steps point into: flat arrays, to which arrays are added one after another."""

    def __init__(self) -> None:
        self._arrays: dict[type, list[np.ndarray]] = {np.int32: [], np.float64: []}

    def add(self, array: np.ndarray, dtype: type = np.int32) -> int:
        """Where the array begins."""
        arrays = self._arrays[dtype]
        start = sum(a.size for a in arrays)
        whole = -(-array.size // LANES) * LANES  # a cache line holds 16 int32
        arrays.append(np.zeros(whole, dtype))
        arrays[-1][: array.size] = array.reshape(-1)
        return start

    def joined(self, dtype: type) -> np.ndarray:
        """All that was added, aligned to cache lines."""
        arrays = self._arrays.pop(dtype)
        result = aligned((sum(a.size for a in arrays),), dtype)
        return np.concatenate(arrays, out=result) if arrays else result


def window_runs(w: np.ndarray, x: Place, dilation: tuple[int, int]) -> tuple[np.ndarray, list[int]]:
    """w (OC, KH, KW, C) as (OC, runs, bytes), and from a window's first byte to each run.

    A run is a row of the kernel where its pixels are neighbours in memory, else a pixel; it is
    filled up to whole groups with zeros, so that it does not matter what is read there.
    """
    OC, KH, KW, C = w.shape
    down, across = dilation[0] * x.down, dilation[1] * x.across
    if across == C:
        runs, taps = w.reshape(OC, KH, KW * C), [kh * down for kh in range(KH)]
    else:
        runs = w.reshape(OC, KH * KW, C)
        taps = [kh * down + kw * across for kh in range(KH) for kw in range(KW)]
    return np.pad(runs, ((0, 0), (0, 0), (0, -runs.shape[2] % GROUP))), taps


def panels(runs: np.ndarray) -> np.ndarray:
    """Weights (OC, runs, bytes) panel by panel: each [group][channel] of 4 int8, as int32."""
    runs = np.pad(runs, ((0, -len(runs) % LANES), (0, 0), (0, 0)))
    groups = runs.reshape(len(runs), -1, GROUP)
    vectors, packed, done = len(runs) // LANES, [np.zeros(0, np.int8)], 0
    while done < vectors:
        _, width = panel_at(len(packed) - 1, vectors)
        channels = groups[done * LANES : (done + width) * LANES]
        packed.append(channels.transpose(1, 0, 2).reshape(-1))
        done += width
    return np.concatenate(packed).view(np.int32)


def blocks(
    bias: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, ends: tuple[int, int], zero: int
) -> np.ndarray:
    """The numbers of each vector of channels, (vectors, rows, 16) int32; see int8_requantize.

    bias, multiplier, shift   (OC,) int64, the bias with the input's zero point in it
    ends, zero                smallest and largest byte of the output; the byte that stands for 0
    """
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    rows = {
        "bias": (bias + 2**31) % 2**32 - 2**31,  # sums wrap around, so may what they begin with
        "left": left,
        "even": multiplier,
        "odd": np.append(multiplier[1:], 0),
        "limit": np.where(right > 0, 0, -(2**31)),
        "half": (1 << right) >> 1,
        "shift": right,
        "low": np.full_like(bias, ends[0] - zero),
        "high": np.full_like(bias, ends[1] - zero),
        "zero": np.full_like(bias, zero),
    }
    table = np.stack([rows[name] for name in ROWS])
    table = np.pad(table, ((0, 0), (0, -len(bias) % LANES)))
    return table.reshape(len(ROWS), -1, LANES).transpose(1, 0, 2).astype(np.int32)


def fits(runs: np.ndarray, bias: np.ndarray, shift: np.ndarray) -> bool:
    """Whether the tile is exact for any input: it adds the half of 2^shift within 32 bits."""
    sums = [255 * part.sum((1, 2), dtype=np.int64) for part in (runs.clip(0), runs.clip(max=0))]
    largest = np.maximum(abs(bias + sums[0]), abs(bias + sums[1]))
    half = (1 << np.maximum(-shift, 0)) >> 1
    return bool((largest + half < 2**31).all() and shift.max() <= 30)
