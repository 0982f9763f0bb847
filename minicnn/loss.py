"""Losses: called with predictions and targets, they return the value and its gradient."""

from __future__ import annotations

import numpy as np


class CrossEntropy:
    """Softmax and cross-entropy in one, on logits, with optional class weights.

    value    sum over the batch of w[label] * -ln p[label], divided by N (Keras's class_weight;
             not divided by the sum of the weights)
    class_weights   (classes,) or None for ones
    """

    def __init__(self, class_weights: np.ndarray | None = None) -> None:
        self.class_weights = None if class_weights is None else np.asarray(class_weights)

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        """(value, dlogits) for logits (N, classes) and integer labels (N,); dlogits like logits."""
        N, classes = logits.shape
        if len(labels) != N:
            raise ValueError(f"{N} logits but {len(labels)} labels")
        if N and not (labels.min() >= 0 and labels.max() < classes):
            bad = labels[(labels < 0) | (labels >= classes)][0]
            raise ValueError(f"label {bad} is not one of the {classes} classes 0 to {classes - 1}")
        losses = cross_entropies(logits, labels)
        weights = np.ones(N) if self.class_weights is None else self.class_weights[labels]
        share = (weights / N).astype(np.float64)
        dlogits = np.exp(log_softmax(logits))
        dlogits[np.arange(N), labels] -= 1
        dlogits *= share[:, None]
        return float(losses @ share), dlogits.astype(logits.dtype)


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
