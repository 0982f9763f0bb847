"""What a page says of the int8 file and of pruning, from export.json and prune.json."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from minicnn.report import html
from minicnn.report.html import Html, Section

Figures = dict[str, Any]  # plain values, as JSON has them


def quantization(export: Figures) -> Section:
    """The int8 file: size, accuracy beside float32's, errors by layer."""
    parts = [_file(export)]
    if export["quality"] is not None:
        parts.append(_quality(export["quality"]))
    parts.append(_layers(export))
    return Section("Quantization", parts)


def _file(export: Figures) -> Html:
    share = export["bytes"] / export["float32_bytes"]
    return html.settings(
        [
            ("file", export["file"]),
            ("size", f"{export['bytes']:,} bytes"),
            (
                "the same in float32",
                f"{export['float32_bytes']:,} bytes; int8 is {share:.3f} of it",
            ),
            ("calibration", export["calibration"]),
        ]
    )


def _quality(quality: Figures) -> Html:
    rows: list[Sequence[object]] = [
        (form, *(f"{share:.3f}" for share in top), f"{quality['balanced'][form]:.3f}")
        for form, top in quality["top"].items()
    ]
    paired = quality["paired"]
    changes = [points(paired[key]) for key in ("top1", "balanced_accuracy")]
    rows.append(("int8 less float32, points", changes[0], None, None, changes[1]))
    return html.table(
        "lrrrr",
        ("", "top-1", "top-2", "top-3", "balanced accuracy"),
        rows,
        f"Both on {quality['images']:,} test images; they give the same answer on "
        f"{100 * paired['agreement']:.2f} % of them. In brackets the interval of 95 %, by "
        "bootstrap over lesions.",
    )


def points(interval: Sequence[float]) -> str:
    """+0.4 [-0.3, +1.1] of (difference, lower end, upper end) in shares of one."""
    middle, low, high = (100 * value for value in interval)
    return f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]"


def _layers(export: Figures) -> Html:
    rows = [
        (
            *(row["path"], row["op"], f"{row['scale']:.3g}", row["zero_point"]),
            None if row["sqnr_db"] is None else f"{row['sqnr_db']:.1f}",
            f"{100 * row['saturated']:.3f}",
        )
        for row in export["layers"]
    ]
    return html.table(
        "llrrrr",
        ("layer", "operation", "scale", "zero point", "SQNR, dB", "saturated, %"),
        rows,
        f"Error of each int8 tensor on {export['looked_at']} images. SQNR: signal to quantization "
        "noise, the higher the better; 20 dB is an error of a tenth. Saturated: the share of "
        "values at an end of int8's range.",
    )


def edgetpu(check: Figures) -> Section:
    """The structural check: where each operation would run, memory, the estimate."""
    operations = html.table(
        "lrl",
        ("operation", "count", "status"),
        check["operations"],
        "A structural check: the compiler was not run. Status in the compiler's words.",
    )
    facts = [
        ("parameters that map", f"{check['parameter_bytes']:,} bytes"),
        ("kept on the chip", f"{check['cached_bytes']:,} bytes"),
        ("sent for each image", f"{check['streamed_bytes']:,} bytes"),
    ]
    if estimate := check["estimate"]:
        facts.append(("time, estimated", f"{estimate['ms']:.1f} ms for an image"))
        facts.append(("energy, estimated", f"{estimate['mj']:.0f} mJ for an image"))
        facts.append(("multiply-adds", f"{estimate['multiply_adds']:,} for an image"))
    findings = [html.paragraph(text) for text in check["findings"]]
    return Section("Edge TPU", [operations, *findings, html.settings(facts)])


# What pruning changes: a name, where it stands in "before" and "after", how it is written.
PRUNED = (
    ("weights", ("weights",), ","),
    ("weights that are not zero", ("nonzero_weights",), ","),
    ("multiply-adds of an image", ("multiply_adds",), ","),
    ("of these with weights that are not zero", ("nonzero_multiply_adds",), ","),
    ("float32 file, bytes", ("files", "float32", "bytes"), ","),
    ("float32 file by gzip -9, bytes", ("files", "float32", "gzip_bytes"), ","),
    ("int8 file, bytes", ("files", "int8", "bytes"), ","),
    ("int8 file by gzip -9, bytes", ("files", "int8", "gzip_bytes"), ","),
    ("milliseconds for an image, float32", ("milliseconds",), ".2f"),
    ("top-1 on test images", ("test", "top1"), ".3f"),
    ("balanced accuracy", ("test", "balanced_accuracy"), ".3f"),
    ("top-1 of the int8 file", ("files", "int8", "top1"), ".3f"),
    ("balanced accuracy of the int8 file", ("files", "int8", "balanced_accuracy"), ".3f"),
)


def pruning(prune: Figures) -> Section:
    """Before and after, and the layers."""
    rows = []
    for name, keys, form in PRUNED:
        values = [_value(prune.get(side), keys) for side in ("before", "after")]
        if None not in values:
            rows.append((name, *(format(value, form) for value in values)))
    parts = [html.table("lrr", ("", "before", "after"), rows)] if rows else []
    if difference := prune.get("difference"):
        texts = [
            f"{name} {points(difference[key])}"
            for name, key in (("top-1", "top1"), ("balanced accuracy", "balanced_accuracy"))
        ]
        parts.append(
            html.paragraph(
                f"After less before, in points: {'; '.join(texts)} (in brackets the interval of "
                "95 %, by bootstrap over lesions). Zeros alone make nothing faster: dense kernels "
                "multiply by a zero as by any other weight. What shrinks is the compressed file."
            )
        )
    layers = _value(prune.get("after"), ("layers",))
    return Section("Pruning", [*parts, *([_sparsities(layers)] if layers else [])])


def prune_command(prune: Figures) -> str:
    """The command line of ``minicnn.prune`` that gives the same again."""
    wish = [(key, value) for key, value in prune["wish"].items() if value is not None]
    flags = [text for key, value in wish for text in (f"--{key}", str(value))]
    return f"python -m minicnn.prune {shlex.join([str(prune['start']), *flags])}"


def _value(figures: Figures | None, keys: Sequence[str]) -> Any:
    """The value at a path of keys; None where a step of it is not there."""
    value: Any = figures
    for key in keys:
        value = None if value is None else value.get(key)
    return value


def _sparsities(layers: Sequence[Figures]) -> Html:
    rows = [
        (row["path"], f"{row['weights']:,}", f"{row['nonzero_weights']:,}")
        + (f"{100 * row['sparsity']:.1f}",)
        for row in layers
    ]
    return html.table("lrrr", ("layer", "weights", "not zero", "zeros, %"), rows)
