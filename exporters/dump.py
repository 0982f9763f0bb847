"""What is in a .tflite file: ``python -m exporters.dump FILE.tflite``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

import models
from exporters import dump_bytes, metadata, schema
from exporters.read import File, read
from minicnn.errors import Parser, UserError, command
from minicnn.graph import Node, Tensor

WIDTH = 40  # of a name beside other columns; the tensors' table has them in full


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python -m exporters.dump", description="What is in a .tflite file.")
    p.add_argument("file", metavar="FILE.tflite", help="any TensorFlow Lite model")
    p.add_argument("--hex", action="store_true", help="the first bytes of the file, explained")
    args = p.parse_args(argv)
    file = read(models.released(args.file))
    try:
        print(dump_bytes.first_bytes(file) if args.hex else text(file), flush=True)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def text(file: File) -> str:
    """The file's structure and where its bytes go, over many lines."""
    sections = {
        "": _head(file),
        "Operation codes: what the file uses, each once": _codes(file),
        "Operators, in order of execution: inputs -> outputs": _operators(file),
        "Tensors: value = scale x (stored - zero point)": _tensors(file),
        "Buffers: the bytes of constants, and where they are in the file": _buffers(file),
        "Metadata": _metadata(file),
        "Where the bytes go": dump_bytes.summary(file),
    }
    parts = [f"{title}\n{body}" if title else body for title, body in sections.items() if body]
    return "\n\n".join(parts)


def _head(file: File) -> str:
    graph = file.graph
    ends = [
        f"{side:12}{number} ({graph.tensors[number].name})"
        for side, numbers in (("input", graph.inputs), ("output", graph.outputs))
        for number in numbers
    ]
    subgraphs = f", {file.subgraphs} subgraphs, the first is shown" if file.subgraphs > 1 else ""
    lines = [
        file.name,
        f"identifier  {file.identifier}, schema version {file.version}{subgraphs}",
        f"size        {file.size:,} bytes",
        f"description {file.description}",
        *ends,
    ]
    return "\n".join(lines)


def _codes(file: File) -> str:
    rows = [
        (str(number), code.op, f"version {code.version}", f"code {code.builtin}")
        for number, code in enumerate(file.codes)
    ]
    return _table(rows, right=(0,))


def _operators(file: File) -> str:
    return "\n".join(_operator(file, number, node) for number, node in enumerate(file.graph.nodes))


def _operator(file: File, number: int, node: Node) -> str:
    """Two lines: what is done and how, then with what."""

    def named(tensors: Sequence[int]) -> str:
        return ", ".join(
            f"{t} {_short(file.graph.tensors[t].name)}" if t >= 0 else "none" for t in tensors
        )

    head = f"  {number:3}  {node.op} {node.version}  {_settings(node)}".rstrip()
    return f"{head}\n         {named(node.inputs)} -> {named(node.outputs)}"


def _settings(node: Node) -> str:
    """What differs from the writer's defaults, and every stride, kernel and padding."""
    if node.op not in schema.OPTIONS:
        return ""
    always = ("stride", "kernel", "padding")
    shown = [
        f"{setting.attr} {_value(node.attrs[setting.attr])}"
        for setting in schema.OPTIONS[node.op].settings
        if setting.attr in always or node.attrs[setting.attr] != setting.default
    ]
    return ", ".join(shown)


def _value(value: Any) -> str:
    return _by(value) if isinstance(value, tuple) else str(value)


def _tensors(file: File) -> str:
    rows = [("", "shape", "type", "quantization", "buffer", "name")]
    for number, (tensor, facts) in enumerate(zip(file.graph.tensors, file.tensors, strict=True)):
        quantization = _quantization(tensor)
        for fact, holds in (
            (facts.quantization, facts.quantization),
            ("sparse", facts.sparse),
            ("variable", facts.variable),
        ):
            quantization += f" {fact}" if holds else ""
        buffer = str(facts.buffer) if file.buffers[facts.buffer].size else "-"
        shape = _by(tensor.shape) or "scalar"
        rows.append((str(number), shape, tensor.dtype, quantization.strip(), buffer, tensor.name))
    return _table(rows, right=(0, 4))


def _quantization(tensor: Tensor) -> str:
    scale, zero_point = tensor.scale, tensor.zero_point
    if scale is None or zero_point is None:
        return ""
    points = ",".join(str(z) for z in np.unique(zero_point)[:3])
    if scale.size == 1:
        return f"scale {scale[0]:.6g} zp {points}"
    zp = "" if points == "0" else f" zp {points}"
    low, high = scale.min(), scale.max()
    return f"{scale.size} scales {low:.2g}..{high:.2g} axis {tensor.axis}{zp}"


def _buffers(file: File) -> str:
    users: dict[int, list[str]] = {}
    for number, facts in enumerate(file.tensors):
        users.setdefault(facts.buffer, []).append(str(number))
    rows = [("", "offset", "bytes", "used by")]
    empty = 0
    for number, buffer in enumerate(file.buffers):
        if not buffer.size:
            empty += 1
            continue
        tensors = users.get(number)
        by = f"tensor {', '.join(tensors)}" if tensors else "metadata"
        rows.append((str(number), f"{buffer.offset:,}", f"{buffer.size:,}", by))
    note = f"\n  {empty} empty, for what is computed or fed in" if empty else ""
    return _table(rows, right=(0, 1, 2)) + note


def _metadata(file: File) -> str:
    rows = [(name, f"{len(content):,} bytes") for name, content in file.metadata.items()]
    try:
        rows += _described(file)
    except UserError as mistake:
        rows.append((metadata.NAME, str(mistake)))
    return _table(rows)


def _described(file: File) -> list[tuple[str, str]]:
    """What the TFLite metadata say."""
    rows = []
    if classes := metadata.labels(file):
        more = f" ... ({len(classes)} in all)" if len(classes) > 7 else ""
        rows.append(("labels", "; ".join(classes[:7]) + more))
    if (pixels := metadata.normalization(file)) is not None:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in pixels)
        rows.append(("normalization", f"(pixel - {mean}) / {std}"))
    return rows


def _by(sizes: Sequence[int]) -> str:
    return "x".join(str(size) for size in sizes)


def _short(name: str) -> str:
    return name if len(name) <= WIDTH else f"{name[: WIDTH - 3]}..."


def _table(rows: Sequence[tuple[str, ...]], right: Sequence[int] = ()) -> str:
    """Rows of equal length as aligned columns; ``right`` are the columns that end aligned."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
