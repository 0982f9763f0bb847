"""Figures of a set by any classifier: mirrorings, the leak, and what a reader needs beside."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import metrics
from minicnn.evaluation import Outputs, collect, expecting, leak, mirrored
from minicnn.loss import log_softmax


def outputs_of(logits, labels):
    gathered = Outputs()
    gathered.add(np.array(logits, np.float32), np.array(labels))
    return gathered


def corners(x):
    """Logits (N, 4) from the four corners of images, so that every mirroring answers otherwise."""
    return x[:, [0, 0, -1, -1], [0, -1, 0, -1], 0].astype(np.float64)


def test_mirrorings_average_probabilities():
    """One corner at ln 5, the others at 0: it has 5/8, wherever it is; over all four 1/4 each."""
    x = np.zeros((2, 3, 5, 3))
    x[0, 0, 0] = np.log(5)
    p = np.exp(mirrored(corners)(x))
    np.testing.assert_allclose(p, np.full((2, 4), 0.25))
    right = np.exp(mirrored(lambda x: corners(x)[:, :2])(x))  # of the upper corners only
    np.testing.assert_allclose(right[0], [(5 / 6 + 1 / 6 + 1 / 2 + 1 / 2) / 4] * 2)


@given(st.integers(0, 1000))
def test_mirrored_answers_are_the_same_for_a_mirrored_image(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 4, 5, 3))
    forward = mirrored(lambda x: x.reshape(len(x), -1)[:, [0, 7, 20]])
    for view in (x[:, ::-1], x[:, :, ::-1], x[:, ::-1, ::-1]):
        np.testing.assert_allclose(forward(view), forward(x))
    np.testing.assert_allclose(np.exp(forward(x)).sum(axis=1), 1)


def test_mirrored_views_keep_bytes_and_lie_whole_in_memory():
    def forward(x):
        assert x.dtype == np.uint8 and x.flags.c_contiguous
        return np.zeros((len(x), 2))

    gathered = collect(mirrored(forward), [(np.zeros((3, 4, 5, 3), np.uint8), np.zeros(3, int))])
    np.testing.assert_allclose(gathered.logits, np.log(0.5))


RNG = np.random.default_rng(2)
LABELS = RNG.integers(0, 3, 120)
GATHERED = outputs_of(RNG.normal(size=(120, 3)) + np.eye(3)[LABELS], LABELS)
LESIONS = np.arange(120) // 2


def test_honest_report_is_the_plain_one_and_more():
    figures = GATHERED.honest_report(LESIONS, ("a", "mel", "c"))
    plain = GATHERED.report()
    assert {key: figures[key] for key in plain} == plain
    assert json.loads(json.dumps(figures, allow_nan=False))["images"] == 120
    intervals = figures["intervals"]
    assert intervals["groups"] == 60
    for key in ("top1", "top2", "balanced_accuracy", "loss"):
        assert intervals[key][0] < figures[key] < intervals[key][1], key
    p = np.exp(log_softmax(GATHERED.logits))
    assert figures["calibration_error"] == metrics.reliability(p, LABELS).error
    bins = figures["reliability"]
    assert sum(b["images"] for b in bins) == 120 and len(bins) == 15
    for b in bins:
        assert b["high"] - b["low"] == pytest.approx(1 / 15)
        assert b["confidence"] is None or b["low"] < b["confidence"] <= b["high"]
    assert figures["detection"]["class"] == "mel"
    for point in figures["detection"]["sensitivities"]:
        called = p[:, 1] >= point["threshold"]
        assert called[LABELS == 1].mean() == point["sensitivity"]
        assert (~called[LABELS != 1]).mean() >= point["specificity"]


def test_a_class_without_images_is_not_detected():
    figures = outputs_of(np.eye(3)[[0, 0, 2]], [0, 0, 2]).honest_report(
        np.arange(3), ("a", "b", "c"), "b"
    )
    found = json.loads(json.dumps(figures, allow_nan=False))["detection"]
    assert (found["images"], found["auc"], found["interval"]) == (0, None, None)
    assert [point["sensitivity"] for point in found["sensitivities"]] == [None, None]
    assert GATHERED.honest_report(LESIONS, ("a", "b", "c"))["detection"] is None


def test_the_leak_worked_out():
    """Seen: 3 of 4 right; unseen: 1 of 3. Class 2 is only among the unseen, and wrong."""
    labels = [0, 0, 1, 1, 0, 1, 2]
    answers = [0, 0, 1, 0, 0, 0, 0]
    seen = np.array([True] * 4 + [False] * 3)
    found = leak(outputs_of(np.eye(3)[answers], labels), seen)
    assert found["seen"] == {"images": 4, "top1": 0.75, "balanced_accuracy": 0.75}
    assert found["unseen"]["images"] == 3
    assert found["unseen"]["top1"] == pytest.approx(1 / 3)
    assert found["unseen"]["balanced_accuracy"] == 0.5
    assert found["points"]["top1"] == pytest.approx(100 * (3 / 4 - 1 / 3))
    assert found["points"]["balanced_accuracy"] == 25


@pytest.mark.parametrize("seen", [True, False])
def test_no_leak_to_measure_where_all_images_are_of_one_kind(seen):
    assert leak(GATHERED, np.full(120, seen)) is None


def test_answers_for_other_shares_are_bayes_rule():
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    learned, shares = np.array([2.0, 1.0, 1.0]), np.array([1.0, 1.0, 8.0])
    odds = p * shares / learned
    logits = expecting(lambda x: np.log(x) + 7, learned, shares)(p)
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, odds / odds.sum(axis=1, keepdims=True))


def test_even_shares_are_the_best_rule_for_balanced_accuracy():
    # two classes of which one has a point of its own: where both are possible, the rule decides
    rng = np.random.default_rng(0)
    labels = (rng.random(20_000) < 0.1).astype(int)
    seen = np.where(labels == 1, rng.random(20_000) < 0.6, rng.random(20_000) < 0.2).astype(int)
    share = np.array([0.9, 0.1])
    right = np.array([[0.8, 0.4], [0.2, 0.6]])  # p(seen | label)
    posterior = np.log(right[seen] * share)

    def balanced(shares):
        answers = expecting(lambda x: x, share, shares)(posterior).argmax(axis=1)
        return np.mean([(answers[labels == k] == k).mean() for k in (0, 1)])

    assert balanced(share) == 0.5  # the frequent class is always likelier
    assert abs(balanced(np.ones(2)) - 0.7) < 0.02
