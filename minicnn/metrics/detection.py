"""One class against all others, such as melanoma: sensitivity at a specificity, and AUC."""

from __future__ import annotations

import numpy as np

SLACK = 1e-9  # for shares that rounding would push over a limit


class Detection:
    """Images ranked by the score of one class; called positive are those with at least a threshold.

    scores    (N,) its probability
    positive  (N,) bool: whether the image is of that class

    The figures take weights (draws, N), how often each image counts, and give (draws,); for the
    images as they are, ``np.ones((1, N))``. They are NaN for a draw without one of the two kinds.

    The threshold for a specificity is chosen on the same images: the sensitivity is a point of
    their ROC curve and, on few images, a little too good for others. The bootstrap chooses it
    anew in each draw.
    """

    def __init__(self, scores: np.ndarray, positive: np.ndarray) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._positive = positive[self._order].astype(bool)
        # equal scores fall on one side of any threshold: they are counted as one block
        self._starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        self._thresholds = np.concatenate([[np.inf], ranked[self._starts]])

    def sensitivity(self, specificity: float, weights: np.ndarray) -> np.ndarray:
        """The largest share of the class that is found while at least the share ``specificity`` of
        the others is not taken for it.
        """
        found, taken = self._rates(weights)
        place = _last_allowed(taken, specificity)
        sensitivity = np.take_along_axis(found, place[:, None], axis=1)[:, 0]
        return np.where(np.isnan(taken[:, 0]), np.nan, sensitivity)

    def threshold(self, specificity: float) -> float:
        """The probability from which on an image is called positive; infinite if none may be."""
        _, taken = self._rates(np.ones((1, len(self._order))))
        return float(self._thresholds[_last_allowed(taken, specificity)[0]])

    def auc(self, weights: np.ndarray) -> np.ndarray:
        """The area under the ROC curve: how often a positive image scores above a negative one,
        equal scores counting half.
        """
        found, taken = self._rates(weights)
        return ((found[:, 1:] + found[:, :-1]) / 2 * np.diff(taken, axis=1)).sum(axis=1)

    def _rates(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(draws, thresholds) each: shares of the class and of the others at or above each."""
        ranked = weights[:, self._order]
        shares = []
        for kind in (self._positive, ~self._positive):
            counts = np.add.reduceat(ranked * kind, self._starts, axis=1).cumsum(axis=1)
            counts = np.hstack([np.zeros((len(counts), 1)), counts])  # above the highest: nothing
            with np.errstate(invalid="ignore"):
                shares.append(counts / counts[:, -1:])
        return shares[0], shares[1]


def _last_allowed(taken: np.ndarray, specificity: float) -> np.ndarray:
    """(draws,) the place of the lowest threshold that keeps the specificity."""
    return np.maximum((taken <= 1 - specificity + SLACK).sum(axis=1) - 1, 0)
