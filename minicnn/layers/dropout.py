"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.kernels.memory import empty
from minicnn.layers.base import Layer, Shape


class Dropout(Layer):
    """In training, sets each value to 0 with probability ``rate`` and scales the rest up.

    Kept values are divided by 1 - rate, so inference needs no change (Keras does the same).
    Which values go is decided by a hash of the key that :meth:`Layer.seed_dropout` sets and of the
    value's number in the stream: backward asks again instead of keeping a mask.
    """

    keeps_signs = True

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"dropout rate is {rate!r}, wanted 0 <= rate < 1")
        self.rate = rate
        self.reseed([int(np.random.default_rng().integers(2**32))])

    def reseed(self, entropy: list[int]) -> None:
        self.key = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        self.drawn = 0  # values of the stream that earlier forwards took

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, _ = self.checked(x)
        if not train:
            return x
        y = empty(x.shape, x.dtype)
        kernels.dropout(x, self.rate, self.key, self.drawn, y)
        self.cache = x.shape, self.drawn
        self.drawn += x.size
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        shape, first = self.take_cache()
        dy = self.checked_gradient(dy, shape)
        dx = empty(shape, dy.dtype)
        kernels.dropout(dy, self.rate, self.key, first, dx)
        return dx

    def emit(self, graph: Any, tensor: int) -> int:
        return tensor  # it does nothing after training
