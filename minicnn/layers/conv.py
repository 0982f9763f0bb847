"""Convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.layers.base import Param, Shape, he_normal
from minicnn.layers.window import Window, like


class Conv2D(Window):
    """y = x correlated with w, plus b, with an optional ReLU.

    Parameters: w (OC, KH, KW, C), He-normal from ``rng``; b (OC,), zeros.
    Input (N, H, W, C), output (N, OH, OW, OC). ``padding`` is "valid" or TensorFlow's "same".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str = "valid",
        relu: bool = False,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__(kernel, stride, padding)
        self.in_channels, self.out_channels, self.relu = in_channels, out_channels, relu
        w = he_normal(np.random.default_rng(rng), (out_channels, *self.kernel, in_channels))
        self.params["w"] = Param(w)
        self.params["b"] = Param(np.zeros(out_channels, np.float32), decay=False)

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) == 3 and shape[2] != self.in_channels:
            raise self.error(f"wanted {self.in_channels} channels, got {shape[2]} (shape {shape})")
        return (*self.out_size(shape), self.out_channels)

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, shape = self.checked(x)
        y = like(x, shape)
        self.forward_into(y, 0, x)
        if train:
            self.cache = x, y
        return y

    def forward_into(self, y: np.ndarray, channel: int, x: np.ndarray) -> None:
        """Fill the OC channels of y from ``channel`` on; a fire module's halves need it."""
        w, b = self.params["w"].value, self.params["b"].value
        pad = self.pad(x.shape[1:])
        kernels.conv2d_forward(x, w, b, self.stride, pad, self.relu, y, channel)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        x, y = self.take_cache()
        dy = self.checked_gradient(dy, y.shape)
        if self.relu:
            dy = relu_gradient(dy, y)
        dx = like(x, x.shape if self.input_gradient else (0,))
        self.backward_into(dx, False, x, dy, 0)
        return dx

    def backward_into(
        self, dx: np.ndarray, add: bool, x: np.ndarray, dy: np.ndarray, channel: int
    ) -> None:
        """Gradients from the OC channels of dy from ``channel`` on, past the ReLU already.

        Writes w's and b's; writes dx, or adds to it if ``add``, unless dx is empty.
        """
        w, b = self.params["w"], self.params["b"]
        w.grad, b.grad = np.empty_like(w.value), np.empty_like(b.value)
        pad = self.pad(x.shape[1:])
        kernels.conv2d_backward_weights(x, dy, channel, self.stride, pad, w.grad, b.grad)
        if dx.size:
            kernels.conv2d_backward_input(dy, channel, w.value, self.stride, pad, dx, add)

    def emit(self, graph: Any, tensor: int) -> int:
        return graph.add(
            "CONV_2D",
            [tensor],
            self.out_shape(graph.shape(tensor)),
            self.path,
            w=self.params["w"].value,
            b=self.params["b"].value,
            stride=self.stride,
            padding=self.padding,
            relu=self.relu,
        )


def relu_gradient(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy where the ReLU's output y is positive, 0 elsewhere; a new array. Both contiguous."""
    dx = np.empty_like(y)
    kernels.relu_backward(dy, y, dx)
    return dx
