"""Tables of a run, as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

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
            f"every test image is called {classes[int(np.argmax(predicted))]!r} (the nv trap: the "
            "thesis's Deepsqueeze ended so). It may pass in the first epochs; if it lasts, try a "
            "lower --lr, --class-weights log or --undersample"
        )
    guessing = math.log(len(classes))
    if abs(row["train"]["loss"] - guessing) < 0.005 * guessing:
        lines.append(
            f"the training loss stands at ln({len(classes)}) = {guessing:.4f}: all logits are "
            "equal, nothing is learned yet. If it lasts, try a lower --lr or another --seed"
        )
    return lines


def class_table(figures: dict[str, Any], classes: Sequence[str]) -> str:
    """The figures of one set as text: totals, then a line per class; intervals where they are."""
    lines = [*_totals(figures, classes), ""]
    counts = np.sum(figures["confusion"], axis=1)
    width = max(len("class"), *(len(name) for name in classes))
    found = figures.get("intervals", {}).get("recall")
    intervals = found or [None] * len(classes)
    room = 16 if found else 0
    lines.append(f"{'class':{width}}  images  recall{'':{room}}  precision")
    for c, name in enumerate(classes):
        recall = f"{share(figures['recall'][c]):>6}{ends(intervals[c]):{room}}"
        precision = f"{share(figures['precision'][c]):>9}"
        lines.append(f"{name:{width}}  {counts[c]:6d}  {recall}  {precision}")
    return "\n".join(lines)


def _totals(figures: dict[str, Any], classes: Sequence[str]) -> list[str]:
    intervals = figures.get("intervals", {})
    counts = np.sum(figures["confusion"], axis=1)
    of = ""
    if intervals:
        of = f"  of {intervals['groups']} lesions; [95 % intervals] by bootstrap over lesions"
    guessing = f"  (guessing earns {1 / int((counts > 0).sum()):.3f})"
    majority = f"  (top-1 of always answering {classes[int(np.argmax(counts))]})"
    lines = [f"images            {figures['images']}{of}"]
    for name, key, after in (
        ("top-1", "top1", ""),
        ("top-2", "top2", ""),
        ("top-3", "top3", ""),
        ("loss", "loss", ""),
        ("majority baseline", "majority_baseline", majority),
        ("balanced accuracy", "balanced_accuracy", guessing),
    ):
        lines.append(f"{name:17} {figures[key]:.3f}{ends(intervals.get(key))}{after}")
    if "calibration_error" in figures:
        error, interval = figures["calibration_error"], intervals["calibration_error"]
        lines.append(
            f"calibration error {error:.3f}{ends(interval)}"
            "  (how far probabilities are from the share of right answers)"
        )
    return lines


def ends(interval: Sequence[float] | None) -> str:
    """An interval as text behind its figure; "" for None."""
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


def share(value: float | None) -> str:
    """Three decimals, or a dash for what there is not."""
    return "-" if value is None else f"{value:.3f}"
