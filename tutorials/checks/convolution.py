"""Tutorial 1: the size of an output, and the convolution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong

Conv = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
AXES = "n i j o"


def out_size(yours: Callable[[int, int, int, int], int]) -> None:
    """The number of places for odd and even sizes, strides and paddings."""
    for size, kernel, stride, padding in ((5, 3, 1, 0), (224, 3, 2, 0), (7, 3, 1, 1), (8, 3, 2, 1)):
        got = yours(size, kernel, stride, padding)
        room = size + 2 * padding - kernel
        what = f"out_size(size={size}, kernel={kernel}, stride={stride}, padding={padding})"
        if isinstance(got, float) and not got.is_integer():
            raise Wrong(
                f"{what} is {got:.6g}, which is not a whole number. A window that does not fit "
                "any more is left out: divide with //."
            )
        mistakes = (
            Mistake((size + padding - kernel) // stride + 1, "Padding is on both sides."),
            Mistake(room // stride, "The first place counts too: is there a + 1?"),
            Mistake(size - kernel + 1, f"What of the {'stride' if stride > 1 else 'padding'}?"),
            Mistake(
                (size - kernel) // stride + 1 + 2 * padding,
                "Padding makes the image larger: add it before dividing.",
            ),
            Mistake(-(-room // stride) + 1, "A window that does not fit is left out: round down."),
            Mistake(room + 1, "With a stride of 2 only every second place counts."),
            Mistake((size + 2 * padding) // stride - kernel + 1, "Take the kernel off first."),
            Mistake((room + 1) // stride, "Divide first, then add the first place."),
        )
        same(what, got, room // stride + 1, mistakes)


def conv2d(yours: Conv) -> None:
    """Whole numbers first, so that a student can follow them; then random ones, with strides."""
    counting = np.arange(1.0, 26, dtype=np.float32).reshape(1, 5, 5, 1)
    corner = np.zeros((1, 2, 2, 1), np.float32)
    corner[0, 0, :, 0] = 10, 1  # ten times the window's corner, and the pixel right of it
    _one(yours, "y", counting, corner, np.array([1000.0], np.float32), 1)

    rng = np.random.default_rng(0)
    for stride in (1, 2):
        x = rng.standard_normal((2, 7, 8, 3)).astype(np.float32)
        w = rng.standard_normal((4, 3, 2, 3)).astype(np.float32)
        b = rng.standard_normal(4).astype(np.float32)
        _one(yours, f"y for stride {stride}", x, w, b, stride)


def _one(yours: Conv, what: str, x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int) -> None:
    taps = w[0].size
    zero = np.zeros_like(b)
    mistakes = [
        Mistake(_conv2d(x, w, zero, stride), "Each output has its bias: b[o] is missing."),
        Mistake(_conv2d(x, w, taps * b, stride), "The bias is added once, not for every pixel."),
        Mistake(
            _conv2d(x, w[:, ::-1, ::-1], b, stride),
            "The window is turned around: w[o, 0, 0] belongs to the first pixel, top left.",
        ),
        Mistake(_unstrided(x, w, b, stride), "Is the stride in it? Rows begin at i * stride."),
        Mistake(
            _unstrided(x, w, b, stride, rows=stride),
            "Rows have their stride, columns not: they begin at j * stride.",
        ),
        Mistake(
            _unstrided(x, w, b, stride, columns=stride),
            "Columns have their stride, rows not: they begin at i * stride.",
        ),
        Mistake(_conv2d(x[..., :1], w[..., :1], b, stride), "Only the first channel was added up."),
        Mistake(
            _conv2d(x[:1].repeat(len(x), 0), w, b, stride), "All outputs show image 0: x[n, ...]."
        ),
    ]
    if w.shape[1] == w.shape[2]:
        turned = w.transpose(0, 2, 1, 3)
        mistakes.append(
            Mistake(_conv2d(x, turned, b, stride), "Rows and columns of the window are exchanged.")
        )
    try:
        y = yours(x, w, b, stride)
    except (IndexError, ValueError) as error:
        if "sequence" in str(error):
            raise Wrong(
                f"{what}: an output pixel is one number, and this is an array. Is .sum() missing, "
                "or b written for b[o], or w for w[o]?"
            ) from None
        raise Wrong(
            f"{what}: {str(error).rstrip('. ')}. Is w read as w[o, row, column, channel], and do "
            "the windows end inside the image?"
        ) from None
    same(what, y, _conv2d(x, w, b, stride), mistakes, AXES)


def _conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[1:3], axis=(1, 2))
    return np.einsum("nijcab,oabc->nijo", windows[:, ::stride, ::stride], w) + b


def _unstrided(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, stride: int, rows: int = 1, columns: int = 1
) -> np.ndarray:
    """As many outputs as with the stride, of windows ``rows`` and ``columns`` apart instead."""
    OH, OW = _conv2d(x, w, b, stride).shape[1:3]
    return _conv2d(x, w, b, 1)[:, ::rows, ::columns][:, :OH, :OW]
