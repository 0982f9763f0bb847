"""Run any classifier over a data set and collect its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from minicnn import metrics
from minicnn.loss import cross_entropies, log_softmax

# x (N, H, W, 3), float32 or the bytes of images, to logits (N, classes)
Forward = Callable[[np.ndarray], np.ndarray]

MELANOMA = "mel"
SPECIFICITIES = (0.90, 0.95)  # at which the sensitivity for a class is told


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

    @property
    def probabilities(self) -> np.ndarray:
        """(N, classes) float64, the softmax of the logits."""
        return np.exp(log_softmax(self.logits))

    def honest_report(
        self, groups: np.ndarray, classes: Sequence[str], detected: str | None = None
    ) -> dict[str, Any]:
        """:meth:`report` with what a reader needs to judge it, as plain values.

        groups    (N,) the lesion, or the like, of each image: drawn whole by the bootstrap
        classes   their names
        detected  the class whose detection is told as well; default: melanoma, where it is one

        Returns, beside the report's figures:

        calibration_error  see :class:`minicnn.metrics.Reliability`
        reliability  its bins: "low", "high", "images", "confidence" and "accuracy"
        intervals    "groups" and 95 % intervals under the names of the figures
        detection    None, or see :func:`detection`
        """
        p, labels = self.probabilities, self.labels
        draws = metrics.Draws(groups)
        bins = metrics.reliability(p, labels)
        found = metrics.intervals(p, labels, cross_entropies(self.logits, labels), draws)
        figures = self.report() | {
            "calibration_error": bins.error,
            "reliability": _bins(bins),
            "intervals": {"groups": draws.times.shape[1]} | found,
            "detection": None,
        }
        detected = detected or (MELANOMA if MELANOMA in classes else None)
        if detected is not None:
            number = classes.index(detected)
            found = detection(p[:, number], labels == number, draws)
            figures["detection"] = {"class": detected} | found
        return figures


def _bins(found: metrics.Reliability) -> list[dict[str, Any]]:
    ends = np.linspace(0, 1, len(found.images) + 1).tolist()
    confidence, accuracy = metrics.or_none(found.confidence), metrics.or_none(found.accuracy)
    return [
        {
            "low": ends[b],
            "high": ends[b + 1],
            "images": images,
            "confidence": confidence[b],
            "accuracy": accuracy[b],
        }
        for b, images in enumerate(found.images.tolist())
    ]


def detection(scores: np.ndarray, positive: np.ndarray, draws: metrics.Draws) -> dict[str, Any]:
    """How well the images ``positive`` (N,) bool are told from the others by scores (N,).

    "images", "auc" and "sensitivities": a "sensitivity" with its "threshold" for each
    "specificity". All with an "interval"; None where one of the two kinds has no images, and for
    the threshold where no image may be called positive.
    """
    found, once = metrics.Detection(scores, positive), np.ones((1, len(scores)))
    auc, intervals = metrics.detection_intervals(found, SPECIFICITIES, draws)
    points = []
    for specificity, ends in zip(SPECIFICITIES, intervals, strict=True):
        (sensitivity,) = metrics.or_none(found.sensitivity(specificity, once))
        threshold = found.threshold(specificity)
        points.append(
            {
                "specificity": specificity,
                "sensitivity": sensitivity,
                "interval": ends,
                "threshold": threshold if np.isfinite(threshold) else None,
            }
        )
    (area,) = metrics.or_none(found.auc(once))
    return {
        "images": int(positive.sum()),
        "auc": area,
        "interval": auc,
        "sensitivities": points,
    }


def leak(outputs: Outputs, seen: np.ndarray) -> dict[str, Any] | None:
    """How much better the answers are for images whose lesion was trained on: ``seen`` (N,) bool.

    "seen" and "unseen" with "images", "top1", "balanced_accuracy", and "points", the differences
    of the two in hundredths. Balanced accuracy is over the classes that both have images of. None
    where all images are of one kind.
    """
    if seen.all() or not seen.any():
        return None
    logits, labels = outputs.logits, outputs.labels
    answers, classes = logits.argmax(axis=1), logits.shape[1]
    tables = [metrics.confusion_matrix(answers[w], labels[w], classes) for w in (seen, ~seen)]
    both = np.logical_and(*(table.sum(axis=1) > 0 for table in tables))
    figures = [
        {
            "images": int(table.sum()),
            "top1": float(table.trace() / table.sum()),
            "balanced_accuracy": metrics.balanced_accuracy(table * both[:, None]),
        }
        for table in tables
    ]
    points = {k: 100 * (figures[0][k] - figures[1][k]) for k in ("top1", "balanced_accuracy")}
    return {"seen": figures[0], "unseen": figures[1], "points": points}


def mirrored(forward: Forward) -> Forward:
    """The same classifier asked four times: about the image, and mirrored left to right, upside
    down, and both.

    A lesion has no right way up, so all four answers are of equal right; the result is ln of their
    mean probability (N, classes) float64.
    """

    def mean(x: np.ndarray) -> np.ndarray:
        views = (x, x[:, :, ::-1], x[:, ::-1], x[:, ::-1, ::-1])
        ln_p = [log_softmax(forward(np.ascontiguousarray(view))) for view in views]
        return np.logaddexp.reduce(ln_p) - np.log(len(views))

    return mean


def expecting(forward: Forward, learned: np.ndarray, shares: np.ndarray) -> Forward:
    """The same classifier where the classes are as frequent as ``shares`` say, not as ``learned``.

    Bayes's rule: each class's probability times its share there and divided by the one that the
    network learned with, both (classes,) of any sum. Saerens, Latinne and Decaestecker, 2002,
    "Adjusting the outputs of a classifier to new a priori probabilities". Even shares are the best
    rule for balanced accuracy, the true ones for top-1.
    """
    offsets = np.log(shares / shares.sum()) - np.log(learned / learned.sum())
    return lambda x: forward(x) + offsets


def collect(forward: Forward, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> Outputs:
    """Logits and labels of every batch, in order; ``forward`` is a network's or any other's."""
    outputs = Outputs()
    for x, labels in batches:
        outputs.add(forward(x), labels)
    return outputs
