"""Tutorial 8: Grad-CAM's formula, and the calibration error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong


def grad_cam(yours: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    """Two places and two channels to follow, then random ones."""
    y = np.array([[1.0, 10], [2, 20]]).reshape(1, 1, 2, 2)
    dy = np.array([[1.0, 0], [3, -0.1]]).reshape(1, 1, 2, 2)
    _grad_cam(yours, "heat", y, dy)
    rng = np.random.default_rng(0)
    y, dy = rng.random((3, 4, 5, 6)), rng.standard_normal((3, 4, 5, 6))
    _grad_cam(yours, "heat for random y and dy", y, dy)


def _grad_cam(yours: Callable, what: str, y: np.ndarray, dy: np.ndarray) -> None:
    def heat(weights: np.ndarray) -> np.ndarray:
        return (weights * y).sum(axis=-1)

    mean = dy.mean(axis=(1, 2), keepdims=True)
    h, w = y.shape[1:3]
    mistakes = (
        Mistake(heat(mean), "What speaks against the class is still in it: cut off below 0."),
        Mistake(
            np.maximum(heat(dy), 0),
            "Each place has its own gradient here: take dy's mean over the places (axes 1 and 2) "
            "first.",
        ),
        Mistake(heat(dy), "Take dy's mean over the places first, and cut off below 0 at the end."),
        Mistake(np.maximum(heat(mean * h * w), 0), "dy was summed over the places, not averaged."),
        Mistake(
            np.maximum(heat(np.maximum(mean, 0)), 0),
            "Weights below 0 were cut off: channels may speak against. Only the sum is cut.",
        ),
        Mistake(np.maximum(heat(mean) / y.shape[-1], 0), "Channels are added up, not averaged."),
        Mistake(
            np.maximum(heat(dy.mean(axis=(0, 1, 2), keepdims=True)), 0),
            "Each image has weights of its own: leave axis 0 out of the mean.",
        ),
        Mistake(
            np.maximum((y.mean(axis=(1, 2), keepdims=True) * dy).sum(axis=-1), 0),
            "y and dy are exchanged: the gradient is averaged, the activations are weighted.",
        ),
    )
    try:
        got = yours(y, dy)
    except (ValueError, TypeError) as error:
        if "truth value" in str(error) or "scalar" in str(error):
            raise Wrong(f"{what}: compare place by place, np.maximum(heat, 0), not max.") from None
        if isinstance(error, TypeError):
            raise
        raise Wrong(
            f"{what}: {error}. keepdims=True keeps the weights (N, 1, 1, C), which fits y."
        ) from None
    same(what, got, np.maximum(heat(mean), 0), mistakes, "n i j")


def calibration_error(yours: Callable[[np.ndarray, np.ndarray, int], float]) -> None:
    """Two bins to follow, then many; one image is fully sure."""
    _calibration_error(
        yours, "the error of 4 images, 2 bins", np.array([0.2, 0.9, 0.7, 0.8]), [0, 1, 0, 1], 2
    )
    rng = np.random.default_rng(0)
    confidence = np.append(rng.random(99) * 0.99, 1.0)
    right = rng.random(100) < 0.6
    _calibration_error(yours, "the error of 100 images, 15 bins", confidence, right, 15)


def _calibration_error(
    yours: Callable, what: str, confidence: np.ndarray, right: object, bins: int
) -> None:
    right = np.asarray(right, bool)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    filled = [place == b for b in range(bins) if (place == b).any()]
    share = np.array([inside.mean() for inside in filled])  # of all images
    is_right = np.array([right[inside].mean() for inside in filled])
    says = np.array([confidence[inside].mean() for inside in filled])
    gap = is_right - says
    cancel = "Too sure in one bin must not cancel not sure enough in another: abs() of each bin."
    mistakes = (
        Mistake(abs(float((share * gap).sum())), cancel),
        Mistake(float((share * gap).sum()), cancel),
        Mistake(
            float(np.abs(gap).mean()),
            "All bins count the same here: weight each by its share of the images.",
        ),
        Mistake(
            float(np.abs(gap).sum()),
            "The bins are added up as they are: weight each by its share of the images.",
        ),
        Mistake(
            len(right) * float((share * np.abs(gap)).sum()),
            "Counts are no shares: divide by the number of all images.",
        ),
        Mistake(
            float(np.abs(right - confidence).mean()),
            "First the means of a bin, then their gap: one answer is right or wrong, never 0.8.",
        ),
        Mistake(float((share * gap**2).sum()), "The gap is squared: wanted is its absolute value."),
        Mistake(
            float((share * np.abs(1 - is_right - says)).sum()),
            "Wrong answers were counted: `right` is True where the answer is right.",
        ),
    )
    same(what, yours(confidence, right, bins), float((share * np.abs(gap)).sum()), mistakes)
