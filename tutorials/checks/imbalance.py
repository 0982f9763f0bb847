"""Tutorial 7: balanced accuracy, and class weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong


def balanced_accuracy(yours: Callable[[np.ndarray], float]) -> None:
    """Two classes, then three of which one has no images, then seven at random."""
    two = np.array([[8, 2], [1, 1]])
    absent = np.array([[6, 1, 1], [2, 2, 0], [0, 0, 0]])
    unanswered = np.array([[9, 0, 1], [3, 0, 1], [1, 0, 4]])  # class 1 is never answered
    rng = np.random.default_rng(0)
    seven = rng.integers(0, 30, (7, 7)) + np.diag(rng.integers(0, 200, 7))
    for what, confusion in (
        ("balanced_accuracy([[8, 2], [1, 1]])", two),
        ("with class 2 without images", absent),
        ("with class 1 never answered", unanswered),
        ("for seven classes", seven),
    ):
        _balanced(yours, what, confusion)


def _balanced(yours: Callable[[np.ndarray], float], what: str, confusion: np.ndarray) -> None:
    images, answers, right = confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()
    some = images > 0
    recalls = right[some] / images[some]
    precisions = right / np.maximum(answers, 1)
    mistakes = (
        Mistake(right.sum() / confusion.sum(), "That is the accuracy: large classes count more."),
        Mistake(recalls.sum() / len(images), "A class without images counts as 0: leave it out."),
        Mistake(
            (recalls.sum() + (~some).sum()) / len(images),
            "A class without images counts as 1: leave it out.",
        ),
        Mistake(
            precisions.mean(),
            "That is the mean precision: divide by the sums of the rows, which are the true "
            "classes, not of the columns.",
        ),
        Mistake(
            precisions[answers > 0].mean(),
            "That is the mean precision: divide by the sums of the rows, not of the columns.",
        ),
        Mistake(recalls.sum(), "The recalls are added up: take their mean."),
        Mistake(recalls, "These are the recalls: take their mean."),
        Mistake(100 * recalls.mean(), "From 0 to 1, not in percent."),
        Mistake(
            (right / confusion.sum()).mean(),
            "Each class is divided by the number of all images: divide by its own, its row's sum.",
        ),
    )
    try:
        with np.errstate(all="ignore"):  # 0 / 0: what becomes of it is said below
            got = yours(confusion.copy())
    except ZeroDivisionError:
        raise Wrong(f"{what}: a row is empty, 0 / 0. Leave out classes without images.") from None
    if np.size(got) == 1 and np.isnan(np.asarray(got, np.float64)).all():
        where = "never answered" if some.all() else "without images: leave it out of the mean"
        hint = "Is it divided by the columns' sums?" if some.all() else "0 / 0 is no number."
        raise Wrong(f"{what} is NaN. A class is {where}. {hint}")
    same(what, got, recalls.mean(), mistakes)


def class_weights(yours: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """Eight labels of three classes first; then many."""
    _weights(yours, "weights of [2, 0, 1, 1, 2, 1, 1, 2]", np.array([2, 0, 1, 1, 2, 1, 1, 2]), 3)
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(7), [33, 51, 110, 12, 111, 671, 14]))
    _weights(yours, "weights of 1,002 labels", labels, 7)


def _weights(
    yours: Callable[[np.ndarray, int], np.ndarray], what: str, labels: np.ndarray, classes: int
) -> None:
    t, c = len(labels), np.bincount(labels, minlength=classes)
    right = np.log(t / c)
    _, first = np.unique(labels, return_index=True)
    order = "wanted is the order of the classes, 0 first."
    shown = (
        (np.log(c / t), "Upside down: ln(t / c). A weight below 0 would reward errors."),
        (c / t, "Those are the shares: a rare class would count less. Wanted: ln(t / c)."),
        (t / c, "The logarithm is missing."),
        (t / (classes * c), "That is t / (classes * c), as other libraries have it: ln(t / c)."),
        (np.log10(t / c), "That is the logarithm to base 10: np.log is the natural one."),
        (np.log2(t / c), "That is the logarithm to base 2: np.log is the natural one."),
        (np.log1p(t / c), "That is ln(1 + t / c): np.log, not np.log1p."),
        (np.log(c), "t is missing: ln(t / c)."),
        (np.log(classes / c), "t is the number of images, not of classes."),
        (np.log(c.max() / c), "t is the number of all images, not those of the largest class."),
        (np.maximum(1, np.log(c.max() / c)), "That is max(1, ln(m / c)), another formula."),
        (right[np.argsort(first)], f"They are in the order in which classes first appear: {order}"),
        (right[np.argsort(-c)], f"They are sorted by the classes' sizes: {order}"),
        (right[np.argsort(c)], f"They are sorted by the classes' sizes: {order}"),
        (right[labels], "That is a weight for each image: one for each class is wanted."),
        (right / right.sum(), "They are divided by their sum."),
        (right / right.mean(), "They are divided by their mean."),
    )
    with np.errstate(all="ignore"):
        got = yours(labels.copy(), classes)
    if isinstance(got, dict):
        raise Wrong(f"{what}: wanted an array (classes,), not a dict.")
    same(what, got, right, [Mistake(*one) for one in shown], "class")
