"""A network: layers one after another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.layers.base import Layer, Shape


class Sequential(Layer):
    """Layers in order. Give (name, layer) pairs, or layers to have them numbered by kind."""

    def __init__(self, layers: Iterable[Layer | tuple[str, Layer]]) -> None:
        super().__init__()
        self.layers: dict[str, Layer] = {}
        seen: dict[str, int] = {}
        for item in layers:
            if isinstance(item, Layer):
                kind = type(item).__name__.lower()
                seen[kind] = seen.get(kind, 0) + 1
                item = f"{kind}{seen[kind]}", item
            name, layer = item
            if name in self.layers:
                raise ValueError(f"two layers are called {name!r}: names must differ")
            self.layers[name] = layer
        self.set_path("")

    def children(self) -> tuple[tuple[str, Layer], ...]:
        return tuple(self.layers.items())

    def out_shape(self, shape: Shape) -> Shape:
        for layer in self.layers.values():
            shape = layer.out_shape(shape)
        return shape

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        for layer in self.layers.values():
            x = layer.forward(x, train)
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        for layer in reversed(self.layers.values()):
            dy = layer.backward(dy)
        return dy

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (N, classes) for x (N, H, W, C): the softmax of ``forward``."""
        logits = self.forward(x)
        y = np.empty_like(logits)
        kernels.softmax_forward(logits, y)
        return y

    def emit(self, graph: Any, tensor: int) -> int:
        for layer in self.layers.values():
            tensor = layer.emit(graph, tensor)
        return tensor
