"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.layers.base import Layer, Shape


class Dropout(Layer):
    """In training, sets each value to 0 with probability ``rate`` and scales the rest up.

    Kept values are divided by 1 - rate, so inference needs no change (Keras does the same).
    The random stream is set by :meth:`Layer.seed_dropout`.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"dropout rate is {rate!r}, wanted 0 <= rate < 1")
        self.rate = rate
        self.rng = np.random.default_rng()

    def reseed(self, entropy: list[int]) -> None:
        self.rng = np.random.default_rng(entropy)

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, _ = self.checked(x)
        if not train:
            return x
        kept = self.rng.random(x.shape, dtype=np.float32) >= self.rate
        self.cache = kept.astype(x.dtype) / x.dtype.type(1 - self.rate)
        return x * self.cache

    def backward(self, dy: np.ndarray) -> np.ndarray:
        scale = self.take_cache()
        return self.checked_gradient(dy, scale.shape) * scale

    def emit(self, graph: Any, tensor: int) -> int:
        return tensor  # it does nothing after training
