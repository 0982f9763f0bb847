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

    masks_dx = True

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

    @property
    def ends_in_relu(self) -> bool:  # type: ignore[override]
        """See :class:`Layer`."""
        return self.relu

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

    def backward(
        self, dy: np.ndarray, relu_done: bool = False, x_is_relu: bool = False
    ) -> np.ndarray:
        """dx; ``relu_done``: dy is past this layer's ReLU; ``x_is_relu``: dx is to be past x's."""
        x, y = self.take_cache()
        dy = self.checked_gradient(dy, y.shape)
        if self.relu and not relu_done:
            dy = relu_gradient(dy, y)
        self.backward_weights(x, dy, 0)
        if not self.input_gradient:
            return like(x, (0,))
        dx, mask = like(x, x.shape), x if x_is_relu else no_mask(x)
        pad = self.pad(x.shape[1:])
        kernels.conv2d_backward_input(dy, self.params["w"].value, self.stride, pad, mask, dx)
        return dx

    def backward_weights(self, x: np.ndarray, dy: np.ndarray, channel: int) -> None:
        """Gradients of w and b from the OC channels of dy from ``channel`` on, past the ReLU."""
        w, b = self.params["w"], self.params["b"]
        pad, adding = self.pad(x.shape[1:]), w.adding
        kernels.conv2d_backward_weights(
            x, dy, channel, self.stride, pad, adding, w.grad_to_fill(), b.grad_to_fill()
        )

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
            activation="RELU" if self.relu else "NONE",
        )


def relu_gradient(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """dy where the ReLU's output y is positive, 0 elsewhere; a new array. Both contiguous."""
    dx = like(y, y.shape)
    kernels.relu_backward(dy, y, dx)
    return dx


def no_mask(x: np.ndarray) -> np.ndarray:
    """An array of x's dtype and dimensions that has no elements: kernels then mask nothing."""
    return np.empty((0,) * x.ndim, x.dtype)
