"""What students get wrong in tutorial 12, and what its checks then say."""

import math

import numba
import numpy as np
import pytest

from checks import speed as check
from lesson import Wrong
from minicnn import kernels


def rows(product, begin=lambda y, b: b):
    """A student's conv_rows: ``product(x, w, place)``, and what a pixel's sums begin with."""

    def conv_rows(x, w, b, y):
        KH, KW, C, OC = w.shape
        for i, j in np.ndindex(y.shape[:2]):
            y[i, j] = begin(y[i, j], b)
            for kh, kw, c, o in np.ndindex(KH, KW, C, OC):
                y[i, j, o] += product(x, w, (i, j, kh, kw, c, o))
        return y

    return conv_rows


def right(x, w, place):
    i, j, kh, kw, c, o = place
    return x[i + kh, j + kw, c] * w[kh, kw, c, o]


def weight(index):
    """A product whose weight is w[index(kh, kw, c, o)]."""
    return lambda x, w, p: x[p[0] + p[2], p[1] + p[3], p[4]] * w[index(*p[2:])]


def with_every_product(x, w, b, y):
    y[:] = 0
    for i, j, o in np.ndindex(y.shape):
        for kh, kw, c in np.ndindex(w.shape[:3]):
            y[i, j, o] += right(x, w, (i, j, kh, kw, c, o)) + b[o]
    return y


def last_product(x, w, b, y):
    for i, j, o in np.ndindex(y.shape):
        for kh, kw, c in np.ndindex(w.shape[:3]):
            y[i, j, o] = right(x, w, (i, j, kh, kw, c, o))
    return y


def begins_anew(axis):
    """The sums begin with the bias inside the loop over kh (0), kw (1) or c (2)."""

    def conv_rows(x, w, b, y):
        for i, j, o in np.ndindex(y.shape):
            for place in np.ndindex(w.shape[:3]):
                if not any(place[axis + 1 :]):
                    y[i, j, o] = b[o]
                y[i, j, o] += right(x, w, (i, j, *place, o))
        return y

    return conv_rows


@pytest.mark.parametrize(
    ("conv_rows", "says"),
    [
        *((begins_anew(axis), "again and again") for axis in range(3)),
        (lambda x, w, b, y: rows(right)(x, w, b, y.copy()), "another array"),
        (rows(right, begin=lambda y, b: 0), "bias is missing"),
        (rows(right, begin=lambda y, b: y), "what y held before"),
        (rows(right, begin=lambda y, b: y + b), "on top of what y held"),
        (with_every_product, "added once"),
        (last_product, "Only the last product"),
        (rows(weight(lambda kh, kw, c, o: (kw, kh, c, o))), "Rows and columns"),
        (rows(weight(lambda kh, kw, c, o: (kh, kw, o, c))), "C and OC"),
        (rows(weight(lambda kh, kw, c, o: (o, kh, kw, c))), "KH KW C OC here"),
        (rows(lambda x, w, p: x[p[0], p[1], p[4]] * w[p[2:]]), "does not move"),
        (rows(lambda x, w, p: x[p[2], p[3], p[4]] * w[p[2:]]), "begin at the first pixel"),
        (rows(lambda x, w, p: x[p[0] + 2, p[1] + p[3], p[4]] * w[p[2:]]), "Is w read as"),
        (rows(lambda x, w, p: x[p[4], p[0], p[1]] * w[p[2:]]), "off in"),
        (lambda x, w, b, y: rows(right)(x, w, b, y)[:, :-1], "has the shape"),
        (lambda x, w, b, y: rows(right)(x, w, b, y) * np.nan, "off in"),
    ],
)
def test_convolutions(conv_rows, says):
    with pytest.raises(Wrong, match=says):
        check.conv_rows(conv_rows)


def test_what_numba_cannot_compile_is_said_in_a_line():
    @numba.njit
    def conv_rows(x, w, b, y):
        return np.einsum("ijcab,abco->ijo", x, w) + b

    with pytest.raises(Wrong, match="Numba cannot compile"):
        check.compiled(conv_rows)


def count(outputs, window):
    """A student's multiply_adds from two functions of (N, H, W, C, OC, KH, KW)."""

    def multiply_adds(x_shape, w_shape):
        sizes = (*x_shape, *w_shape[:3])
        return outputs(*sizes) * window(*sizes)

    return multiply_adds


def places(N, H, W, C, OC, KH, KW):
    return N * OC * (H + 1 - KH) * (W + 1 - KW)


def taps(N, H, W, C, OC, KH, KW):
    return KH * KW * C


@pytest.mark.parametrize(
    ("multiply_adds", "says"),
    [
        (count(lambda N, *sizes: places(1, *sizes), taps), "one image's"),
        (count(places, lambda *sizes: 2 * taps(*sizes)), "FLOP"),
        (count(lambda N, H, W, C, OC, KH, KW: N * OC * H * W, taps), "input's H and W"),
        (count(lambda N, H, W, C, OC, KH, KW: N * OC * (H - KH) * (W - KW), taps), r"\+ 1"),
        (count(places, lambda N, H, W, C, OC, KH, KW: KH * KW * C * OC), "OC is in it twice"),
        (count(places, lambda N, H, W, C, OC, KH, KW: KH * KW), "C channels deep"),
        (count(places, lambda N, H, W, C, OC, KH, KW: KH * KW * C * C), "C is in it twice"),
        (count(lambda *sizes: places(*sizes) // sizes[4], taps), "each of the OC"),
        (count(places, lambda N, H, W, C, OC, KH, KW: C), "KH . KW pixels"),
        (count(places, lambda *sizes: 1), "KH . KW pixels"),
        (count(places, lambda *sizes: 4 * taps(*sizes)), "not bytes"),
        (lambda x_shape, w_shape: math.prod(x_shape), "wanted 675"),
        (lambda x_shape, w_shape: x_shape, "has the shape"),
    ],
)
def test_counts(multiply_adds, says):
    with pytest.raises(Wrong, match=says):
        check.multiply_adds(multiply_adds)


def test_the_right_answers_pass_and_minicnns_own_too():
    check.conv_rows(rows(right))
    check.multiply_adds(count(places, taps))

    def minicnns(x, w, b, y):
        turned = np.ascontiguousarray(w.transpose(3, 0, 1, 2))
        kernels.conv2d_forward(x[None], turned, b, (1, 1), (0, 0), False, y[None], 0)
        return y

    check.conv_rows(minicnns)
