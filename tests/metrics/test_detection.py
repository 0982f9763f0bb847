"""Sensitivity at a specificity and AUC, against pairs that can be counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.metrics import Detection

#                  others                                        the class
SCORES = np.array([0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.9] + [0.95, 0.8, 0.65, 0.3])
POSITIVE = np.array([False] * 10 + [True] * 4)
ONCE = np.ones((1, len(SCORES)))


@pytest.mark.parametrize(
    ("specificity", "sensitivity", "threshold"),
    [(1.0, 0.25, 0.95), (0.9, 0.5, 0.8), (0.8, 0.75, 0.65), (0.0, 1.0, 0.1)],
)
def test_worked_out(specificity, sensitivity, threshold):
    found = Detection(SCORES, POSITIVE)
    assert found.sensitivity(specificity, ONCE).tolist() == [sensitivity]
    assert found.threshold(specificity) == threshold
    called = threshold <= SCORES
    assert np.mean(called[POSITIVE]) == sensitivity
    assert np.mean(~called[~POSITIVE]) >= specificity


def test_area_is_the_share_of_pairs_in_order():
    """0.95 beats all ten, 0.8 nine, 0.65 eight, 0.3 two and a half."""
    assert Detection(SCORES, POSITIVE).auc(ONCE) == pytest.approx([29.5 / 40])


def test_equal_scores_fall_on_one_side():
    found = Detection(np.full(4, 0.5), np.array([True, True, False, False]))
    assert found.sensitivity(0.5, np.ones((1, 4))).tolist() == [0]
    assert found.threshold(0.5) == np.inf
    assert found.auc(np.ones((1, 4))).tolist() == [0.5]


def test_without_one_of_the_kinds_there_is_no_figure():
    weights = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    found = Detection(np.array([0.1, 0.2, 0.3, 0.4]), np.array([True, True, False, False]))
    assert np.isnan(found.auc(weights)).all()
    assert np.isnan(found.sensitivity(0.9, weights)).all()


def by_counting(scores, positive, specificity):
    """(sensitivity, AUC) by trying every threshold and every pair."""
    yes, no = scores[positive], scores[~positive]
    allowed = [t for t in [*scores, np.inf] if np.mean(no < t) >= specificity - 1e-9]
    pairs = [(a > b) + (a == b) / 2 for a in yes for b in no]
    return max(np.mean(yes >= t) for t in allowed), np.mean(pairs)


@given(st.integers(2, 25), st.floats(0, 1), st.integers(0, 10_000))
def test_as_trying_every_threshold_finds_it(N, specificity, seed):
    """With weights, an image that counts twice is an image that is there twice."""
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 8, N) / 8, rng.random(N) < 0.4
    positive[:2] = True, False
    weights = rng.integers(0, 3, N)
    weights[:2] = 1
    found = Detection(scores, positive)
    expected = by_counting(scores.repeat(weights), positive.repeat(weights), specificity)
    drawn = weights[None].astype(float)
    assert found.sensitivity(specificity, drawn)[0] == pytest.approx(expected[0])
    assert found.auc(drawn)[0] == pytest.approx(expected[1])
