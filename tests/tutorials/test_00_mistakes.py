"""What students get wrong in tutorial 0, and what its checks then say."""

import numpy as np
import pytest

from checks import whole_trip as check
from lesson import Wrong


@pytest.mark.parametrize(
    ("top3", "says"),
    [
        (lambda p: np.argsort(p, axis=1)[:, :3], "three least likely"),
        (lambda p: np.argsort(p, axis=1)[:, -3:], "comes last"),
        (lambda p: np.sort(p, axis=1)[:, ::-1][:, :3], "numbers of the classes"),
        (lambda p: np.argsort(p, axis=1)[:, ::-1], "first three of each row are enough"),
        (lambda p: np.argsort(-p)[:3] if len(p) > 1 else right(p), "three rows"),
        (lambda p: np.argsort(p[0])[::-1][:3], "a row for each image"),
        (lambda p: np.argsort(-p, axis=0)[:, :3] if len(p) > 1 else right(p), "classes are axis 1"),
        (lambda p: p.argmax(axis=1), "has the shape"),
    ],
)
def test_ranks(top3, says):
    with pytest.raises(Wrong, match=says):
        check.top3(top3)


def right(p):
    return np.argsort(-p, axis=1)[:, :3]


def quantized(scale, zero_point):
    return lambda low, high: (scale(low, high), zero_point(low, scale(low, high)))


def width(low, high):
    return (high - low) / 255


def zero(low, scale):
    return round(-128 - low / scale)


@pytest.mark.parametrize(
    ("scale_and_zero_point", "says"),
    [
        (quantized(lambda low, high: (high - low) / 256, zero), "255 steps"),
        (quantized(lambda low, high: 255 / (high - low), zero), "upside down"),
        (quantized(lambda low, high: max(-low, high) / 127, zero), "begins at low"),
        (quantized(lambda low, high: high / 255, zero), "high - low"),
        (quantized(width, lambda low, s: 0), "no zero point"),
        (quantized(width, lambda low, s: round(-low / s)), "begin at -128"),
        (quantized(width, lambda low, s: round(-128 + low / s)), "The sign"),
        (quantized(width, lambda low, s: -128 - low / s), "round it"),
        (quantized(width, lambda low, s: -128), "begins at 0"),
        (quantized(width, lambda low, s: round(128 - low / s)), "begin at -128"),
        (quantized(width, lambda low, s: int(-128 - low / s)), "not cut off"),
        (quantized(width, lambda low, s: round(-128 - low * s)), "divided by the scale"),
        (lambda low, high: quantized(width, zero)(low, high)[::-1], "the scale comes first"),
        (lambda low, high: ("one", 0), "scale.* is a str"),
        (lambda low, high: width(low, high), r"wanted \(scale, zero point\)"),
    ],
)
def test_scales(scale_and_zero_point, says):
    with pytest.raises(Wrong, match=says):
        check.scale_and_zero_point(scale_and_zero_point)


def test_the_right_answers_pass():
    check.top3(right)
    check.scale_and_zero_point(quantized(width, zero))
