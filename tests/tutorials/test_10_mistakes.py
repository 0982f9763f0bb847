"""What students get wrong in tutorial 10, and what its checks then say."""

import numpy as np
import pytest

from checks import int8 as check
from lesson import Wrong
from minicnn.kernels import int8


def clipped(values, low=-128, high=127):
    return np.minimum(np.maximum(values, low), high).astype(np.int8)


def wrapping(values):
    return values.astype(np.int64).astype(np.int8)


@pytest.mark.parametrize(
    ("quantize", "says"),
    [
        (lambda x, s, z: clipped(np.rint(x / s)), "zero point is missing"),
        (lambda x, s, z: clipped(np.rint(x / s) - z), "added, not subtracted"),
        (lambda x, s, z: clipped((x / s).astype(int) + z), "only cuts off"),
        (lambda x, s, z: clipped(x / s + z), "only cuts off"),
        (lambda x, s, z: clipped(x // s + z), "rounds down"),
        (lambda x, s, z: clipped(np.ceil(x / s) + z), "not up"),
        (lambda x, s, z: clipped((x / s + 0.5).astype(int) + z), "off for negative"),
        (lambda x, s, z: wrapping(np.rint(x / s) + z), "wrap around"),
        (lambda x, s, z: wrapping(x / s + z), "only cuts off"),
        (lambda x, s, z: np.rint(x / s) + z, "Some are no int8"),
        (lambda x, s, z: np.clip(np.rint(x / s) + z, 0, 255), "uint8"),
        (lambda x, s, z: np.clip(np.rint(x / s) + z, 0, 255).astype(np.uint8), "uint8"),
        (lambda x, s, z: wrapping(np.clip(np.rint(x / s) + z, 0, 255)), "uint8"),
        (lambda x, s, z: clipped(np.rint((x + z) / s)), "Divide by the scale first"),
        (lambda x, s, z: clipped(np.rint((x - z) / s)), "Divide by the scale first"),
        (lambda x, s, z: np.clip(np.rint(x / s), -128, 127) + z, "Add the zero point first"),
        (lambda x, s, z: clipped(np.rint(x / s)) + np.int8(z), "Add the zero point first"),
        (lambda x, s, z: clipped(np.rint(x / s) + z, -127), "is for weights"),
        (lambda x, s, z: clipped(np.rint(x * s) + z), "x = scale"),
        (lambda x, s, z: clipped(np.rint(x) / s + z), "then round"),
        (lambda x, s, z: np.clip(x / s + z, -128, 127), "An integer is wanted"),
        (lambda x, s, z: np.clip(np.rint(x / s) + z, -128, 127), "right values as float"),
        (lambda x, s, z: clipped(np.rint(x / s) + z)[:3], "has the shape"),
        (lambda x, s, z: clipped(np.rint(x / s) + z + 1), "off in"),
    ],
)
def test_quantizing(quantize, says):
    with pytest.raises(Wrong, match=says):
        check.quantize(quantize)


def convolution(inner, padding=lambda zero: zero, wide=True):
    """A student's integer_conv around ``inner(window, zero, w, b)``, the value of one sum."""

    def integer_conv(x, x_zero, w, b):
        if wide:
            x, w = x.astype(np.int32), w.astype(np.int32)
        x = np.pad(x, [(1, 1), (1, 1), (0, 0)], constant_values=padding(x_zero))
        total = np.zeros((x.shape[0] - 2, x.shape[1] - 2, len(w)), np.int32)
        for i, j, o in np.ndindex(total.shape):
            total[i, j, o] = inner(x[i : i + 3, j : j + 3], x_zero, w[o], b[o])
        return total

    return integer_conv


def right(window, zero, w, b):
    return ((window - zero) * w).sum() + b


def zeros(zero):
    return 0


@pytest.mark.parametrize(
    ("integer_conv", "says"),
    [
        (convolution(right, zeros), "Padding means the real number 0"),
        (convolution(right, lambda zero: -128), "Padding means the real number 0"),
        (convolution(lambda x, z, w, b: (x * w).sum() + b), "What of the zero point"),
        (convolution(lambda x, z, w, b: (x * w).sum() + b, zeros), "And the padding"),
        (convolution(lambda x, z, w, b: ((x + z) * w).sum() + b), "Subtract the zero point"),
        (convolution(lambda x, z, w, b: ((x + z) * w).sum() + b, zeros), "Subtract the zero point"),
        (convolution(lambda x, z, w, b: (x * (w - z)).sum() + b), "The zero point is the input's"),
        (convolution(lambda x, z, w, b: (x * (w - z)).sum() + b, zeros), "is the input's"),
        (convolution(lambda x, z, w, b: ((x - z) * (w - z)).sum() + b), "is the input's"),
        (convolution(lambda x, z, w, b: (x * w).sum() - z + b), "from every x"),
        (convolution(lambda x, z, w, b: (x * w - z).sum() + b), "from every x"),
        (convolution(lambda x, z, w, b: ((x - z) * w).sum()), "bias is missing"),
        (convolution(lambda x, z, w, b: ((x - z) * w).sum(), zeros), "bias is missing"),
        (convolution(lambda x, z, w, b: ((x - z) * w + b).sum()), "added once"),
        (convolution(right, wide=False), "int8 wraps around"),
        (
            convolution(lambda x, z, w, b: ((x - z) * w.astype(int)).sum() + b, wide=False),
            "int8 wraps around",
        ),
        (
            convolution(lambda x, z, w, b: ((x - z) * w).sum(dtype=np.int8) + b, wide=False),
            "int8 wraps around",
        ),
        (convolution(lambda x, z, w, b: right(x, z, w, b).astype(np.int8)), "int8 wraps around"),
        (convolution(lambda x, z, w, b: right(x, z, w[::-1, ::-1], b)), "turned around"),
        (convolution(lambda x, z, w, b: right(x, z, w, b) + 1), "off in"),
        (lambda x, z, w, b: convolution(right)(x, z, w, b)[1:], "has the shape"),
    ],
)
def test_convolutions(integer_conv, says):
    with pytest.raises(Wrong, match=says):
        check.integer_conv(integer_conv)


@pytest.mark.parametrize("rounded", [np.rint, lambda x: np.floor(x + 0.5)])
def test_the_right_answers_pass_whichever_way_ties_go(rounded):
    check.quantize(lambda x, s, z: clipped(rounded(x / s) + z))
    check.integer_conv(convolution(right))


def test_minicnns_own_kernels_pass():
    def quantize(x, scale, zero):
        y = np.empty(x.size, np.int8)
        flat = x.astype(np.float32).ravel()
        int8.quantize(flat, np.float32(scale), zero, -128, 127, y)
        return y.reshape(x.shape)

    def integer_conv(x, x_zero, w, b):
        y = np.empty((1, *x.shape[:2], len(w)), np.int32)
        one = np.full(len(w), 2**30, np.int32), np.ones(len(w), np.int32)  # 2^30 / 2^31 * 2^1
        ends = (0, (1, 1), (1, 1), (1, 1), -(2**31), 2**31 - 1)
        int8.conv2d(x[None], w, b, x_zero, *one, *ends, y)
        return y[0]

    check.quantize(quantize)
    check.integer_conv(integer_conv)
