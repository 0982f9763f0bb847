"""The fire module of SqueezeNet (Iandola et al., 2016, arXiv:1602.07360)."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.layers.base import Layer, Shape
from minicnn.layers.conv import Conv2D, relu_gradient
from minicnn.layers.window import like


class Fire(Layer):
    """A 1x1 convolution to ``squeeze`` channels, then 1x1 and 3x3 ones to ``expand`` each.

    The two expands are concatenated: (N, H, W, in_channels) to (N, H, W, 2 * expand); ReLU after
    each convolution. Both expands write into halves of one array, so concatenation costs nothing.
    """

    ends_in_relu = True
    masks_dx = True

    def __init__(
        self,
        in_channels: int,
        squeeze: int,
        expand: int,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(rng)
        self.expand = expand
        self.squeeze = Conv2D(in_channels, squeeze, 1, relu=True, rng=rng)
        self.expand1 = Conv2D(squeeze, expand, 1, relu=True, rng=rng)
        self.expand3 = Conv2D(squeeze, expand, 3, padding="same", relu=True, rng=rng)
        self.set_path("")

    def children(self) -> tuple[tuple[str, Layer], ...]:
        return ("squeeze", self.squeeze), ("expand1", self.expand1), ("expand3", self.expand3)

    def out_shape(self, shape: Shape) -> Shape:
        return (*self.squeeze.out_shape(shape)[:2], 2 * self.expand)

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        s = self.squeeze.forward(x, train)
        y = like(s, (*s.shape[:3], 2 * self.expand))
        self.expand1.forward_into(y, 0, s)
        self.expand3.forward_into(y, self.expand, s)
        if train:
            self.cache = s, y
        return y

    def backward(
        self, dy: np.ndarray, relu_done: bool = False, x_is_relu: bool = False
    ) -> np.ndarray:
        """dx; ``relu_done`` and ``x_is_relu`` as for Conv2D."""
        s, y = self.take_cache()
        dy = self.checked_gradient(dy, y.shape)
        if not relu_done:
            dy = relu_gradient(dy, y)
        self.expand1.backward_weights(s, dy, 0)
        self.expand3.backward_weights(s, dy, self.expand)
        w1, w3 = (expand.params["w"].value for expand in (self.expand1, self.expand3))
        ds = like(s, s.shape)
        kernels.expands_backward_input(dy, w1, w3, s, ds)
        return self.squeeze.backward(ds, relu_done=True, x_is_relu=x_is_relu)

    def emit(self, graph: Any, tensor: int) -> int:
        s = self.squeeze.emit(graph, tensor)
        halves = [self.expand1.emit(graph, s), self.expand3.emit(graph, s)]
        shape = (*graph.shape(s)[:2], 2 * self.expand)
        return graph.add("CONCATENATION", halves, shape, self.path)
