"""Intervals of all figures of a set at once, from the same draws of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.metrics.accuracy import ranks
from minicnn.metrics.bootstrap import Draws, Interval, interval
from minicnn.metrics.calibration import binned
from minicnn.metrics.detection import Detection

AT_ONCE = 4_000_000  # weights of images that are held in memory


def intervals(
    probabilities: np.ndarray, labels: np.ndarray, losses: np.ndarray, draws: Draws
) -> dict[str, Any]:
    """95 % intervals of what ``report`` and ``reliability`` measure, under the same names.

    probabilities (N, classes), labels (N,), losses (N,) unweighted cross-entropy; draws of these
    images. Each interval is (lower end, upper end); ``recall`` has one for each class, None for a
    class without images.
    """
    N, classes = probabilities.shape
    behind = ranks(probabilities, labels)
    images = draws.sums(np.ones(N))
    top = draws.sums(behind[:, None] < np.arange(1, 4)) / images[:, None]
    recalls = _recalls(behind == 0, labels, classes, draws)
    _, confidence, right = np.moveaxis(draws.sums(binned(probabilities, labels)), 1, 0)
    return {
        **{f"top{k + 1}": interval(top[:, k]) for k in range(3)},
        "loss": interval(draws.sums(losses) / images),
        "balanced_accuracy": interval(np.nanmean(recalls, axis=1)),
        "calibration_error": interval(np.abs(right - confidence).sum(axis=1) / images),
        "recall": [_or_none(recalls[:, c]) for c in range(classes)],
    }


def _recalls(right: np.ndarray, labels: np.ndarray, classes: int, draws: Draws) -> np.ndarray:
    """(draws, classes); NaN where a draw has no image of the class."""
    of_class = labels[:, None] == np.arange(classes)
    images, found = draws.sums(of_class), draws.sums(of_class & right[:, None])
    with np.errstate(invalid="ignore"):
        return found / images


def detection_intervals(
    detection: Detection, specificities: Sequence[float], draws: Draws
) -> tuple[Interval | None, list[Interval | None]]:
    """Of the AUC, and of the sensitivity at each specificity; None where no draw has both kinds."""
    N, total = len(draws.group), len(draws.times)
    step = max(1, AT_ONCE // N)
    samples = []
    for first in range(0, total, step):
        weights = draws.weights(first, min(first + step, total))
        found = [detection.sensitivity(specificity, weights) for specificity in specificities]
        samples.append([detection.auc(weights), *found])
    auc, *sensitivities = np.concatenate(samples, axis=1)
    return _or_none(auc), [_or_none(values) for values in sensitivities]


def _or_none(samples: np.ndarray) -> Interval | None:
    """The interval, or None where no draw has a figure."""
    return interval(samples) if np.isfinite(samples).any() else None
