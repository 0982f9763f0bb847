"""The figures of pruning as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.compress.channels import VECTOR
from minicnn.compress.prune import schedule_of
from minicnn.compress.sensitivity import Sensitivity
from minicnn.config import Config, Pruning

NO_FASTER = (
    "Zeros alone make nothing faster: dense kernels, the Edge TPU's among them, multiply by a zero "
    "as by\nany other weight. What shrinks is the file once it is compressed (gzip -9)."
)
FASTER = (
    "The channels are gone from every shape, so each kernel has less to do, an int8 one as well.\n"
    f"Widths stay multiples of {VECTOR}: a layer's share is only near the one that was asked for."
)


def plan(config: Config, steps: int) -> str:
    """What the run is going to do, before it does."""
    lines = [f"retraining  {config.epochs} epochs, {steps} steps, rate {config.lr:g}"]
    lines[0] += f" {config.schedule}, weight decay {config.weight_decay:g}"
    if config.channels:
        lines.append(f"channels    {config.channels:.0%} of each convolution's are taken out first")
    if config.pruning:
        lines += _turns(config.pruning, steps)
    return "\n".join(lines)


def _turns(pruning: Pruning, steps: int) -> list[str]:
    turns = schedule_of(pruning).turns(steps)
    if not turns:
        return [f"pruning     never: the first would be before step {pruning.begin}"]
    shown = [f"{share:.1%} before step {step}" for step, share in turns]
    zeros = ", ".join(shown) if len(turns) <= 3 else f"{shown[0]} ... {shown[-1]}"
    lines = [
        f"pruning     {len(turns)} times, every {pruning.every} steps, scope {pruning.scope}",
        f"            zeros: {zeros}",
    ]
    if turns[-1][1] < pruning.final - 0.001:
        lines.append(f"            so {pruning.final:.1%} is not reached: no turn is at the end")
    return lines


def report(result: dict[str, Any]) -> str:
    """prune.json for people: each layer, then before and after."""
    zeros, channels = result["wish"]["sparsity"], result["wish"].get("channels")
    parts = [_shapes(result)] if channels else []
    parts += [_layers(result)] if zeros or not channels else []
    parts += [_totals(result), _difference(result)]
    parts += [FASTER] if channels else []
    parts += [NO_FASTER] if zeros or not channels else []
    return "\n\n".join(parts)


def _shapes(result: dict[str, Any]) -> str:
    """What the channels that were taken out leave of each layer."""
    before, after = result["before"]["layers"], result["after"]["layers"]
    width = max(len("layer"), *(len(row["path"]) for row in after))
    lines = [
        f"{'layer':{width}}  {'shape of the weights':>32}  {'weights':>22}  {'multiply-adds':>28}"
    ]
    for one, two in zip(before, after, strict=True):
        shapes = " -> ".join("x".join(map(str, row["shape"])) for row in (one, two))
        weights = f"{one['weights']:,} -> {two['weights']:,}"
        counts = f"{one['multiply_adds']:,} -> {two['multiply_adds']:,}"
        lines.append(f"{two['path']:{width}}  {shapes:>32}  {weights:>22}  {counts:>28}")
    return "\n".join(lines)


def _layers(result: dict[str, Any]) -> str:
    rows = result["after"]["layers"]
    width = max(len("layer"), *(len(row["path"]) for row in rows))
    head = f"{'layer':{width}}    weights   not zero  sparsity   multiply-adds        not zero"
    lines = [head]
    for row in rows:
        lines.append(
            f"{row['path']:{width}}  {row['weights']:9,}  {row['nonzero_weights']:9,}  "
            f"{row['sparsity']:8.1%}  {row['multiply_adds']:14,}  "
            f"{row['nonzero_multiply_adds']:14,}"
        )
    return "\n".join(lines)


def _totals(result: dict[str, Any]) -> str:
    """A line for each figure there is, before and after."""
    counts: list[tuple[str, tuple[str, ...]]] = [
        ("parameters", ("parameters",)),
        ("weights", ("weights",)),
        ("weights that are not zero", ("nonzero_weights",)),
        ("multiply-adds of an image", ("multiply_adds",)),
        ("  with weights that are not zero", ("nonzero_multiply_adds",)),
    ]
    for form in ("float32", "int8"):
        counts.append((f"model_{form}.tflite, bytes", ("files", form, "bytes")))
        counts.append(("  the same by gzip -9, bytes", ("files", form, "gzip_bytes")))
    shares: list[tuple[str, tuple[str, ...]]] = [
        ("top-1 on test images", ("test", "top1")),
        ("balanced accuracy", ("test", "balanced_accuracy")),
        ("top-1 of the int8 file", ("files", "int8", "top1")),
        ("balanced accuracy of the int8 file", ("files", "int8", "balanced_accuracy")),
    ]
    times = [("ms for an image here, float32", ("milliseconds",))]
    lines = [f"{'':34}  {'before':>14}  {'after':>14}"]
    for rows, form in ((counts, "14,"), (times, "14.2f"), (shares, "14.3f")):
        for name, keys in rows:
            values = [_value(result[side], keys) for side in ("before", "after")]
            if None not in values:
                lines.append(f"{name:34}  " + "  ".join(f"{value:{form}}" for value in values))
    return "\n".join(lines)


def _value(figures: dict[str, Any], keys: Sequence[str]) -> Any:
    """The value at a path of keys; None where a step of it is not there."""
    value: Any = figures
    for key in keys:
        value = None if value is None else value.get(key)
    return value


def _difference(result: dict[str, Any]) -> str:
    difference, images = result["difference"], result["after"]["test"]["images"]
    parts = [
        f"{name} {points(difference[key])}"
        for name, key in (("top-1", "top1"), ("balanced accuracy", "balanced_accuracy"))
    ]
    return (
        f"after less before on {images} test images, points: {', '.join(parts)}\n"
        "(in brackets the interval of 95 %, by bootstrap over lesions)"
    )


def points(interval: Sequence[float]) -> str:
    """+0.4 [-0.3, +1.1] for (difference, lower end, upper end) in shares of one."""
    middle, low, high = (100 * value for value in interval)
    return f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]"


def sensitivity(rows: Sequence[Sensitivity], sparsities: Sequence[float], dense: float) -> str:
    """A line for each layer, a column for each sparsity."""
    width = max(len("pruned alone"), *(len(row.path) for row in rows))
    head = "  ".join(f"{sparsity:>6.0%}" for sparsity in sparsities)
    lines = [f"{'pruned alone':{width}}    weights  {head}"]
    for row in rows:
        scores = "  ".join(f"{score:6.3f}" for score in row.scores)
        lines.append(f"{row.path:{width}}  {row.weights:9,}  {scores}")
    lines.append(f"{'(nothing)':{width}}  {'':9}  {dense:6.3f}")
    return "\n".join(lines)


def sweep(results: Sequence[dict[str, Any]]) -> str:
    """A line for each run of a sweep, the dense network first."""
    lines = [
        f"{'sparsity':>8}  {'not zero':>9}  {'top-1':>6}  {'balanced':>8}  "
        f"{'float32 gzip':>12}  {'int8 gzip':>10}  {'int8 top-1':>10}  points of top-1"
    ]
    lines.append(_sweep_line("dense", results[0]["before"], ""))
    for result in results:
        name = f"{result['after']['sparsity']:.1%}"
        lines.append(_sweep_line(name, result["after"], points(result["difference"]["top1"])))
    return "\n".join(lines)


def _sweep_line(name: str, figures: dict[str, Any], difference: str) -> str:
    test, files = figures["test"], figures["files"]
    cells = [f"{name:>8}", f"{figures['nonzero_weights']:9,}"]
    cells += [f"{test['top1']:6.3f}", f"{test['balanced_accuracy']:8.3f}"]
    if files:
        cells += [f"{files['float32']['gzip_bytes']:12,}", f"{files['int8']['gzip_bytes']:10,}"]
        cells.append(f"{files['int8']['top1']:10.3f}")
    else:
        cells += [f"{'-':>12}", f"{'-':>10}", f"{'-':>10}"]
    return "  ".join([*cells, difference]).rstrip()
