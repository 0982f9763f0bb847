"""Tutorial 12: a convolution whose innermost loop runs along the channels, and its work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba.core.errors import NumbaError

from checks.compare import Mistake, same
from lesson import Wrong

Rows = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Count = Callable[[tuple[int, ...], tuple[int, ...]], int]
JUNK = 1000.0  # what y holds before


def conv_rows(yours: Rows) -> None:
    """Whole numbers first, with KH = KW and C = OC, so that any order of the weights fits."""
    x = np.arange(1.0, 19, dtype=np.float32).reshape(3, 3, 2)
    w = np.zeros((2, 2, 2, 2), np.float32)
    w[0, 0] = [[1, 0], [0, 10]]
    w[0, 1] = [[0, 2], [100, 0]]
    w[1, 1] = [[3, 0], [0, 20]]
    _one(yours, x, w, np.array([3000, 5000], np.float32))

    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 7, 3)).astype(np.float32)
    w = rng.standard_normal((3, 2, 3, 5)).astype(np.float32)
    _one(yours, x, w, rng.standard_normal(5).astype(np.float32))


def compiled(yours: Rows) -> None:
    """The same for the function as Numba compiled it."""
    try:
        conv_rows(yours)
    except NumbaError as error:
        why = str(error).strip().splitlines()[0]
        raise Wrong(
            "Your function is right, but Numba cannot compile it: keep to loops, numbers and "
            f"elements such as w[kh, kw, c, o]. ({why})"
        ) from None


def _one(yours: Rows, x: np.ndarray, w: np.ndarray, b: np.ndarray) -> None:
    right = _conv(x, w, b)
    taps = w[..., 0].size
    anew = []  # what is left if the sums begin anew with each row, pixel or channel of the window
    for loops in (1, 2, 3):
        last_of, part = (slice(-1, None),) * loops, np.zeros_like(w)
        part[last_of] = w[last_of]
        anew.append(_conv(x, part, b))
    last = x[w.shape[0] - 1 :, w.shape[1] - 1 :, -1:]
    mistakes = [
        Mistake(right - b, "The bias is missing: the sums begin with b, not with 0."),
        Mistake(right - b + JUNK, "The sums begin with what y held before: begin with b[o]."),
        Mistake(right + JUNK, "The bias came on top of what y held before: begin with = b[o]."),
        Mistake(right + (taps - 1) * b, "The bias is added once, not with every product."),
        *(
            Mistake(y, "The sums begin with b[o] again and again: once for a pixel, before kh.")
            for y in anew
        ),
        Mistake(
            last[: len(right), : right.shape[1]] * w[-1, -1, -1],
            "Only the last product is left: add up, with +=.",
        ),
        Mistake(
            last[: len(right), : right.shape[1]] * w[-1, -1, -1] + b,
            "Only the last product is left: add up, with +=.",
        ),
        Mistake(
            np.broadcast_to(right[:1, :1], right.shape),
            "All windows begin at the first pixel: rows begin at i, columns at j.",
        ),
        Mistake(
            x[: len(right), : right.shape[1]] @ w.sum(axis=(0, 1)) + b,
            "The window does not move: pixel (kh, kw) of it is x[i + kh, j + kw].",
        ),
    ]
    if w.shape[0] == w.shape[1] and w.shape[2] == w.shape[3]:
        mistakes += [
            Mistake(_conv(x, w.swapaxes(0, 1), b), "Rows and columns of w are exchanged."),
            Mistake(_conv(x, w.swapaxes(2, 3), b), "C and OC of w are exchanged: w[kh, kw, c, o]."),
            Mistake(
                _conv(x, w.transpose(1, 2, 3, 0), b),
                "w is KH KW C OC here, as it was made for this loop: w[kh, kw, c, o], not "
                "w[o, kh, kw, c].",
            ),
        ]
    y = np.full_like(right, JUNK)
    try:
        got = yours(x, w, b, y)
    except (IndexError, ValueError) as error:
        raise Wrong(
            f"y: {error}. Is w read as w[kh, kw, c, o], and x as x[i + kh, j + kw, c]?"
        ) from None
    same("y", got, right, mistakes, "i j o")
    if not np.shares_memory(got, y):
        raise Wrong("That is another array: fill the y that was given (y[i, j, o] = ...).")


def _conv(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(0, 1))
    return np.einsum("ijcab,abco->ijo", windows, w) + b


def multiply_adds(yours: Count) -> None:
    """One channel to one first, where the product has four factors that matter."""
    for x_shape, w_shape in (((3, 7, 7, 1), (1, 3, 3, 1)), ((2, 10, 7, 5), (6, 3, 2, 5))):
        N, H, W, C = x_shape
        OC, KH, KW, _ = w_shape
        OH, OW = H - KH + 1, W - KW + 1
        right = N * OH * OW * OC * KH * KW * C
        mistakes = (
            Mistake(right // N, "That is one image's: x holds N of them."),
            Mistake(
                2 * right,
                "Multiplications and additions were counted apart: that is FLOP. A multiply-add "
                "is one, as the processor has one instruction for both.",
            ),
            Mistake(
                N * H * W * OC * KH * KW * C,
                "These are the input's H and W: without padding the window stops at fewer places.",
            ),
            Mistake(
                N * (H - KH) * (W - KW) * OC * KH * KW * C,
                "The first place of the window counts too: is there a + 1?",
            ),
            Mistake(right * C, "C is in it twice."),
            Mistake(right * OC, "OC is in it twice: each output channel has its own window."),
            Mistake(right // C, "Windows are C channels deep."),
            Mistake(right // OC, "There is a window for each of the OC outputs."),
            Mistake(right // (KH * KW), "An output adds up KH * KW pixels."),
            Mistake(4 * right, "Multiply-adds were asked for, not bytes."),
        )
        same(f"multiply_adds({x_shape}, {w_shape})", yours(x_shape, w_shape), right, mistakes)
