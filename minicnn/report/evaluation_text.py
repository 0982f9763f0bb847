"""What an evaluation found, as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.report.tables import class_table, ends, share


def text(figures: dict[str, Any], classes: Sequence[str]) -> str:
    """All figures of one set: totals, classes, detection of one class, the leak.

    figures  of ``Outputs.honest_report``; "class" is the class that is detected, "leak" what
             ``evaluation.leak`` gave, each only where there is one
    """
    parts = [class_table(figures, classes)]
    if figures["detection"] is not None:
        parts.append(_detection(figures["detection"]))
    if figures.get("leak") is not None:
        parts.append(_leak(figures["leak"]))
    return "\n\n".join(parts)


def _detection(found: dict[str, Any]) -> str:
    name = found["class"]
    if found["auc"] is None:
        return f"{name} against all others: none, or nothing else, is among these images"
    lines = [
        f"{name} against all others: {found['images']} of the images are {name}, area under the "
        f"ROC curve {found['auc']:.3f}{ends(found['interval'])}",
        f"specificity  sensitivity             answered {name} from p({name}) =",
    ]
    for point in found["sensitivities"]:
        sensitivity = f"{point['sensitivity']:.3f}{ends(point['interval'])}"
        lines.append(f"{point['specificity']:11.2f}  {sensitivity:22}  {share(point['threshold'])}")
    lines.append("(thresholds chosen on these same images: on others expect a little less)")
    return "\n".join(lines)


def _leak(found: dict[str, Any]) -> str:
    rows = [
        f"{found['lesions']} lesions have images on both sides of this split by image:",
        "lesion of the test image  images  top-1  balanced accuracy",
    ]
    for key, name in (("seen", "was trained on"), ("unseen", "was not")):
        side = found[key]
        rows.append(
            f"{name:24}  {side['images']:6d}  {side['top1']:.3f}  {side['balanced_accuracy']:.3f}"
        )
    top1, balanced = found["points"]["top1"], found["points"]["balanced_accuracy"]
    rows.append(f"{'leak, in points':24}  {'':6}  {top1:+5.1f}  {balanced:+5.1f}")
    rows.append("(balanced over the classes that both have images of)")
    return "\n".join(rows)
