"""What a page says of a network's answers: totals, classes, and its worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.data.dataset import Dataset
from minicnn.evaluation import Outputs
from minicnn.loss import log_softmax
from minicnn.report import detection, html, pictures
from minicnn.report.html import Html, Section

SHOWN = 12  # mistakes

# Tschandl et al., 2018, "The HAM10000 dataset" (Scientific Data 5, 180161).
DIAGNOSES = {
    "akiec": "actinic keratosis, Bowen's disease",
    "bcc": "basal cell carcinoma",
    "bkl": "benign keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic nevus",
    "vasc": "vascular lesion",
}

TOTALS = (
    ("top1", "top-1"),
    ("top2", "top-2"),
    ("top3", "top-3"),
    ("balanced_accuracy", "balanced accuracy"),
    ("loss", "loss"),
)
MEANING = (
    "Top-k: the truth is among the first k answers. Balanced accuracy: the mean recall of the "
    "classes. Loss: the mean of \u2212ln(probability of the truth). Without looking: every image "
    "is answered with the shares of the classes."
)


@dataclass(frozen=True)
class Answers:
    """A network's answers to some images.

    name           what to call the images
    dataset        where they are from, positions (N,) which of it they are
    probabilities  (N, classes), in the order of ``classes``
    figures        of :func:`minicnn.metrics.report`; "intervals" (by figure: low, high; of recall
                   a pair for each class) and "reliability" (bins) are shown where they are there
    command        what gives these figures again
    """

    name: str
    dataset: Dataset
    positions: np.ndarray
    probabilities: np.ndarray
    figures: dict[str, Any]
    command: str

    @classmethod
    def of(
        cls, name: str, dataset: Dataset, positions: np.ndarray, outputs: Outputs, command: str
    ) -> Answers:
        """From what :func:`minicnn.evaluation.collect` gave for the images at ``positions``."""
        probabilities = np.exp(log_softmax(outputs.logits))
        figures = outputs.honest_report(dataset.lesions[positions], dataset.classes)
        return cls(name, dataset, positions, probabilities, figures, command)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    @property
    def labels(self) -> np.ndarray:
        """(N,) int, the true classes."""
        return self.dataset.labels[self.positions]


def sections(answers: Answers) -> list[Section]:
    """Results, classes, detection of one class, mistakes."""
    return [
        Section("Results", [_totals(answers)]),
        Section("Classes", [_classes(answers), _pictures(answers)]),
        *detection.sections(answers.figures),
        Section("Worst mistakes", _mistakes(answers)),
    ]


def by_shares(counts: np.ndarray) -> dict[str, float]:
    """What an answer earns that never looks: the share of each class, whatever the image.

    counts (classes,) images per class, of which some class has some. Keys as in the figures.
    """
    shares = np.sort(counts[counts > 0] / counts.sum())[::-1]
    top = {f"top{k}": float(shares[:k].sum()) for k in (1, 2, 3)}
    loss = float(-(shares * np.log(shares)).sum())
    return top | {"balanced_accuracy": 1 / len(shares), "loss": loss}


def _totals(answers: Answers) -> Html:
    figures = answers.figures
    blind = by_shares(np.sum(figures["confusion"], axis=1))
    rows = [
        (name, f"{figures[key]:.3f}", _interval(figures, key), f"{blind[key]:.3f}")
        for key, name in TOTALS
    ]
    return html.table(
        "lrrr",
        ("", "measured", "95 % interval", "without looking"),
        rows,
        f"{figures['images']:,} images: {answers.name}. {MEANING}",
    )


def _interval(figures: dict[str, Any], key: str, which: int | None = None) -> str | None:
    """The interval of a figure, or of one class's; None where none was drawn."""
    found = figures.get("intervals", {}).get(key)
    ends = found if found is None or which is None else found[which]
    return None if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def _classes(answers: Answers) -> Html:
    figures = answers.figures
    counts = np.sum(figures["confusion"], axis=1)
    known = set(answers.classes) <= set(DIAGNOSES)
    rows = []
    for at, name in enumerate(answers.classes):
        cells: list[str | None] = [name, *([DIAGNOSES[name]] if known else [])]
        cells += [f"{counts[at]:,}"]
        cells += [figure(figures["recall"][at]), _interval(figures, "recall", at)]
        rows.append([*cells, figure(figures["precision"][at])])
    head = ["class", *(["diagnosis"] if known else [])]
    head += ["images", "recall", "95 % interval", "precision"]
    caption = (
        "Recall: the share of a class's images that were found. Precision: the share of the "
        "answers that were right."
    )
    return html.table("l" * (1 + known) + "rrrr", head, rows, caption)


def figure(value: float | None) -> str | None:
    """Three decimals, or None for what there is not."""
    return None if value is None else f"{value:.3f}"


def _pictures(answers: Answers) -> Html:
    figures, command = answers.figures, answers.command
    confusion = pictures.confusion(figures["confusion"], answers.classes)
    caption = "Confusion matrix: counts, shaded by the share of the true class."
    parts = [html.figure(confusion, caption, command)]
    if "reliability" in figures:
        drawn = pictures.reliability(figures["reliability"])
        caption = "Reliability: below the diagonal the network is surer than it is right."
        if "calibration_error" in figures:
            ends = _interval(figures, "calibration_error")
            caption += (
                f" The expected calibration error, the mean distance from the diagonal, is "
                f"{figures['calibration_error']:.3f} (95 % interval {ends}; drawing images anew "
                "mostly adds to it, so the interval reaches further up than down)."
            )
        parts.append(html.figure(drawn, caption, command))
    return html.figures(*parts)


def worst_mistakes(probabilities: np.ndarray, labels: np.ndarray, count: int = SHOWN) -> np.ndarray:
    """Positions (up to ``count``,) of the wrong answers, the most confident first.

    probabilities (N, classes), labels (N,); of equal ones the earlier comes first.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:count]]


def _mistakes(answers: Answers) -> Sequence[Html]:
    labels, classes = answers.labels, answers.classes
    shown = []
    for at in worst_mistakes(answers.probabilities, labels):
        position, scores = answers.positions[at], answers.probabilities[at]
        answer = scores.argmax()
        lines = [
            str(answers.dataset.names[position]),
            f"{classes[labels[at]]}, {_percent(scores[labels[at]])}",
            f"taken for {classes[answer]}, {_percent(scores[answer])}",
        ]
        shown.append((answers.dataset.images[position], lines))
    if not shown:
        return []
    wrong = int((answers.probabilities.argmax(axis=1) != labels).sum())
    text = (
        f"The {len(shown)} most confident of {wrong:,} wrong answers, as the network saw the "
        "images: the true class and what the network took it for, each with the probability it "
        "was given."
    )
    return [html.paragraph(text), html.gallery(shown)]


def _percent(share: float) -> str:
    """Never 100 % for what is less, nor 0 % for what is more."""
    if share < 0.001:
        return "below 0.1 %"
    return "above 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"
