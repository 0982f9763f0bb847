"""What an export made, and as a text: sizes, errors by layer, accuracy, the Edge TPU's verdict."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporters.convert import Quality
from exporters.edgetpu import Verdict
from minicnn.compress.compare import LayerError
from minicnn.files import checksum


@dataclass(frozen=True)
class Export:
    """An int8 file and what is known of it.

    bytes, float32_bytes  sizes of the file and of the same network in float32
    seconds               to make the file, calibration apart
    calibration           how and on what
    layers, looked_at     errors of the int8 tensors, over so many images
    quality               accuracy on the test side; None where there was none
    """

    path: Path
    checkpoint: Path
    bytes: int
    float32_bytes: int
    seconds: float
    calibration: str
    layers: Sequence[LayerError]
    looked_at: int
    quality: Quality | None
    verdict: Verdict

    @property
    def labels(self) -> Path:
        """The class names, one a line."""
        return self.path.with_name("labels.txt")

    @property
    def edgetpu(self) -> Path:
        """The Edge TPU check in full."""
        return self.path.with_name("edgetpu.txt")

    @property
    def figures(self) -> Path:
        """What :func:`as_json` gives."""
        return self.path.with_name("export.json")


def as_json(export: Export) -> dict[str, Any]:
    """All figures as plain values, for the page of a run; an infinite SQNR is None.

    The checksum tells whether the checkpoint is still the one that was exported.
    """
    verdict = export.verdict
    operations = Counter((operation.op, operation.status) for operation in verdict.operations)
    layers = [dataclasses.asdict(row) for row in export.layers]
    return {
        "file": export.path.name,
        "checkpoint": export.checkpoint.name,
        "checkpoint_sha256": checksum(export.checkpoint),
        "bytes": export.bytes,
        "float32_bytes": export.float32_bytes,
        "calibration": export.calibration,
        "looked_at": export.looked_at,
        "layers": [
            row | {"sqnr_db": row["sqnr_db"] if math.isfinite(row["sqnr_db"]) else None}
            for row in layers
        ],
        "quality": None if export.quality is None else dataclasses.asdict(export.quality),
        "edgetpu": {
            "operations": [[op, count, status] for (op, status), count in operations.items()],
            "findings": [str(finding) for finding in verdict.findings],
            "parameter_bytes": verdict.parameter_bytes,
            "cached_bytes": verdict.cached_bytes,
            "streamed_bytes": verdict.streamed_bytes,
            "estimate": None if verdict.estimate is None else dataclasses.asdict(verdict.estimate),
        },
    }


def text(export: Export, layers: bool = True) -> str:
    """All of it; ``layers`` False leaves the table of layers out."""
    parts = [_file(export)]
    if layers:
        parts.append(_layer_table(export.layers, export.looked_at))
    if export.quality is not None:
        parts.append(_quality_table(export.quality))
    parts.append(_verdict(export))
    return "\n\n".join(parts)


def _file(export: Export) -> str:
    trained = export.checkpoint.stat().st_size
    return "\n".join(
        [
            f"int8         {export.path}",
            f"             {export.bytes:,} bytes, written in {export.seconds:.2f} s:",
            f"             {export.bytes / export.float32_bytes:.3f} of the float32 file's "
            f"{export.float32_bytes:,} bytes, {export.bytes / trained:.3f} of "
            f"{export.checkpoint.name}'s {trained:,}",
            f"calibration  {export.calibration}",
        ]
    )


def _layer_table(rows: Sequence[LayerError], images: int) -> str:
    width = max(len("layer"), *(len(row.path) for row in rows))
    lines = [
        f"error of each int8 tensor on {images} images (SQNR, signal to quantization noise: "
        "the higher the better)",
        f"{'layer':{width}}  {'operation':15}      scale  zero point  SQNR dB  saturated",
    ]
    lines += [
        f"{row.path:{width}}  {row.op:15}  {row.scale:9.3g}  {row.zero_point:10d}"
        f"  {row.sqnr_db:7.1f}  {row.saturated:9.3%}"
        for row in rows
    ]
    return "\n".join(lines)


def _quality_table(quality: Quality) -> str:
    title = f"{quality.images:,} test images"
    lines = [f"{title}  top-1  top-2  top-3  balanced accuracy"]
    for form, top in quality.top.items():
        shares = "  ".join(f"{share:.3f}" for share in top)
        lines.append(f"{form:{len(title)}}  {shares}  {quality.balanced[form]:.3f}")
    paired = quality.paired
    lines.append(f"same answer on {paired.agreement:.2%}")
    for name, change in (("top-1", paired.top1), ("balanced", paired.balanced_accuracy)):
        measured, low, high = (100 * value for value in change)
        lines.append(
            f"{name:8} {measured:+.2f} points by int8 (95 % interval {low:+.2f} to {high:+.2f})"
        )
    return "\n".join(lines)


def _verdict(export: Export) -> str:
    verdict = export.verdict
    on_tpu = sum(operation.mapped for operation in verdict.operations)
    ends = sum(operation.at_end for operation in verdict.operations)
    lines = [f"Edge TPU     {on_tpu} of {len(verdict.operations)} operations map"]
    if ends:
        lines[0] += f"; {ends} that convert floats at the ends stay on the CPU, as is usual"
    lines += [f"             {finding}" for finding in verdict.findings]
    lines.append(f"             a structural check, the compiler was not run; {export.edgetpu}")
    return "\n".join(lines)
