"""What students get wrong in tutorial 8, and what its checks then say."""

import numpy as np
import pytest

from checks import looking_inside as check
from lesson import Wrong
from minicnn import metrics

PLACES = (1, 2)


def alpha(dy):
    return dy.mean(axis=PLACES, keepdims=True)


def right(y, dy):
    return np.maximum((alpha(dy) * y).sum(axis=-1), 0)


@pytest.mark.parametrize(
    ("grad_cam", "says"),
    [
        (lambda y, dy: (alpha(dy) * y).sum(axis=-1), "cut off below 0"),
        (lambda y, dy: np.maximum((dy * y).sum(axis=-1), 0), "its own gradient"),
        (lambda y, dy: (dy * y).sum(axis=-1), "own gradient|at the end"),
        (lambda y, dy: np.maximum((dy.sum(axis=PLACES, keepdims=True) * y).sum(-1), 0), "averaged"),
        (lambda y, dy: np.maximum((np.maximum(alpha(dy), 0) * y).sum(-1), 0), "Only the sum"),
        (lambda y, dy: np.maximum((alpha(dy) * y).mean(axis=-1), 0), "added up"),
        (lambda y, dy: np.maximum((dy.mean((0, 1, 2)) * y).sum(axis=-1), 0), "weights of its own"),
        (lambda y, dy: np.maximum((alpha(y) * dy).sum(axis=-1), 0), "exchanged"),
        (lambda y, dy: (dy.mean(axis=PLACES) * y).sum(axis=-1), "keepdims=True"),
        (lambda y, dy: right(y, dy).sum(axis=0), "has the shape"),
        (lambda y, dy: max((alpha(dy) * y).sum(axis=-1), 0), "np.maximum"),
        (lambda y, dy: np.max(0, (alpha(dy) * y).sum(axis=-1)), "np.maximum"),
    ],
)
def test_heat_maps(grad_cam, says):
    with pytest.raises(Wrong, match=says):
        check.grad_cam(grad_cam)


def by_bin(of_bin, at_end=lambda error: error):
    def calibration_error(confidence, right, bins=15):
        place = np.minimum((confidence * bins).astype(int), bins - 1)
        filled = [place == b for b in range(bins) if (place == b).any()]
        return at_end(sum(of_bin(confidence[f], right[f], f.mean(), len(filled)) for f in filled))

    return calibration_error


def gap(confidence, right):
    return abs(right.mean() - confidence.mean())


@pytest.mark.parametrize(
    ("calibration_error", "says"),
    [
        (by_bin(lambda c, r, share, bins: (r.mean() - c.mean()) * share), "must not cancel"),
        (by_bin(lambda c, r, share, bins: (r.mean() - c.mean()) * share, abs), "must not cancel"),
        (by_bin(lambda c, r, share, bins: gap(c, r) / bins), "count the same"),
        (by_bin(lambda c, r, share, bins: gap(c, r)), "added up as they are"),
        (by_bin(lambda c, r, share, bins: gap(c, r) * len(c)), "divide by the number"),
        (by_bin(lambda c, r, share, bins: gap(c, r) ** 2 * share), "squared"),
        (by_bin(lambda c, r, share, bins: gap(c, ~r) * share), "Wrong answers"),
        (lambda c, r, bins: np.abs(r - c).mean(), "First the means"),
    ],
)
def test_calibration(calibration_error, says):
    with pytest.raises(Wrong, match=says):
        check.calibration_error(calibration_error)


def test_the_right_answers_pass():
    check.grad_cam(right)
    check.calibration_error(by_bin(lambda c, r, share, bins: gap(c, r) * share))


def test_minicnns_own_error_passes():
    def own(confidence, right, bins):
        p = np.stack([confidence, np.zeros_like(confidence)], axis=1)
        p[:, 1] = np.minimum(confidence / 2, 1 - confidence)  # a second class, never the likelier
        return metrics.reliability(p, np.where(right, 0, 1), bins).error

    check.calibration_error(own)
