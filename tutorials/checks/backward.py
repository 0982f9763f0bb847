"""Tutorial 2: the gradients of a convolution, and the numeric gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong

Gradients = tuple[np.ndarray, np.ndarray, np.ndarray]
Backward = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Gradients]
Function = Callable[[np.ndarray], float]
Place = tuple[int, ...]

ALL_PLACES = "Every output pixel adds its part: += and not =. Here only the last one is left."
LAST_IMAGE = "Only the last image is in it: gradients add up over all images of the batch."
STRIDE = "Is the stride in it? Window (i, j) begins at row i * stride, column j * stride."
FIRST_IMAGE = "Everything is done with image 0: x[n, ...], dx[n, ...]."
TURNED = "The window is turned around: w[o, 0, 0] met the first pixel of x, top left, in forward."
FELT = "x and w are exchanged: a step of w is felt x times, a step of x is felt w times."
EXCHANGED = "Rows and columns of the window are exchanged."


def conv2d_backward(yours: Backward) -> None:
    """Digits first, so that one can read off who gave what; then random numbers, with strides."""
    x = np.arange(1.0, 10).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    dy = np.array([[1.0, 10], [100, 1000]]).reshape(1, 2, 2, 1)
    _one(yours, "", x, w, dy, 1)

    rng = np.random.default_rng(0)
    for stride, kernel in ((1, (3, 2)), (2, (3, 3)), (2, (2, 3))):
        x = rng.standard_normal((2, 8, 7, 3))
        w = rng.standard_normal((4, *kernel, 3))
        OH, OW = (8 - kernel[0]) // stride + 1, (7 - kernel[1]) // stride + 1
        dy = rng.standard_normal((2, OH, OW, 4))
        _one(yours, f" for stride {stride}", x, w, dy, stride)


def _one(
    yours: Backward, what: str, x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int
) -> None:
    given = [a.copy() for a in (x, w, dy)]
    try:
        result = yours(x, w, dy, stride)
    except (IndexError, ValueError) as error:
        raise Wrong(
            f"{error}. Do the windows have KH rows and KW columns, from row i * stride and column "
            "j * stride on?"
        ) from None
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise Wrong("Wanted are three arrays: dx, dw, db.")
    for name, before, after in zip(("x", "w", "dy"), given, (x, w, dy), strict=True):
        if not np.array_equal(before, after):
            raise Wrong(f"{name} was changed. The gradients belong into dx, dw and db.")
    dx, dw, db = result
    same(f"db{what}", db, dy.sum(axis=(0, 1, 2)), _db_mistakes(dy), "o")
    right_dx, right_dw = _gradients(x, w, dy, stride)
    same(f"dw{what}", dw, right_dw, _dw_mistakes(x, w, dy, stride), "o kh kw c")
    same(f"dx{what}", dx, right_dx, _dx_mistakes(x, w, dy, stride), "n h w c")


def _db_mistakes(dy: np.ndarray) -> list[Mistake]:
    summed, pixels = dy.sum(axis=(0, 1, 2)), dy[..., 0].size
    return [
        Mistake(0 * summed, "The bias has a gradient too: b[o] is in every output pixel once."),
        Mistake(summed / pixels, "A sum is wanted, not the mean: dy says already what each counts"),
        Mistake(summed / len(dy), "It is divided by N: dy says already what each image counts."),
        Mistake(dy[-1, -1, -1], ALL_PLACES),
        Mistake(dy[-1].sum(axis=(0, 1)), LAST_IMAGE),
        Mistake(dy[0].sum(axis=(0, 1)), FIRST_IMAGE),
        Mistake(np.full_like(summed, dy.sum()), "Each output has a bias of its own: dy[..., o]."),
        Mistake(
            summed * len(summed), "Inside the loop over o it is db[o] += dy[n, i, j, o], that o's."
        ),
        Mistake(np.full_like(summed, pixels), "How steep is the loss there? dy is missing."),
        Mistake(-summed, "The sign is turned around."),
    ]


def _dw_mistakes(x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int) -> Iterator[Mistake]:
    def dw(x: np.ndarray, dy: np.ndarray, stride: int = stride) -> np.ndarray:
        return _gradients(x, w, dy, stride)[1]

    last = np.zeros_like(dy)
    last[-1, -1, -1] = dy[-1, -1, -1]
    right = dw(x, dy)
    yield Mistake(np.zeros_like(right), "Nothing was added to dw.")
    yield Mistake(dw(x, last), ALL_PLACES)
    yield Mistake(dw(x[-1:], dy[-1:]), LAST_IMAGE)
    yield Mistake(dw(x[:1].repeat(len(x), 0), dy), FIRST_IMAGE)
    yield Mistake(dw(x, dy, 1), STRIDE)
    yield Mistake(right / len(x), "It is divided by N: dy says already what each image counts.")
    yield Mistake(right / dy[..., 0].size, "A sum is wanted, not the mean over the places.")
    yield Mistake(dw(x, np.ones_like(dy)), "How steep is the loss there? dy is missing.")
    yield Mistake(dy.sum(axis=(0, 1, 2))[:, None, None, None] * w, FELT)
    yield Mistake(right[:, ::-1, ::-1], TURNED)
    if right.shape[1] == right.shape[2]:
        yield Mistake(right.transpose(0, 2, 1, 3), EXCHANGED)
    yield Mistake(
        np.broadcast_to(dw(x, dy).sum(axis=0), right.shape),
        "Each output has weights of its own: dw[o] takes dy[..., o].",
    )
    yield Mistake(right.transpose(1, 2, 3, 0), "Weights are OC KH KW C, and dw is like w.")
    yield Mistake(_gradients(x, w, dy, stride)[0], "That is dx: the order is dx, dw, db.")
    yield Mistake(-right, "The sign is turned around.")


def _dx_mistakes(x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int) -> Iterator[Mistake]:
    def dx(w: np.ndarray, dy: np.ndarray, stride: int = stride) -> np.ndarray:
        return _gradients(x, w, dy, stride)[0]

    right = dx(w, dy)
    yield Mistake(np.zeros_like(right), "Nothing was added to dx.")
    for over_outputs in (False, True):
        yield Mistake(
            _overwritten(x, w, dy, stride, over_outputs),
            "Pixels lie in several windows, and each window adds its part: += and not =.",
        )
    yield Mistake(
        dx(w[-1:], dy[..., -1:]),
        "Only the last output is in it: all OC outputs look at the same pixels, += and not =.",
    )
    yield Mistake(dx(w, dy, 1), STRIDE)
    images = np.zeros_like(right)
    images[0] = right.sum(axis=0)
    yield Mistake(images, FIRST_IMAGE)
    yield Mistake(right / len(x), "It is divided by N: dy says already what each image counts.")
    yield Mistake(dx(w[:, ::-1, ::-1], dy), TURNED)
    if w.shape[1] == w.shape[2]:
        yield Mistake(dx(w.transpose(0, 2, 1, 3), dy), EXCHANGED)
    yield Mistake(dx(w, np.ones_like(dy)), "How steep is the loss there? dy is missing.")
    yield Mistake(dx(np.ones_like(w), dy), "A step of x is felt w times as much: w is missing.")
    whole = np.zeros_like(right)
    for n, i, j in np.ndindex(*dy.shape[:3]):
        whole[n, i, j] += np.tensordot(dy[n, i, j], w, 1).sum()
    yield Mistake(whole, "A window of dx gets something: each of its pixels by its own weight.")
    felt = np.zeros_like(right)
    for place, seen in _windows(dy.shape, w, stride):
        felt[seen] += dy[place].sum() * x[seen]
    yield Mistake(felt, FELT)
    yield Mistake(
        dx(w[:1].repeat(len(w), 0), dy), "Each output has weights of its own: w[o] goes with o."
    )
    yield Mistake(_gradients(x, w, dy, stride)[1], "That is dw: the order is dx, dw, db.")
    yield Mistake(-right, "The sign is turned around.")


def _windows(shape: Place, w: np.ndarray, stride: int) -> Iterator[tuple[Place, tuple]]:
    """The places (n, i, j) of dy, and the part of x that each looks at."""
    KH, KW = w.shape[1:3]
    for n, i, j in np.ndindex(*shape[:3]):
        h, v = i * stride, j * stride
        yield (n, i, j), (n, slice(h, h + KH), slice(v, v + KW))


def _gradients(
    x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for place, seen in _windows(dy.shape, w, stride):
        dw += dy[place][:, None, None, None] * x[seen]
        dx[seen] += np.tensordot(dy[place], w, 1)
    return dx, dw


def _overwritten(
    x: np.ndarray, w: np.ndarray, dy: np.ndarray, stride: int, over_outputs: bool
) -> np.ndarray:
    dx = np.zeros_like(x)
    for place, seen in _windows(dy.shape, w, stride):
        dx[seen] = dy[place][-1] * w[-1] if over_outputs else np.tensordot(dy[place], w, 1)
    return dx


def numeric_gradient(yours: Callable[[Function, np.ndarray, float], np.ndarray]) -> None:
    """Cubes with a large step, where every wrong quotient shows; then another function."""
    _numeric(yours, "the slope of w[0]³ - w[1]³ + w[2]³", _cubes, np.array([1.0, 2, 3]), 0.3)
    w = np.random.default_rng(0).standard_normal((2, 3))
    _numeric(yours, "the slope of exp(w.sum()) * w[0, 0]", _uneven, w, 0.1)


def _cubes(w: np.ndarray) -> float:
    return float((w**3 * [1, -1, 1]).sum())


def _uneven(w: np.ndarray) -> float:
    return float(np.exp(w.sum()) * w[0, 0])


def _numeric(yours: Callable, what: str, f: Function, w: np.ndarray, h: float) -> None:
    def slopes(quotient: Callable[[np.ndarray], float]) -> np.ndarray:
        units = np.eye(w.size).reshape(-1, *w.shape)
        return np.array([quotient(h * unit) for unit in units]).reshape(w.shape)

    right = slopes(lambda step: (f(w + step) - f(w - step)) / (2 * h))
    one_side = "That is one side only, from w to w + h or w - h. Take both: from w - h to w + h."
    way = "From w - h to w + h it is 2 * h: the change is divided by too little or too much."
    mistakes = [
        Mistake(slopes(lambda step: (f(w + step) - f(w)) / h), one_side),
        Mistake(slopes(lambda step: (f(w) - f(w - step)) / h), one_side),
        Mistake(slopes(lambda step: (f(w + step) - f(w)) / (2 * h)), one_side),
        Mistake(2 * right, way),
        Mistake(right / 2, way),
        Mistake(2 * h * right, "The change alone is no slope yet: divide by the way, 2 * h."),
        Mistake(h * h * right, "Python reads a / 2 * h as (a / 2) * h: parentheses around 2 * h."),
        Mistake(
            slopes(lambda step: f(w + step) - f(w - step) / (2 * h)),
            "Only f(w - step) was divided: parentheses around the difference.",
        ),
        Mistake(np.abs(right), "A slope can be negative: the function may fall."),
        Mistake(-right, "The sign is turned around: f(w + step) - f(w - step)."),
        Mistake(
            np.full(w.shape, (f(w + h) - f(w - h)) / (2 * h)),
            "All elements moved at once: add `step`, which is h in one place and 0 elsewhere.",
        ),
    ]
    before = w.copy()
    try:
        with np.errstate(all="ignore"):
            got = yours(f, w, h)
    except ValueError as error:
        raise Wrong(
            f"{error}. Divide by the number h; `step` is an array, with zeros in it."
        ) from None
    if not np.array_equal(w, before):
        raise Wrong("w was changed: after the measurement it must be as before. w + step is a copy")
    same(f"{what}, h = {h}", got, right, mistakes, tolerance=1e-6)
