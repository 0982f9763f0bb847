"""depth.png: the signal by depth, and short trainings that differ in one setting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from minicnn.experiments import pictures
from minicnn.experiments.signals import LayerSignal
from minicnn.experiments.trials import OURS, THESIS, Trial

COLOURS = {THESIS: pictures.THESIS, OURS: pictures.OURS}
STYLES = ("-", "--")  # by network
HALF_STEP = 2.0**-25  # of a float32 beside its own size, at the least: a smaller change rounds away

Signals = dict[str, dict[str, list[LayerSignal]]]  # network -> setting -> layers


def draw(path: Path, signals: Signals, trials: Sequence[Trial], title: str) -> None:
    """A row of three panels over depth, and a row of two over training steps."""

    def fill(figure: Figure) -> None:
        above, below = _halves(figure)
        forward, backward, step = above.subplots(1, 3)
        _by_depth(forward, signals, "activation", "activations: standard deviation")
        _by_depth(backward, signals, "gradient", "gradient at the outputs: standard deviation")
        _by_depth(step, signals, "update", "first step / weights (lengths)")
        _mark(step, HALF_STEP, "float32 rounds it away")
        handles, labels = forward.get_legend_handles_labels()
        above.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
        loss, spread = below.subplots(1, 2)
        _excess(loss, trials)
        _spreads(spread, trials)
        handles, labels = spread.get_legend_handles_labels()
        below.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
        figure.suptitle(title)

    pictures.save(path, (11.5, 8), fill)


def _halves(figure: Figure) -> tuple[SubFigure, SubFigure]:
    """Upper and lower, each with a layout of its own."""
    grid: Any = figure.subfigures(2, 1)
    return grid[0], grid[1]


def _by_depth(axes: Axes, signals: Signals, figure: str, name: str) -> None:
    for (network, settings), style in zip(signals.items(), STYLES, strict=False):
        for setting, rows in settings.items():
            depth = [row.depth for row in rows]
            values = [getattr(row, figure) for row in rows]
            label = f"{network}, {setting}"
            axes.plot(depth, values, style, color=COLOURS[setting], label=label, marker=".")
    axes.set(yscale="log", xlabel="layers with weights passed", title=name)
    axes.grid(alpha=0.25)


def _excess(axes: Axes, trials: Sequence[Trial]) -> None:
    for trial, colour in zip(trials, _colours(trials), strict=True):
        window = max(1, min(20, len(trial.excess) // 5))
        means = np.convolve(trial.excess, np.full(window, 1 / window), mode="valid")
        steps = np.arange(window, len(trial.excess) + 1)
        axes.plot(steps, means, color=colour, label=trial.name, **_look(trial))
        axes.set_title(f"loss beyond that of one answer for all images, mean of {window}")
    _mark(axes, 0, "")
    axes.set(xlabel="training step", ylabel="class-weighted cross-entropy")
    axes.grid(alpha=0.25)


def _spreads(axes: Axes, trials: Sequence[Trial]) -> None:
    for trial, colour in zip(trials, _colours(trials), strict=True):
        axes.plot(*zip(*trial.spreads, strict=True), color=colour, label=trial.name, **_look(trial))
    name = "spread of the logits between test images"
    axes.set(yscale="log", xlabel="training step", title=name)
    axes.grid(alpha=0.25)


def _look(trial: Trial) -> dict[str, Any]:
    """The thesis's start on top and dashed: others that change nothing lie under it."""
    return {"ls": (0, (4, 3)), "zorder": 3} if trial.name == THESIS else {}


def _mark(axes: Axes, y: float, text: str) -> None:
    """A dotted line across at y, and what it is, below it at the right."""
    axes.axhline(y, color=pictures.GREY, lw=1, ls=":")
    axes.annotate(
        *(text, (1, y), (-2, -10)),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=pictures.GREY,
    )


def _colours(trials: Sequence[Trial]) -> list[str]:
    others = iter(pictures.OTHERS)
    return [COLOURS.get(trial.name) or next(others) for trial in trials]
