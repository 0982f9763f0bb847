"""Max-pooling and average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.kernels.memory import empty
from minicnn.layers.base import Layer, Shape
from minicnn.layers.window import Window, like


class _Pool(Window):
    """A window whose stride is the window itself unless told."""

    op = ""

    def __init__(
        self,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: str = "valid",
    ) -> None:
        super().__init__(kernel, kernel if stride is None else stride, padding)

    def out_shape(self, shape: Shape) -> Shape:
        return (*self.out_size(shape), shape[2])

    def emit(self, graph: Any, tensor: int) -> int:
        return graph.add(
            self.op,
            [tensor],
            self.out_shape(graph.shape(tensor)),
            self.path,
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
        )


class MaxPool2D(_Pool):
    """The largest value of each window; padding never wins. (N, H, W, C) to (N, OH, OW, C)."""

    op = "MAX_POOL_2D"
    keeps_signs = True

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, shape = self.checked(x)
        y = like(x, shape)
        area = self.kernel[0] * self.kernel[1]
        argmax = empty(shape, np.uint8 if area <= 256 else np.int32)
        pad = self.pad(x.shape[1:])
        kernels.maxpool_forward(x, self.kernel, self.stride, pad, y, argmax)
        if train:
            self.cache = x.shape, argmax
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        shape, argmax = self.take_cache()
        dx = like(dy, shape)
        dy, pad = self.checked_gradient(dy, argmax.shape), self.pad(shape[1:])
        kernels.maxpool_backward(dy, argmax, self.kernel, self.stride, pad, dx)
        return dx


class AvgPool2D(_Pool):
    """The mean of each window; padding does not count. (N, H, W, C) to (N, OH, OW, C)."""

    op = "AVERAGE_POOL_2D"

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, shape = self.checked(x)
        y = like(x, shape)
        kernels.avgpool_forward(x, self.kernel, self.stride, self.pad(x.shape[1:]), y)
        if train:
            self.cache = x.shape
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        shape = self.take_cache()
        dx = like(dy, shape)
        dy = self.checked_gradient(dy, (shape[0], *self.out_shape(shape[1:])))
        pad = self.pad(shape[1:])
        kernels.avgpool_backward(dy, self.kernel, self.stride, pad, dx)
        return dx


class GlobalAvgPool2D(Layer):
    """The mean of each channel over the whole image: (N, H, W, C) to (N, C)."""

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise self.error(f"wanted (H, W, C) input, got shape {shape}")
        return (shape[2],)

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, shape = self.checked(x)
        N, H, W, C = x.shape
        y = like(x, (N, 1, 1, C))
        kernels.avgpool_forward(x, (H, W), (H, W), (0, 0), y)
        if train:
            self.cache = x.shape
        return y.reshape(shape)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        N, H, W, C = self.take_cache()
        dx = like(dy, (N, H, W, C))
        dy = self.checked_gradient(dy, (N, C)).reshape(N, 1, 1, C)
        kernels.avgpool_backward(dy, (H, W), (H, W), (0, 0), dx)
        return dx

    def emit(self, graph: Any, tensor: int) -> int:
        H, W, C = graph.shape(tensor)
        pooled = graph.add(
            *("AVERAGE_POOL_2D", [tensor], (1, 1, C), self.path),
            kernel=(H, W),
            stride=(H, W),
            padding="valid",
        )
        new_shape = np.array([1, C], np.int32)
        return graph.add("RESHAPE", [pooled], (C,), self.path, new_shape=new_shape)
