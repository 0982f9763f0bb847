"""A network: layers one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.layers.base import Layer, Param, Shape
from minicnn.layers.fusion import fused_pairs, fused_relus

BLOCK_BYTES = 32 << 20  # activations of the images that go through the network together


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
        self._stages = fused_pairs(list(self.layers.values()))
        self._fused = fused_relus(self._stages)

    def children(self) -> tuple[tuple[str, Layer], ...]:
        return tuple(self.layers.items())

    def out_shape(self, shape: Shape) -> Shape:
        for layer in self.layers.values():
            shape = layer.out_shape(shape)
        return shape

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        for layer in self._stages:
            x = layer.forward(x, train)
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        for layer, fused in zip(reversed(self._stages), reversed(self._fused), strict=True):
            dy = layer.backward(dy, **fused)
        return dy

    def gradients(
        self,
        x: np.ndarray,
        labels: np.ndarray,
        loss: Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]],
    ) -> tuple[float, np.ndarray]:
        """(value, logits) of forward, loss and backward; every ``param.grad`` is written.

        The same as the three calls one after the other, but a block of images at a time: what a
        layer writes is still in the processor's caches when the next one reads it, and activations
        of one block only are kept. ``loss`` is a mean over images, as those of ``minicnn.loss``.
        """
        N, step = len(x), self.images_per_block(x.shape[1:])
        value, logits, params = 0.0, [], list(self.named_params().values())
        with kernels.constant_weights():
            for start in range(0, N, step):
                block = slice(start, min(start + step, N))
                y = self.forward(x[block], train=True)
                mean, dy = loss(y, labels[block])
                share = len(y) / N
                with adding(params, start > 0):
                    self.backward(dy * dy.dtype.type(share))
                value += mean * share
                logits.append(y)
        return value, np.concatenate(logits)

    def images_per_block(self, shape: Shape) -> int:
        """How many images of shape (H, W, C) ``gradients`` takes at a time.

        Their activations come to BLOCK_BYTES, or to several times the weights where those are more:
        each block reads all weights and adds to all gradients, and that has to be worth it. The
        number of threads has no say, so that it does not change the result.
        """
        values = 0
        for layer in self._stages:
            shape = layer.out_shape(shape)
            values += math.prod(shape)
        return max(1, max(BLOCK_BYTES, 16 * self.count_params()) // (4 * values))

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


@contextmanager
def adding(params: list[Param], on: bool) -> Iterator[None]:
    """Inside, ``backward`` adds to the gradients of these parameters if ``on``."""
    for param in params:
        param.adding = on
    try:
        yield
    finally:
        for param in params:
            param.adding = False
