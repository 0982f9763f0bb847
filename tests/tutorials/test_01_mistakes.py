"""What students get wrong in tutorial 1, and what its checks then say."""

import math

import numpy as np
import pytest

from checks import convolution as check
from lesson import Wrong


@pytest.mark.parametrize(
    ("out_size", "says"),
    [
        (lambda size, k, s, p: (size + 2 * p - k) // s, "first place counts"),
        (lambda size, k, s, p: (size + p - k) // s + 1, "both sides"),
        (lambda size, k, s, p: (size + 2 * p - k) / s + 1, "not a whole number"),
        (lambda size, k, s, p: size - k + 1, r"What of the stride\?"),
        (lambda size, k, s, p: (size - k) // s + 1, r"What of the padding\?"),
        (lambda size, k, s, p: math.ceil((size + 2 * p - k) / s) + 1, "round down"),
        (lambda size, k, s, p: (size - k) // s + 1 + 2 * p, "before dividing"),
        (lambda size, k, s, p: [size], "has the shape"),
        (lambda size, k, s, p: "five", "is a str, wanted a number"),
    ],
)
def test_sizes(out_size, says):
    with pytest.raises(Wrong, match=says):
        check.out_size(out_size)


def convolution(inner, stride_used=True):
    """A student's conv2d around ``inner(window, w, b, n, i, j, o)``, the value of a pixel."""

    def conv2d(x, w, b, stride):
        N, H, W, _ = x.shape
        OC, KH, KW, _ = w.shape
        OH, OW = (H - KH) // stride + 1, (W - KW) // stride + 1
        step = stride if stride_used else 1
        y = np.zeros((N, OH, OW, OC), np.float32)
        for n, i, j, o in np.ndindex(y.shape):
            window = x[n, i * step : i * step + KH, j * step : j * step + KW]
            y[n, i, j, o] = inner(window, w[o], b[o])
        return y

    return conv2d


def strided(rows=True, columns=True):
    """Right, but for a stride that is forgotten in one direction."""

    def conv2d(x, w, b, stride):
        y = convolution(right)(x, w, b, stride)
        every = convolution(right)(x, w, b, 1)
        chosen = every[:, :: stride if rows else 1, :: stride if columns else 1]
        return chosen[:, : y.shape[1], : y.shape[2]]

    return conv2d


def right(window, w, b):
    return (window * w).sum() + b


@pytest.mark.parametrize(
    ("conv2d", "says"),
    [
        (convolution(lambda window, w, b: (window * w).sum()), "its bias"),
        (convolution(lambda window, w, b: (window * w + b).sum()), "added once"),
        (convolution(lambda window, w, b: (window * w[::-1, ::-1]).sum() + b), "turned around"),
        (convolution(right, stride_used=False), r"i \* stride"),
        (convolution(lambda window, w, b: (window * w)[..., 0].sum() + b), "first channel"),
        (lambda x, w, b, s: convolution(right)(x[:1].repeat(len(x), 0), w, b, s), "image 0"),
        (lambda x, w, b, s: convolution(right)(x, w.transpose(0, 2, 1, 3), b, s), "exchanged"),
        (lambda x, w, b, s: convolution(right)(x, w, b, s)[:, :-1], "has the shape"),
        (convolution(lambda window, w, b: right(window, w[..., None], b)), "off in"),
        (lambda x, w, b, s: convolution(right)(x, w[:, :, :, :2], b, s), r"w\[o, row"),
        (convolution(lambda window, w, b: window * w + b), r"Is \.sum\(\) missing"),
        (lambda x, w, b, s: convolution(right)(x, w, np.tile(b, (len(b), 1)), s), "b written for"),
        (strided(rows=False), r"begin at i \* stride"),
        (strided(columns=False), r"begin at j \* stride"),
        (convolution(lambda window, w, b: np.nan), "off in"),
        (convolution(lambda window, w, b: right(window, w, b) * 1.01), "off in"),
    ],
)
def test_convolutions(conv2d, says):
    with pytest.raises(Wrong, match=says):
        check.conv2d(conv2d)


def test_the_right_answers_pass():
    check.out_size(lambda size, k, s, p: (size + 2 * p - k) // s + 1)
    check.conv2d(convolution(right))
