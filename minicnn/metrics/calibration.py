"""Is a classifier right as often as it says? Reliability by confidence, and its one figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15  # of equal width, as in Guo et al., 2017


@dataclass(frozen=True)
class Reliability:
    """Images by the probability of their likeliest class, in bins of equal width over 0 to 1.

    images      (bins,) int64
    confidence  (bins,) mean of that probability; NaN for a bin without images
    accuracy    (bins,) share of right answers; NaN likewise
    """

    images: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error, the mean over all images of |accuracy - confidence| of
        their bin (Guo et al., On Calibration of Modern Neural Networks, 2017). 0 is the best.
        """
        if not self.images.sum():
            return float("nan")
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((self.images * gaps).sum() / self.images.sum())


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """From probabilities (N, classes) and labels (N,)."""
    images, confidence, right = binned(probabilities, labels, bins).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return Reliability(images.astype(np.int64), confidence / images, right / images)


def binned(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """(N, 3, bins): in each image's bin 1, its top probability, and whether it was right.

    A bin holds its upper end, not its lower one.
    """
    top = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(top * bins).astype(np.int64) - 1, 0, bins - 1)
    values = np.zeros((len(labels), 3, bins))
    values[np.arange(len(labels)), :, place] = np.stack([np.ones(len(top)), top, right], axis=1)
    return values
