"""What students get wrong in tutorial 9, and what its checks then say."""

import numpy as np
import pytest

from checks import pruning as check
from lesson import Wrong
from minicnn.compress.prune import PolynomialDecay, layer_masks


def by_order(score, inverse=False):
    """A student's mask that removes the share of lowest ``score(w)``."""

    def mask(w, sparsity):
        zeros = round(sparsity * w.size)
        keep = np.ones(w.size)
        keep[score(w).ravel().argsort()[:zeros]] = 0
        keep = keep.reshape(w.shape)
        return 1 - keep if inverse else keep

    return mask


right = by_order(np.abs)


def unflattened(w, sparsity):
    keep = np.ones(w.shape)
    keep.reshape(-1)[np.argsort(np.abs(w))[: round(sparsity * w.size)]] = 0
    return keep


def by_count(more):
    """Off by one, or ``>`` in place of ``>=``."""
    return lambda w, s: right(w, (round(s * w.size) + more) / w.size)


def rowwise(w, sparsity):
    return np.stack([right(row, sparsity) for row in w])


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (by_order(lambda w: -np.abs(w)), "largest weights went"),
        (by_order(lambda w: w), "magnitude"),
        (lambda w, s: right(w, 1 - s), "was kept"),
        (by_order(np.abs, inverse=True), "exchanged"),
        (lambda w, s: w * right(w, s), "return the mask"),
        (lambda w, s: np.abs(w) > s * np.abs(w).max(), "not of the largest magnitude"),
        (rowwise, "Every row"),
        (lambda w, s: right(w, s).ravel(), "shape of its weights"),
        (lambda w, s: np.abs(w) > np.quantile(np.abs(w), s), "equally small"),
        (lambda w, s: np.abs(w) >= np.quantile(np.abs(w), s), "equally small"),
        (unflattened, "last axis"),
        (lambda w, s: np.argsort(np.abs(w), axis=None)[: int(s * w.size)], "has the shape"),
        (lambda w, s: np.ones(w.shape)[np.abs(w)], "last axis"),
        (by_count(+1), "One weight too many"),
        (by_count(-1), "One weight too few"),
        (lambda w, s: np.argsort(np.abs(w), axis=None).reshape(w.shape) >= s * w.size, "ranks"),
        (lambda w, s: right(w, s * 0.9), "off in"),
        (lambda w, s: np.full(w.shape, np.nan), "off in"),
        (lambda w, s: "all", "is a str"),
    ],
)
def test_masks(mask, says):
    with pytest.raises(Wrong, match=says):
        check.mask(mask)


def clamped(x):
    return min(1.0, max(0.0, x))


def curve(share, power=3.0, clamp=clamped):
    """A student's schedule over ``share(step, begin, end)``, the time that has passed."""

    def sparsity_at(step, begin, end, first, last):
        return last - (last - first) * (1 - clamp(share(step, begin, end))) ** power

    return sparsity_at


def passed(step, begin, end):
    return (step - begin) / (end - begin)


def cubed_early(step, begin, end, first, last):
    return first + (last - first) * clamped(passed(step, begin, end)) ** 3


@pytest.mark.parametrize(
    ("sparsity_at", "says"),
    [
        (curve(passed, power=1), "straight line"),
        (curve(passed, power=2), "exponent is 3"),
        (cubed_early, "time left"),
        (lambda t, a, b, first, last: curve(passed)(t, a, b, last, first), "backwards"),
        (curve(passed, clamp=lambda x: min(x, 1.0)), "clamp the time at 0"),
        (curve(passed, clamp=lambda x: max(x, 0.0)), "clamp the time at 1"),
        (curve(passed, clamp=lambda x: x), "clamp the time"),
        (lambda t, a, b, f, s: 0.0 if t < a else curve(passed)(t, a, b, f, s), "`first`, too"),
        (curve(lambda t, begin, end: t / (end - begin)), "count from begin"),
        (curve(lambda t, begin, end: t / end), "count from begin"),
        (curve(lambda t, begin, end: (t - begin) / end), "end - begin steps long"),
        (lambda *given: 100 * curve(passed)(*given), "not percent"),
        (lambda t, a, b, f, s: [f], "has the shape"),
        (lambda t, a, b, f, s: s, "wanted 0.5"),
    ],
)
def test_schedules(sparsity_at, says):
    with pytest.raises(Wrong, match=says):
        check.sparsity_at(sparsity_at)


def test_the_right_answers_pass_and_minicnns_own_too():
    check.mask(right)
    check.mask(lambda w, s: layer_masks({"w": w}, s)["w"])
    check.sparsity_at(curve(passed))
    check.sparsity_at(
        lambda step, begin, end, first, last: PolynomialDecay(first, last, begin, end).sparsity(
            step
        )
    )
