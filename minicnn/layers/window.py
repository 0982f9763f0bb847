"""What convolution and pooling share: a window that slides over an image."""

from __future__ import annotations

import numpy as np

from minicnn.kernels.memory import empty
from minicnn.layers.base import Layer, Shape, pair


class Window(Layer):
    """Kernel, stride and padding ("valid" or TensorFlow's "same") over (H, W, C)."""

    def __init__(
        self, kernel: int | tuple[int, int], stride: int | tuple[int, int], padding: str
    ) -> None:
        super().__init__()
        self.kernel = pair(kernel, "kernel")
        self.stride = pair(stride, "stride")
        if padding not in ("valid", "same"):
            raise ValueError(f'padding is {padding!r}, wanted "valid" or "same"')
        self.padding = padding

    def out_size(self, shape: Shape) -> tuple[int, int]:
        """(OH, OW) for an input of shape (H, W, C)."""
        if len(shape) != 3:
            raise self.error(f"wanted (H, W, C) input, got shape {shape}")
        if self.padding == "same":
            down, right = (-(-size // step) for size, step in zip(shape, self.stride, strict=False))
            return down, right
        if shape[0] < self.kernel[0] or shape[1] < self.kernel[1]:
            raise self.error(
                f"input of {shape[0]}x{shape[1]} (H x W) is smaller than "
                f"its {self.kernel[0]}x{self.kernel[1]} window"
            )
        down, right = (
            (size - kernel) // step + 1
            for size, kernel, step in zip(shape, self.kernel, self.stride, strict=False)
        )
        return down, right

    def pad(self, shape: Shape) -> tuple[int, int]:
        """Rows above and columns left of the image that count as padding."""
        return pad_before(shape, self.kernel, self.stride, self.padding)


def pad_before(
    shape: Shape, kernel: tuple[int, int], stride: tuple[int, int], padding: str
) -> tuple[int, int]:
    """Rows above and columns left of an image of ``shape`` (H, W, ...) that count as padding.

    TensorFlow's 'same' pads just enough for ceil(size / stride) outputs and puts the odd row or
    column at the end.
    """
    if padding == "valid":
        return 0, 0
    top, left = (
        max((-(-size // step) - 1) * step + length - size, 0) // 2
        for size, step, length in zip(shape, stride, kernel, strict=False)
    )
    return top, left


def like(x: np.ndarray, shape: Shape) -> np.ndarray:
    """An unfilled array of another shape and x's dtype."""
    return empty(shape, x.dtype)
