"""The pictures of ``depth``: the signal by depth, and the loss of short trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from minicnn.files import replacing

if TYPE_CHECKING:
    from minicnn.experiments.depth import Course, Signal

# of Okabe and Ito, 2008: told apart by every kind of colour vision
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
SMOOTHED = 20  # steps


def draw_signals(path: Path, signals: Mapping[str, Sequence[Signal]]) -> None:
    """Differences between images, and gradients, layer by layer on a logarithmic scale."""
    figure = Figure(figsize=(10, 4.4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (title, rows) in enumerate(signals.items()):
        place = np.linspace(0, 1, len(rows))
        style = {"color": COLOURS[number // 2], "ls": "-" if number % 2 else ":", "marker": "."}
        left.plot(place, [row.between for row in rows], label=title, **style)
        right.plot(place, [row.gradient for row in rows], **style)
    left.set(ylabel="deviation of activations between images")
    right.set(ylabel="deviation of gradients")
    for axes in (left, right):
        axes.set(yscale="log", xlabel="depth (0: first layer, 1: logits)")
        axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle("Before training: what is left of an image's signal")
    _save(path, figure)


def draw_courses(path: Path, courses: Sequence[Course], network: str) -> None:
    """Loss by step, a running mean, and the level of guessing."""
    figure = Figure(figsize=(8, 4.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for course, colour in zip(courses, COLOURS, strict=False):
        window = min(SMOOTHED, max(1, len(course.losses) // 2))
        mean = np.convolve(course.losses, np.full(window, 1 / window), mode="valid")
        label = f"{course.change}: {course.largest:.0%} get one answer"
        axes.plot(np.arange(window, len(course.losses) + 1), mean, color=colour, label=label)
    axes.axhline(np.log(7), color="#777777", lw=1, ls="--", label="ln 7: guessing")
    axes.set(xlabel="optimizer steps", ylabel=f"cross-entropy (mean of at most {SMOOTHED} steps)")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axes.set_title(f"{network}: what of the thesis's recipe is changed")
    _save(path, figure)


def _save(path: Path, figure: Figure) -> None:
    with replacing(path) as file:
        figure.savefig(file, format="png")
