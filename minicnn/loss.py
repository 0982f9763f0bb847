"""Losses: called with predictions and targets, they return the value and its gradient."""

from __future__ import annotations

import numpy as np


class CrossEntropy:
    """Softmax and cross-entropy in one, on logits, with optional class weights.

    value    sum over the batch of w[label] * -ln p[label], divided by N (Keras's class_weight;
             not divided by the sum of the weights)
    class_weights   (classes,) or None for ones
    offsets         (classes,) or None for zeros: added to the logits first. With t * ln(share of
                    the class) the network itself learns to answer as if a rare class were more
                    frequent than it is; t = 1 as if all were alike. Logit adjustment: Menon et
                    al., 2021, arXiv:2007.07314

    Targets are labels (N,), or shares of the classes (N, classes) as mixed images have them: then
    the loss is the same sum over all classes, each times its share.
    """

    def __init__(
        self, class_weights: np.ndarray | None = None, offsets: np.ndarray | None = None
    ) -> None:
        self.class_weights = None if class_weights is None else np.asarray(class_weights)
        self.offsets = None if offsets is None else np.asarray(offsets)

    def __call__(self, logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        """(value, dlogits) for logits (N, classes) and targets; dlogits like logits."""
        N, classes = logits.shape
        if len(targets) != N:
            raise ValueError(f"{N} logits but {len(targets)} labels")
        shares = one_hot(targets, classes) if targets.ndim == 1 else targets
        if shares.shape != logits.shape:
            raise ValueError(f"shares of {shares.shape[1]} classes, but logits of {classes}")
        weights = np.ones(classes) if self.class_weights is None else self.class_weights
        wanted = shares * weights.astype(np.float64) / max(N, 1)
        ln_p = log_softmax(logits if self.offsets is None else logits + self.offsets)
        dlogits = np.exp(ln_p) * wanted.sum(axis=1, keepdims=True) - wanted
        return float(-(wanted * ln_p).sum()), dlogits.astype(logits.dtype)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """(N, classes) float64, 1 at each label (N,); ValueError for a label that is no class."""
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        bad = labels[(labels < 0) | (labels >= classes)][0]
        raise ValueError(f"label {bad} is not one of the {classes} classes 0 to {classes - 1}")
    return np.eye(classes)[labels]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """ln of the softmax of each row, float64; stable for logits of any size."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-ln p[label] of each image, unweighted, (N,) float64."""
    return -log_softmax(logits)[np.arange(len(labels)), labels]


class MeanSquaredError:
    """The mean over all elements of (y - target) squared."""

    def __call__(self, y: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        """(value, dy) for y and target of one shape; dy has y's dtype."""
        if y.shape != target.shape:
            raise ValueError(f"y has shape {y.shape}, its target {target.shape}: they must agree")
        difference = y.astype(np.float64) - target
        dy = difference * (2 / difference.size)
        return float((difference**2).mean()), dy.astype(y.dtype)
