"""Metrics on examples small enough to count."""

import json
import math

import numpy as np
import pytest

from minicnn.metrics import (
    balanced_accuracy,
    confusion_matrix,
    majority_baseline,
    precision,
    recall,
    report,
    top_k,
)

SCORES = np.array([[5.0, 1, 3], [0, 2, 1], [3, 2, 1], [1, 2, 3]])
LABELS = np.array([0, 2, 2, 1])  # ranks 0, 1, 2, 1


@pytest.mark.parametrize(("k", "share"), [(1, 0.25), (2, 0.75), (3, 1.0)])
def test_top_k(k, share):
    assert top_k(SCORES, LABELS, k) == share


def test_ties_rank_in_class_order():
    equal = np.ones((3, 3))
    labels = np.array([0, 1, 2])
    assert [top_k(equal, labels, k) for k in (1, 2, 3)] == [1 / 3, 2 / 3, 1]
    assert top_k(equal, labels, 1) == np.mean(equal.argmax(axis=1) == labels)


def test_a_nan_never_helps():
    for label in range(3):
        assert top_k(np.full((1, 3), np.nan), np.array([label]), 3) == 0
    one = np.array([[np.nan, 1.0, 0.5]])
    assert top_k(one, np.array([1]), 1) == 0
    assert top_k(one, np.array([1]), 2) == 1
    assert top_k(one, np.array([0]), 3) == 0


def test_confusion_has_true_classes_as_rows():
    confusion = confusion_matrix(np.array([1, 1, 0, 2]), np.array([0, 1, 0, 0]), 3)
    np.testing.assert_array_equal(confusion, [[1, 1, 1], [0, 1, 0], [0, 0, 0]])
    assert confusion.dtype == np.int64


def test_recall_and_precision():
    confusion = np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(recall(confusion), [6 / 8, 1 / 2, np.nan])
    np.testing.assert_allclose(precision(confusion), [6 / 7, 1 / 3, np.nan])


def test_balanced_accuracy_leaves_out_an_absent_class():
    assert balanced_accuracy(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])) == (6 / 8 + 1 / 2) / 2
    # an absent class that is predicted all the same costs its victims only
    assert balanced_accuracy(np.array([[6, 0, 2], [1, 1, 0], [0, 0, 0]])) == (6 / 8 + 1 / 2) / 2


def test_always_answering_the_majority_earns_little_balanced_accuracy():
    labels = np.array([5] * 67 + [0] * 3 + [1] * 30)
    confusion = confusion_matrix(np.full(100, 5), labels, 7)
    assert majority_baseline(confusion.sum(axis=1)) == 0.67
    assert balanced_accuracy(confusion) == pytest.approx(1 / 3)


def test_an_empty_set_has_no_figures():
    with np.errstate(all="raise"):
        figures = report(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0))
    assert figures["images"] == 0
    for name in ("loss", "top1", "balanced_accuracy", "majority_baseline"):
        assert math.isnan(figures[name])


def test_report():
    figures = report(SCORES, LABELS, np.array([1.0, 2, 3, 6]))
    assert figures == {
        "images": 4,
        "loss": 3.0,
        "top1": 0.25,
        "top2": 0.75,
        "top3": 1.0,
        "balanced_accuracy": 1 / 3,
        "majority_baseline": 0.5,
        "recall": [1, 0, 0],
        "precision": [0.5, 0, 0],
        "confusion": [[1, 0, 0], [0, 0, 1], [1, 1, 0]],
    }
    assert json.loads(json.dumps(figures)) == figures


def test_a_report_with_an_absent_class_is_still_json():
    figures = report(SCORES[:, [0, 1, 2, 2]] - [0, 0, 0, 9], LABELS, np.ones(4))
    assert figures["recall"] == [1, 0, 0, None]
    assert figures["precision"] == [0.5, 0, 0, None]
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
