"""What a page says of melanoma, or another class, against the rest, and of the split's leak."""

from __future__ import annotations

from typing import Any

from minicnn.report import html
from minicnn.report.html import Section

Figures = dict[str, Any]  # of Outputs.honest_report, with "leak"; any part may be absent


def sections(figures: Figures) -> list[Section]:
    """One class against all others, and the leak: what of it was measured."""
    found = []
    if figures.get("detection") is not None:
        found.append(_detection(figures["detection"]))
    if figures.get("leak") is not None:
        found.append(_leak(figures["leak"]))
    return found


def _detection(found: Figures) -> Section:
    name = found["class"]
    title = f"{name} against all others"
    if found["auc"] is None:
        text = f"There is no {name}, or nothing else, among these images."
        return Section(title, [html.paragraph(text)])
    rows = [
        (
            f"{point['specificity']:.2f}",
            f"{point['sensitivity']:.3f}",
            _to(point["interval"]),
            None if point["threshold"] is None else f"{point['threshold']:.3f}",
        )
        for point in found["sensitivities"]
    ]
    caption = (
        f"Sensitivity: the share of the {found['images']} images of {name} that are found while "
        "that share of all others, the specificity, is not taken for it."
    )
    text = (
        f"Area under the ROC curve {found['auc']:.3f}{_brackets(found['interval'])}: how often an "
        f"image of {name} gets more of its probability than another. The thresholds are chosen "
        "on these same images: on others expect a little less."
    )
    head = ("specificity", "sensitivity", "95 % interval", f"threshold of p({name})")
    return Section(title, [html.paragraph(text), html.table("rrrr", head, rows, caption)])


def _leak(found: Figures) -> Section:
    rows: list[tuple[str, ...]] = [
        (
            name,
            f"{found[key]['images']:,}",
            f"{found[key]['top1']:.3f}",
            f"{found[key]['balanced_accuracy']:.3f}",
        )
        for key, name in (("seen", "was trained on"), ("unseen", "was not"))
    ]
    points = found["points"]
    rows.append(
        ("difference, points", "", f"{points['top1']:+.1f}", f"{points['balanced_accuracy']:+.1f}")
    )
    caption = (
        f"{found['lesions']:,} lesions have photographs on both sides of this split. Balanced "
        "accuracy here is over the classes that both kinds of images have."
    )
    head = ("lesion of the test image", "images", "top-1", "balanced accuracy")
    return Section("The split's leak", [html.table("lrrr", head, rows, caption)])


def _to(interval: tuple[float, float] | None) -> str | None:
    return None if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _brackets(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" (95 % interval {_to(interval)})"
