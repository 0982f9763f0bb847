"""What students get wrong in tutorial 7, and what its checks then say."""

from collections import Counter

import numpy as np
import pytest

from checks import imbalance as check
from lesson import Wrong
from minicnn import metrics
from minicnn.data import balance


def recalls(confusion):
    return [row[k] / row.sum() for k, row in enumerate(confusion) if row.sum()]


def precision(confusion):
    return np.mean(confusion.diagonal() / confusion.sum(axis=0))


def careful_precision(confusion):
    columns = confusion.T
    return np.mean([column[k] / column.sum() for k, column in enumerate(columns) if column.sum()])


@pytest.mark.parametrize(
    ("balanced_accuracy", "says"),
    [
        (lambda c: c.trace() / c.sum(), "That is the accuracy"),
        (precision, "mean precision"),
        (careful_precision, "mean precision"),
        (lambda c: np.mean(c.diagonal() / c.sum(axis=1)), "NaN.*without images"),
        (lambda c: np.nan_to_num(c.diagonal() / c.sum(axis=1)).mean(), "counts as 0"),
        (lambda c: sum(recalls(c)) / len(c), "counts as 0"),
        (lambda c: np.nan_to_num(c.diagonal() / c.sum(axis=1), nan=1).mean(), "counts as 1"),
        (lambda c: sum(recalls(c)), "take their mean"),
        (lambda c: np.array([c[0, 0] / c[0].sum(), c[1, 1] / c[1].sum()]), "has the shape"),
        (lambda c: 100 * np.mean(recalls(c)), "percent"),
        (lambda c: (c.diagonal() / c.sum()).mean(), "its row's sum"),
        (lambda c: np.mean([int(row[k]) / int(row.sum()) for k, row in enumerate(c)]), "0 / 0"),
        (lambda c: min(recalls(c)), "wanted"),
    ],
)
def test_balanced_accuracies(balanced_accuracy, says):
    with pytest.raises(Wrong, match=says):
        check.balanced_accuracy(balanced_accuracy)


def counts(labels, classes):
    return np.array([np.sum(labels == k) for k in range(classes)])


def by_appearance(labels, classes):
    return [np.log(len(labels) / count) for count in Counter(labels.tolist()).values()]


def most_common_first(labels, classes):
    return [np.log(len(labels) / count) for _, count in Counter(labels.tolist()).most_common()]


@pytest.mark.parametrize(
    ("class_weights", "says"),
    [
        (lambda y, k: len(y) / counts(y, k), "logarithm is missing"),
        (lambda y, k: np.log(counts(y, k) / len(y)), "Upside down"),
        (lambda y, k: counts(y, k) / len(y), "shares"),
        (lambda y, k: np.log10(len(y) / counts(y, k)), "base 10"),
        (lambda y, k: np.log2(len(y) / counts(y, k)), "base 2"),
        (lambda y, k: len(y) / (k * counts(y, k)), "other libraries"),
        (lambda y, k: np.log(k / counts(y, k)), "number of images"),
        (lambda y, k: np.log(counts(y, k).max() / counts(y, k)), "largest class"),
        (by_appearance, "first appear"),
        (most_common_first, "sorted by"),
        (lambda y, k: np.log(len(y) / counts(y, k))[y], "for each image"),
        (lambda y, k: dict(enumerate(np.log(len(y) / counts(y, k)))), "not a dict"),
        (lambda y, k: np.log(len(y) / counts(y, k)).mean(), "has the shape"),
        (lambda y, k: 1.1 * np.log(len(y) / counts(y, k)), "off in"),
    ],
)
def test_weights(class_weights, says):
    with pytest.raises(Wrong, match=says):
        check.class_weights(class_weights)


def test_the_right_answers_pass():
    check.balanced_accuracy(lambda c: float(np.mean(recalls(c))))
    check.class_weights(lambda y, k: [-np.log(np.mean(y == c)) for c in range(k)])


def test_minicnns_own_functions_pass():
    check.balanced_accuracy(metrics.balanced_accuracy)
    check.class_weights(lambda y, k: balance.class_weights(np.bincount(y, minlength=k), "log"))
