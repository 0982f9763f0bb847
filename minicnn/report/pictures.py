"""Pictures of a run as PNGs, in files or in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from minicnn.files import replacing

# Blue and orange differ for every kind of colour vision, and in print.
TRAIN, TEST, BASELINE = "#4477aa", "#cc6600", "#777777"
QUIET: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
DPI, PAGE_DPI = 120, 192  # a page shows two pixels for one of CSS's 96 to the inch, to be sharp


def draw_curves(path: Path, rows: list[dict[str, Any]], title: str) -> None:
    """Loss and accuracies by epoch, with the baselines they must beat, as a PNG.

    rows  the epochs of metrics.jsonl
    """

    def fill(figure: Figure) -> None:
        loss, accuracy = figure.subplots(1, 2)
        _fill_loss(loss, rows)
        _fill_accuracy(accuracy, rows)
        loss.legend(frameon=False)
        accuracy.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        figure.suptitle(title)

    save(path, (11, 4.2), fill)


def curves(rows: list[dict[str, Any]]) -> tuple[bytes, bytes]:
    """The same as two PNGs, loss and accuracies, each narrow enough for a page."""
    return _curve(rows, _fill_loss), _curve(rows, _fill_accuracy)


def _curve(rows: list[dict[str, Any]], fill_axes: Callable[..., None]) -> bytes:
    def fill(figure: Figure) -> None:
        fill_axes(figure.subplots(), rows)
        figure.legend(frameon=False, loc="outside lower center", ncols=3)

    return png((4.6, 3.5), fill, PAGE_DPI)


def _fill_loss(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for side, colour in (("train", TRAIN), ("test", TEST)):
        _line(axes, rows, side, "loss", "-", side, colour)
    classes = len(rows[0]["test"]["recall"])
    label = f"ln {classes}: guessing"
    axes.axhline(np.log(classes), color=BASELINE, lw=1, ls="--", label=label)
    # room above: a stuck network's curve lies on the line of guessing
    axes.set(ylabel="cross-entropy (unweighted)", ylim=(0, 1.06 * axes.get_ylim()[1]))


def _fill_accuracy(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for side, colour in (("train", TRAIN), ("test", TEST)):
        _line(axes, rows, side, "balanced_accuracy", "-", f"{side}, balanced", colour)
        _line(axes, rows, side, "top1", ":", f"{side}, top-1", colour)
    majority, classes = rows[0]["test"]["majority_baseline"], len(rows[0]["test"]["recall"])
    axes.axhline(majority, color=BASELINE, lw=1, ls=":", label="majority, top-1")
    axes.axhline(1 / classes, color=BASELINE, lw=1, ls="--", label="guessing, balanced")
    axes.set(ylabel="accuracy", ylim=(0, 1))


def _line(
    axes: Axes, rows: list[dict[str, Any]], side: str, key: str, style: str, name: str, colour: str
) -> None:
    marker = "o" if len(rows) < 40 else ""
    epochs, values = [row["epoch"] for row in rows], [row[side][key] for row in rows]
    axes.plot(epochs, values, style, marker=marker, markersize=3, color=colour, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.25)


def draw_confusion(path: Path, figures: dict[str, Any], classes: Sequence[str], title: str) -> None:
    """The confusion matrix as a PNG: counts, shaded by the share of the true class."""
    counts = figures["confusion"]

    def fill(figure: Figure) -> None:
        image = _fill_confusion(figure.subplots(), np.array(counts), classes)
        figure.colorbar(image, label="share of the true class")
        figure.suptitle(title)

    side = 3.5 + 0.5 * len(classes)
    save(path, (side + 0.8, side), fill)


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> bytes:
    """The same narrow enough for a page; counts (classes, classes), a row for each true class."""

    def fill(figure: Figure) -> None:
        _fill_confusion(figure.subplots(), np.array(counts), classes)

    side = 1.2 + 0.5 * len(classes)
    return png((side, side), fill, PAGE_DPI)


def _fill_confusion(axes: Axes, counts: np.ndarray, classes: Sequence[str]) -> AxesImage:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        colour = "white" if share[i, j] > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted class", ylabel="true class")
    return image


def draw_reliability(path: Path, bins: Sequence[dict[str, Any]], title: str) -> None:
    """The picture of :func:`reliability` as a PNG file."""
    with replacing(path) as file:
        file.write(reliability(bins, title, DPI))


def reliability(bins: Sequence[dict[str, Any]], title: str = "", dpi: int = PAGE_DPI) -> bytes:
    """How often answers of a confidence are right, and how many there are, for a page.

    bins  each with low and high (of the confidence), images, and the images' mean confidence and
          accuracy (None without images); Guo et al., 2017, "On Calibration of Modern Neural
          Networks" (arXiv:1706.04599), figure 1
    """
    filled = [bin for bin in bins if bin["images"]]
    middles = [(bin["low"] + bin["high"]) / 2 for bin in bins]
    widths = [0.9 * (bin["high"] - bin["low"]) for bin in bins]

    def fill(figure: Figure) -> None:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot([0, 1], [0, 1], color=BASELINE, lw=1, ls="--", label="as sure as right")
        confidence, accuracy = ([bin[key] for bin in filled] for key in ("confidence", "accuracy"))
        axes.plot(
            *(confidence, accuracy, "-o"),
            color=TEST,
            markersize=4,
            label="measured",
            clip_on=False,  # all right, all wrong: the dot lies on the frame
        )
        axes.set(ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="upper left")
        below.bar(middles, [bin["images"] for bin in bins], widths, color=BASELINE)
        below.set(xlabel="confidence: probability of the answer", ylabel="images")

        if title:
            figure.suptitle(title)

    return png((4.6, 4.6), fill, dpi)


def png(inches: tuple[float, float], fill: Callable[[Figure], None], dpi: int = DPI) -> bytes:
    """A picture (width, height) that ``fill`` draws, in the one style of all."""
    # a Figure of one's own, not pyplot's: no window system, no global state
    out = io.BytesIO()
    with matplotlib.rc_context(QUIET):
        figure = Figure(figsize=inches, dpi=dpi, layout="constrained")
        fill(figure)
        figure.savefig(out, format="png")
    return out.getvalue()


def save(path: Path, inches: tuple[float, float], fill: Callable[[Figure], None]) -> None:
    """Let ``fill`` draw on a figure of so many inches (width, height), and write it as a PNG."""
    content = png(inches, fill)
    with replacing(path) as file:
        file.write(content)
