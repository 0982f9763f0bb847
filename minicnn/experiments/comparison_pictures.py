"""The thesis's figures 19 to 26, with its results beside ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from minicnn.experiments import claims, pictures
from minicnn.experiments.comparison_tables import how

Figures = dict[str, Any]
THESIS: Figures = {"epochs": claims.EPOCHS, "size": claims.SIZE}


def draw_curves(path: Path, network: str, each: Figures, rows: list[Figures]) -> None:
    """Accuracy and loss by epoch, with the thesis's final values: its figures 19 to 24."""
    told, here = each["thesis"], each["here"]

    def fill(figure: Figure) -> None:
        accuracy, loss = figure.subplots(1, 2)
        _sides(accuracy, rows, "top1")
        _level(accuracy, told["top1"], f"thesis, {told['epochs']} epochs")
        _level(accuracy, here["test"]["majority_baseline"], "always the largest class")
        accuracy.set(ylabel="top-1", ylim=(0, 1))
        _sides(loss, rows, "loss")
        if told["loss"] is not None:
            _level(loss, told["loss"], f"thesis, {told['epochs']} epochs")
        top = 1.05 * max(loss.dataLim.y1, told["loss"] or 0)
        loss.set(ylabel="cross-entropy (unweighted)", ylim=(0, top))
        loss.legend(frameon=False, loc="lower left")
        figure.suptitle(f"{network}: {', '.join(how(here))}")

    pictures.save(path, (9.5, 3.8), fill)


def _sides(axes: Axes, rows: list[Figures], key: str) -> None:
    epochs = [row["epoch"] for row in rows]
    for side, colour in (("train", pictures.OURS), ("test", pictures.THESIS)):
        values = [row[side][key] for row in rows]
        axes.plot(epochs, values, color=colour, label=side, marker="o", markersize=3)
    axes.set(xlabel="epoch", xlim=(0.5, epochs[-1] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)


def _level(axes: Axes, value: float, name: str) -> None:
    """A dashed line across, with its name above it."""
    axes.axhline(value, color=pictures.GREY, lw=1, ls="--")
    axes.annotate(
        *(name, (1, value), (-2, 5)),  # clear of a curve's dots that lie on the line
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color=pictures.GREY,
    )


def draw_accuracy(path: Path, comparison: Figures) -> None:
    """Final accuracies as bars, thesis beside here: its figure 25."""
    networks = _finished(comparison)

    def fill(figure: Figure) -> None:
        for axes, key in zip(figure.subplots(1, 2, sharey=True), ("top1", "top3"), strict=True):
            told = [each["thesis"][key] for each in networks.values()]
            here = [each["here"]["test"][key] for each in networks.values()]
            groups = {f"thesis: {', '.join(how(THESIS))}": told, "here": here}
            _bars(axes, groups, lambda share: f"{100 * share:.1f}")
            _names(axes, networks)
            axes.set(title=f"top-{key[-1]} on test images", ylim=(0, 1))
        figure.axes[0].set_ylabel("share of test images")
        _legend(figure)

    pictures.save(path, (4.5 + 1.5 * len(networks), 4), fill)


def draw_size(path: Path, comparison: Figures) -> None:
    """Final sizes as bars on a logarithmic scale, so that AlexNet has room: its figure 26."""
    networks = _finished(comparison)

    def fill(figure: Figure) -> None:
        here = [each["here"] for each in networks.values()]
        kinds: dict[str, list[float | None]] = {
            f"thesis ({', '.join(how(THESIS))})": [
                e["thesis"]["file_bytes"] for e in networks.values()
            ],
            "here, with momentum as well": [each["checkpoint_bytes"] for each in here],
            "float32": [each["float32_bytes"] for each in here],
            "int8": [each["int8_bytes"] for each in here],
            "pruned, int8, gzip": [each["pruned"]["int8_gzip_bytes"] for each in here],
        }
        axes = figure.subplots()
        mebibytes = {name: [v and v / 2**20 for v in values] for name, values in kinds.items()}
        _bars(axes, mebibytes, lambda value: f"{value:.2f}" if value < 100 else f"{value:.0f}")
        _names(axes, networks)
        axes.set(yscale="log", ylabel="MiB", title="size of the files")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.set_ylim(0.5 * axes.get_ylim()[0], None)
        _legend(figure)

    pictures.save(path, (5.5 + 1.25 * len(networks), 4), fill)


def _finished(comparison: Figures) -> Figures:
    return {n: each for n, each in comparison["networks"].items() if each["here"] is not None}


COLOURS = (pictures.THESIS, pictures.OURS, *pictures.OTHERS)


def _bars(axes: Axes, groups: dict[str, list[float | None]], text: Callable[[float], str]) -> None:
    """A bar of each group at each place, its value above it; nothing for None."""
    width = 0.8 / len(groups)
    for number, (name, values) in enumerate(groups.items()):
        places = np.arange(len(values)) + (number - (len(groups) - 1) / 2) * width
        heights = [value or 0.0 for value in values]
        bars = axes.bar(places, heights, 0.92 * width, color=COLOURS[number], label=name)
        labels = ["" if value is None else text(value) for value in values]
        axes.bar_label(bars, labels, fontsize=7, padding=1)


def _names(axes: Axes, networks: Figures) -> None:
    """Each network with the epochs and the image size that it was run at here."""
    names = ["\n".join([name, *how(each["here"])]) for name, each in networks.items()]
    axes.set_xticks(range(len(names)), names, fontsize=7)


def _legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
