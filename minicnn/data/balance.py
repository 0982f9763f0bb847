"""Four answers to classes of very unequal size: drop, repeat, weigh, or start from the prior."""

from __future__ import annotations

import numpy as np

from minicnn.errors import UserError

FORMULAS = ("none", "log", "ratio", "maxlog")

# Streams of random numbers beside the seed, so that one use does not repeat another's draws.
UNDERSAMPLE, OVERSAMPLE = 101, 102


def undersample(
    labels: np.ndarray, fraction: float, seed: int, epoch: int | None = None
) -> np.ndarray:
    """Drop a random ``fraction`` of the largest class, but never its last image.

    Parameters
    ----------
    labels
        (N,) int.
    fraction
        Share of the largest class to remove, 0 <= fraction < 1; of equal ones the first.
    epoch
        Each epoch drops other images, as many; None is a choice of its own, made once for all.

    Returns
    -------
    (K,) int64
        Sorted positions of what is kept.

    Raises
    ------
    UserError
        The fraction is out of range.
    """
    if not 0 <= fraction < 1:
        raise UserError(f"under-sampling fraction {fraction} must be at least 0 and below 1")
    if len(labels) == 0:
        return np.arange(0)
    largest = np.flatnonzero(labels == np.argmax(np.bincount(labels)))
    removed = min(round(fraction * len(largest)), len(largest) - 1)
    rng = np.random.default_rng([seed, UNDERSAMPLE] + ([] if epoch is None else [epoch + 1]))
    return np.delete(np.arange(len(labels)), rng.choice(largest, removed, replace=False))


def oversample(labels: np.ndarray, seed: int) -> np.ndarray:
    """Repeat random images of each class until it is as large as the largest.

    Only for training positions: a repeated test image would count twice.

    Parameters
    ----------
    labels
        (N,) int.

    Returns
    -------
    (K,) int64
        Sorted positions; each original one occurs at least once.
    """
    if len(labels) == 0:
        return np.arange(0)
    rng = np.random.default_rng([seed, OVERSAMPLE])
    counts = np.bincount(labels)
    extra = [
        rng.choice(np.flatnonzero(labels == label), counts.max() - counts[label])
        for label in np.flatnonzero(counts)
    ]
    return np.sort(np.concatenate([np.arange(len(labels)), *extra]))


def class_weights(counts: np.ndarray, formula: str) -> np.ndarray:
    """Weight of each class in the loss.

    With t images in all, c in the class and m in the largest class:
    "none" 1; "log" ln(t / c); "ratio" t / c; "maxlog" max(1, ln(m / c)).

    Parameters
    ----------
    counts
        (classes,) int, the images per class that are trained on.

    Returns
    -------
    (classes,) float32

    Raises
    ------
    UserError
        An unknown formula, or a class without images.
    """
    if formula not in FORMULAS:
        raise UserError(f"unknown class weights '{formula}': choose {', '.join(FORMULAS)}")
    c = _positive(counts)
    weights = {
        "none": np.ones(len(c)),
        "log": np.log(c.sum() / c),
        "ratio": c.sum() / c,
        "maxlog": np.maximum(1, np.log(c.max() / c)),
    }
    return weights[formula].astype(np.float32)


def prior_bias(counts: np.ndarray) -> np.ndarray:
    """Bias of the last layer with which an untrained network predicts the class shares.

    It is ln(share), shifted so that the smallest is 0: softmax does not see a shift.

    Parameters
    ----------
    counts
        (classes,) int, the images per class that are trained on.

    Returns
    -------
    (classes,) float32

    Raises
    ------
    UserError
        A class has no images.
    """
    c = _positive(counts)
    return np.log(c / c.min()).astype(np.float32)


def _positive(counts: np.ndarray) -> np.ndarray:
    empty = np.flatnonzero(counts <= 0)
    if len(empty):
        raise UserError(
            f"class number {empty[0]} has no images to weigh it by (images per class: "
            f"{', '.join(map(str, counts))}): add some or leave the class out"
        )
    return counts.astype(np.float64)
