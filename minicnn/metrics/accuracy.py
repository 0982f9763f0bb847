"""Shares of right answers: top-k, per-class figures, and the baseline that must be beaten."""

from __future__ import annotations

from typing import Any

import numpy as np


def top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of images whose label is among the k highest scores.

    scores (N, classes), labels (N,). Equal scores rank in class order, as argmax has it.
    """
    return float(np.mean(ranks(scores, labels) < k)) if len(labels) else float("nan")


def ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) how many classes score ahead of the label: 0 is a right answer."""
    own = scores[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    # "not <=" rather than ">": a NaN among the scores never helps
    return (~(scores <= own)).sum(axis=1) + ((scores == own) & earlier).sum(axis=1)


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) int64 counts; rows are true classes, columns predicted ones."""
    pairs = labels * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def recall(confusion: np.ndarray) -> np.ndarray:
    """Per class: the share of its images that were found; NaN for a class without images."""
    return _ratio(confusion.diagonal(), confusion.sum(axis=1))


def precision(confusion: np.ndarray) -> np.ndarray:
    """Per class: the share of its predictions that were right; NaN where it was never predicted."""
    return _ratio(confusion.diagonal(), confusion.sum(axis=0))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def balanced_accuracy(confusion: np.ndarray) -> float:
    """The mean recall over the classes that have images; guessing earns 1 / classes."""
    recalls = recall(confusion)
    return float(np.nanmean(recalls)) if np.isfinite(recalls).any() else float("nan")


def majority_baseline(counts: np.ndarray) -> float:
    """The top-1 of always answering the largest class; counts (classes,) images per class."""
    return float(counts.max() / counts.sum()) if counts.sum() else float("nan")


def report(scores: np.ndarray, labels: np.ndarray, losses: np.ndarray) -> dict[str, Any]:
    """Every figure of a set as plain numbers, ready for JSON; None where there is none.

    scores (N, classes) logits or probabilities, labels (N,), losses (N,) unweighted cross-entropy.
    """
    classes = scores.shape[1]
    confusion = confusion_matrix(scores.argmax(axis=1), labels, classes)
    return {
        "images": len(labels),
        "loss": float(losses.mean()) if len(losses) else float("nan"),
        "top1": top_k(scores, labels, 1),
        "top2": top_k(scores, labels, 2),
        "top3": top_k(scores, labels, 3),
        "balanced_accuracy": balanced_accuracy(confusion),
        "majority_baseline": majority_baseline(confusion.sum(axis=1)),
        "recall": or_none(recall(confusion)),
        "precision": or_none(precision(confusion)),
        "confusion": confusion.tolist(),
    }


def or_none(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN."""
    return [None if np.isnan(value) else float(value) for value in values]
