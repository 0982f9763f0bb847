"""How long networks take for one image, measured in turns so that a busy moment hits them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import numpy as np

from minicnn import kernels
from minicnn.layers import Layer, Shape

ROUNDS, SECONDS = 40, 4.0  # at most: large networks get fewer rounds
WARM = 3  # rounds that do not count: memory is asked for, weights are packed


def milliseconds(nets: Sequence[Layer], shape: Shape) -> list[float]:
    """The median time of each float32 ``forward`` for one image of ``shape``, (H, W, 3)."""
    x = np.random.default_rng(0).standard_normal((1, *shape), np.float32)
    rounds: list[list[float]] = []
    with kernels.constant_weights():
        until = time.perf_counter() + SECONDS
        while len(rounds) <= WARM or (len(rounds) < ROUNDS and time.perf_counter() < until):
            rounds.append([_seconds(net, x) for net in nets])
    return [1000 * median(times) for times in zip(*rounds[WARM:], strict=True)]


def _seconds(net: Layer, x: np.ndarray) -> float:
    start = time.perf_counter()
    net.forward(x)
    return time.perf_counter() - start
