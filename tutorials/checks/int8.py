"""Tutorial 10: real numbers as int8, and a convolution in integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong

Quantize = Callable[[np.ndarray, float, int], np.ndarray]
Conv = Callable[[np.ndarray, int, np.ndarray, np.ndarray], np.ndarray]


def quantize(yours: Quantize) -> None:
    """Steps of a half first, with one value beyond either end; then random ones. No ties."""
    few = np.array([0.0, 0.5, 0.6, 0.8, -0.6, -0.8, 10.0, -100.0, 100.0])
    _quantize(yours, f"quantize({few.tolist()}, scale=0.5, zero_point=3)", few, 0.5, 3)
    many = np.random.default_rng(0).normal(1, 2, (40, 5)).astype(np.float32)
    _quantize(yours, "quantize(x, scale=0.02, zero_point=-90) for random x", many, 0.02, -90)


def _quantize(yours: Quantize, what: str, x: np.ndarray, scale: float, zero: int) -> None:
    steps = x / scale
    whole = np.round(steps)
    right = np.clip(whole + zero, -128, 127)
    order = "Divide by the scale first; the zero point is an integer, added after that."
    beyond = "Too large numbers wrap around: clip to -128..127 before the conversion to int8."
    late = "Add the zero point first, then clip: int8 ends at -128 and 127."
    unsigned = "0..255 is uint8: int8 goes from -128 to 127."
    candidates = (
        (np.clip(whole, -128, 127), "The zero point is missing."),
        (np.clip(whole - zero, -128, 127), "The zero point is added, not subtracted."),
        (
            np.clip(np.trunc(steps + 0.5) + zero, -128, 127),
            "int(x + 0.5) is off for negative numbers: np.round.",
        ),
        (np.clip(np.trunc(steps) + zero, -128, 127), _TRUNCATED),
        (np.clip(np.trunc(steps + zero), -128, 127), _TRUNCATED),
        (np.clip(np.floor(steps) + zero, -128, 127), _TRUNCATED),
        (np.clip(np.ceil(steps) + zero, -128, 127), "Round to the nearest, not up."),
        (np.clip(steps + zero, -128, 127), "An integer is wanted: np.round."),
        (_wrapped(whole + zero), beyond),
        (_wrapped(np.trunc(steps) + zero), f"{_TRUNCATED} {beyond}"),
        (_wrapped(np.trunc(steps + zero)), f"{_TRUNCATED} {beyond}"),
        (_wrapped(np.floor(steps) + zero), f"{_TRUNCATED} {beyond}"),
        (whole + zero, "Some are no int8: clip to -128..127."),
        (np.clip(whole + zero, 0, 255), unsigned),
        (_wrapped(np.clip(whole + zero, 0, 255)), unsigned),
        (np.clip(whole + zero + 128, 0, 255), unsigned),
        (np.clip(whole, -128, 127) + zero, late),
        (_wrapped(np.clip(whole, -128, 127) + zero), late),
        (np.clip(whole + zero, -127, 127), "-127 is for weights: activations go down to -128."),
        (np.clip(np.round((x + zero) / scale), -128, 127), order),
        (np.clip(np.round((x - zero) / scale), -128, 127), order),
        (np.clip(np.round(x) / scale + zero, -128, 127), "Divide first, then round."),
        (np.clip(np.trunc(np.round(x) / scale + zero), -128, 127), "Divide first, then round."),
        (np.clip(np.round(x * scale) + zero, -128, 127), "Divide by the scale: x = scale * q."),
    )
    with np.errstate(invalid="ignore"):  # NumPy may warn of a float that no int8 holds
        got = yours(x, scale, zero)
    same(what, got, right, [Mistake(gives, says) for gives, says in candidates])
    if np.asarray(got).dtype != np.int8:
        raise Wrong(
            f"{what} has the right values as {np.asarray(got).dtype}: convert them, once they are "
            "clipped, by .astype(np.int8)."
        )


_TRUNCATED = "Round to the nearest: a conversion to integers only cuts off, and // rounds down."


def _wrapped(values: np.ndarray) -> np.ndarray:
    """What int8 keeps of whole numbers."""
    return values.astype(np.int64).astype(np.int8)


def integer_conv(yours: Conv) -> None:
    """One pixel and its surroundings first, one channel; then random integers from end to end."""
    x = np.array([[[3], [5]]], np.int8)  # one row of two pixels: all else is padding
    w = np.arange(1, 10, dtype=np.int8).reshape(1, 3, 3, 1)
    _conv(yours, "total", x, 2, w, np.array([1000], np.int32))

    rng = np.random.default_rng(0)
    for zero in (-128, 17):
        x = rng.integers(-128, 128, (4, 5, 3)).astype(np.int8)
        w = rng.integers(-127, 128, (2, 3, 3, 3)).astype(np.int8)
        b = rng.integers(-5000, 5000, 2).astype(np.int32)
        _conv(yours, f"total for x_zero={zero}", x, zero, w, b)


def _conv(yours: Conv, what: str, x: np.ndarray, zero: int, w: np.ndarray, b: np.ndarray) -> None:
    none = np.zeros_like(b)
    taps = w[0].size
    right = _sums(x, w, b, zero, zero)
    unpadded = "Padding means the real number 0, which is the integer x_zero."
    missing = "What of the zero point? The real number is scale * (x - x_zero)."
    side = "The zero point is the input's: subtract it from x. That of the weights is 0."
    once = "The zero point is subtracted from every x, before it is multiplied."
    int8 = "int8 wraps around: widen x and w to int32 before anything else."
    candidates = [
        (_sums(x, w, b, zero, 0), unpadded),
        (_sums(x, w, b, zero, -128), unpadded),
        (_sums(x, w, b, 0, zero), missing),
        (_sums(x, w, b, 0, 0), f"{missing} And the padding is the integer x_zero."),
        (_sums(x, w, b, -zero, zero), "Subtract the zero point: scale * (x - x_zero)."),
        (_sums(x, w, b, -zero, 0), "Subtract the zero point: scale * (x - x_zero)."),
        (_sums(x, w, none, zero, zero), "The bias is missing: b[o]."),
        (_sums(x, w, none, zero, 0), f"The bias is missing: b[o]. {unpadded}"),
        (_sums(x, w, none, 0, zero), f"The bias is missing: b[o]. {missing}"),
        (_sums(x, w, taps * b, zero, zero), "The bias is added once, not for every product."),
        (_sums(x, w, b - zero, 0, zero), once),
        (_sums(x, w, b - zero, 0, 0), once),
        (_sums(x, w, b - taps * zero, 0, zero), once),
        (_sums(x, w, b - taps * zero, 0, 0), once),
        (_sums(x, w.astype(np.int64) - zero, b, 0, zero), side),
        (_sums(x, w.astype(np.int64) - zero, b, 0, 0), side),
        (_sums(x, w.astype(np.int64) - zero, b, zero, zero), side),
        (_wrapped(right), int8),
        (_wrapped(_sums(x, w, none, zero, zero)) + b, int8),
        (_sums(x, w, b, zero, zero, "x"), int8),
        (_sums(x, w, b, zero, zero, "products"), int8),
        (_sums(x, w[:, ::-1, ::-1], b, zero, zero), "The window is turned around."),
    ]
    try:
        got = yours(x, zero, w, b)
    except (ValueError, IndexError) as error:
        raise Wrong(
            f"{what}: {error}. One number is wanted: the window x[i:i+3, j:j+3], less x_zero, "
            "times w[o], its .sum(), and b[o]."
        ) from None
    same(what, got, right, [Mistake(*each) for each in candidates], "i j o", 1e-9)


def _sums(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, zero: int, padding: int, narrow: str = ""
) -> np.ndarray:
    """The convolution; ``narrow`` names what is kept in int8: "x", less its zero, or "products"."""
    padded = np.pad(x.astype(np.int64), [(1, 1), (1, 1), (0, 0)], constant_values=padding) - zero
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    windows = _wrapped(windows) if narrow else windows
    products = windows[:, :, None].astype(np.int64) * w.transpose(0, 3, 1, 2)  # H W OC C 3 3
    products = _wrapped(products) if narrow == "products" else products
    return products.sum(axis=(3, 4, 5), dtype=np.int64) + b
