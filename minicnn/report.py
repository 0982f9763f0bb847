"""Tables and pictures of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from minicnn.files import replacing

# Blue and orange differ for every kind of colour vision, and in print.
TRAIN, TEST, BASELINE = "#4477aa", "#cc6600", "#777777"

HEADER = (
    "epoch      train: loss  top-1  top-2  top-3  balanced    "
    "test: loss  top-1  top-2  top-3  balanced   images/s"
)


def epoch_line(row: dict[str, Any], epochs: int) -> str:
    """One row of the table under HEADER."""
    sides = [
        f"{side['loss']:8.3f}  {side['top1']:.3f}  {side['top2']:.3f}  {side['top3']:.3f}"
        f"     {side['balanced_accuracy']:.3f}"
        for side in (row["train"], row["test"])
    ]
    place = f"{row['epoch']}/{epochs}" + ("*" if row["partial"] else "")
    return f"{place:8}     {sides[0]}     {sides[1]}   {row['images_per_second']:8.0f}"


def advice(row: dict[str, Any], classes: Sequence[str]) -> list[str]:
    """What an epoch's figures give away, and a newcomer would otherwise find out after hours."""
    lines = []
    predicted = np.sum(row["test"]["confusion"], axis=0)
    if (predicted > 0).sum() == 1:
        lines.append(
            f"every test image is called {classes[int(np.argmax(predicted))]!r}, the thesis's "
            "'nv trap'. It may pass in the first epochs; if it lasts, try a lower --lr, "
            "--class-weights log or --undersample"
        )
    guessing = math.log(len(classes))
    if abs(row["train"]["loss"] - guessing) < 0.005 * guessing:
        lines.append(
            f"the training loss stands at ln({len(classes)}) = {guessing:.4f}: all logits are "
            "equal, nothing is learned yet. If it lasts, try a lower --lr or another --seed"
        )
    return lines


def class_table(figures: dict[str, Any], classes: Sequence[str]) -> str:
    """The figures of one set as text: totals, then a line per class."""
    counts = np.sum(figures["confusion"], axis=1)
    width = max(len("class"), *(len(name) for name in classes))
    lines = [
        f"images            {figures['images']}",
        f"top-1             {figures['top1']:.3f}",
        f"top-2             {figures['top2']:.3f}",
        f"top-3             {figures['top3']:.3f}",
        f"loss              {figures['loss']:.3f}",
        f"majority baseline {figures['majority_baseline']:.3f}"
        f"  (top-1 of always answering {classes[int(np.argmax(counts))]})",
        f"balanced accuracy {figures['balanced_accuracy']:.3f}"
        f"  (guessing earns {1 / int((counts > 0).sum()):.3f})",
        "",
        f"{'class':{width}}  images  recall  precision",
    ]
    for name, count, found, right in zip(
        classes, counts, figures["recall"], figures["precision"], strict=True
    ):
        lines.append(f"{name:{width}}  {count:6d}  {_share(found):>6}  {_share(right):>9}")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def draw_curves(path: Path, rows: list[dict[str, Any]], title: str) -> None:
    """Loss and accuracies by epoch, with the baselines they must beat, as a PNG."""
    epochs = [row["epoch"] for row in rows]
    mark = {"marker": "o", "markersize": 3} if len(rows) < 40 else {}

    def fill(figure: Figure) -> None:
        loss, accuracy = figure.subplots(1, 2)
        for side, colour in (("train", TRAIN), ("test", TEST)):
            loss.plot(epochs, [r[side]["loss"] for r in rows], color=colour, label=side, **mark)
            for key, style in (("balanced_accuracy", "-"), ("top1", ":")):
                name = f"{side}, {'balanced' if style == '-' else 'top-1'}"
                values = [r[side][key] for r in rows]
                accuracy.plot(epochs, values, style, color=colour, label=name, **mark)
        classes = len(rows[0]["test"]["recall"])
        loss.axhline(
            np.log(classes), color=BASELINE, lw=1, ls="--", label=f"ln {classes}: guessing"
        )
        majority = rows[0]["test"]["majority_baseline"]
        accuracy.axhline(majority, color=BASELINE, lw=1, ls=":", label="majority, top-1")
        accuracy.axhline(1 / classes, color=BASELINE, lw=1, ls="--", label="guessing, balanced")
        loss.set(xlabel="epoch", ylabel="cross-entropy (unweighted)", ylim=(0, None))
        accuracy.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
        for axes in (loss, accuracy):
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.25)
        loss.legend(frameon=False)
        accuracy.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        figure.suptitle(title)

    _save(path, (11, 4.2), fill)


def draw_confusion(path: Path, figures: dict[str, Any], classes: Sequence[str], title: str) -> None:
    """The confusion matrix as a PNG: counts, shaded by the share of the true class."""
    confusion = np.array(figures["confusion"])
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for i, j in np.ndindex(confusion.shape):
            colour = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(confusion[i, j]), ha="center", va="center", color=colour)
        ticks = range(len(classes))
        axes.set_xticks(ticks, classes, rotation=45, ha="right")
        axes.set_yticks(ticks, classes)
        axes.set(xlabel="predicted class", ylabel="true class")
        figure.colorbar(image, ax=axes, label="share of the true class")
        figure.suptitle(title)

    side = 3.5 + 0.5 * len(classes)
    _save(path, (side + 0.8, side), fill)


def _save(path: Path, inches: tuple[float, float], fill: Callable[[Figure], None]) -> None:
    # a Figure of one's own, not pyplot's: no window system, no global state
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False}):
        figure = Figure(figsize=inches, dpi=120, layout="constrained")
        fill(figure)
        with replacing(path) as file:
            figure.savefig(file, format="png")
