"""Run any classifier over a data set and collect its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minicnn import metrics
from minicnn.loss import cross_entropies

Forward = Callable[[np.ndarray], np.ndarray]  # x (N, H, W, 3) float32 to logits (N, classes)


class Outputs:
    """Logits (N, classes) and labels (N,) gathered batch by batch.

    ``state`` and ``restore`` let a training epoch that was interrupted go on with its figures.
    """

    def __init__(self) -> None:
        self._logits: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, logits: np.ndarray, labels: np.ndarray) -> None:
        """Append one batch."""
        self._logits.append(logits)
        self._labels.append(labels)

    @property
    def logits(self) -> np.ndarray:
        return np.concatenate(self._logits)

    @property
    def labels(self) -> np.ndarray:
        return np.concatenate(self._labels)

    def state(self) -> dict[str, np.ndarray]:
        """What was gathered so far, for a checkpoint; empty before the first batch."""
        return {"logits": self.logits, "labels": self.labels} if self._labels else {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what ``state`` returned."""
        if state:
            self._logits, self._labels = [state["logits"]], [state["labels"]]

    def report(self) -> dict[str, Any]:
        """All figures (see :func:`minicnn.metrics.report`); the loss is unweighted."""
        losses = cross_entropies(self.logits, self.labels)
        return metrics.report(self.logits, self.labels, losses)


def collect(forward: Forward, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Outputs:
    """Logits and labels of every batch, in order; ``forward`` is a network's or any other's."""
    outputs = Outputs()
    for x, labels in batches:
        outputs.add(forward(x), labels)
    return outputs
