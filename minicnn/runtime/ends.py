"""Both ends of a .tflite file that classifies photographs: bytes in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from exporters import metadata
from exporters.container import File
from minicnn.errors import UserError
from minicnn.graph import Tensor

LABELS = "labels.txt"  # beside a file that does not hold its classes' names

Convert = Callable[[np.ndarray], np.ndarray]  # uint8 images to the input's dtype


def find(file: File) -> tuple[Tensor, Tensor]:
    """Input (1, H, W, 3) and output (1, classes); UserError for any other file."""
    graph = file.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UserError(
            f"{file.name} has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs: "
            "wanted one of each, an image and its probabilities"
        )
    x, y = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    if len(x.shape) != 4 or x.shape[0] != 1 or x.shape[3] != 3 or min(x.shape) < 1:
        raise UserError(
            f"{file.name}: its input is {x.shape}, wanted one RGB image, (1, height, width, 3)"
        )
    if len(y.shape) != 2 or y.shape[0] != 1 or y.shape[1] < 1:
        raise UserError(f"{file.name}: its output is {y.shape}, wanted (1, classes)")
    for what, tensor in (("input", x), ("output", y)):
        if tensor.dtype not in CONVERSIONS:
            kinds = ", ".join(CONVERSIONS)
            raise UserError(f"{file.name}: its {what} is {tensor.dtype}, wanted one of {kinds}")
    return x, y


def conversion(file: File, x: Tensor) -> tuple[Convert, str]:
    """How images become the input x, and what the user should know of it, or ""."""
    return CONVERSIONS[x.dtype](file)


def _as_they_are(file: File) -> tuple[Convert, str]:
    return lambda images: images, ""


def _less_128(file: File) -> tuple[Convert, str]:
    return lambda images: (images ^ 0x80).view(np.int8), ""


def _normalized(file: File) -> tuple[Convert, str]:
    found, note = metadata.normalization(file), ""
    if found is None:
        found = np.array([0.0]), np.array([255.0])
        note = "the file does not say how its input is normalized: bytes / 255 are taken"
    mean, std = (values.astype(np.float32) for values in found)
    if mean.size not in (1, 3) or std.size not in (1, 3) or not (std > 0).all():
        raise UserError(f"{file.name}: its metadata normalize by mean {mean} and std {std}")
    return lambda images: (images - mean) / std, note


CONVERSIONS: dict[str, Callable[[File], tuple[Convert, str]]] = {
    "uint8": _as_they_are,
    "int8": _less_128,
    "float32": _normalized,
}


def labels(file: File, path: Path, count: int) -> tuple[str, ...] | None:
    """The file's names of its classes, or those of labels.txt beside it; UserError where they are
    not ``count``.
    """
    beside = path.with_name(LABELS)
    source, names = path, _inside(file, beside)
    if names is None and beside.is_file():
        source, names = beside, _lines(beside)
    if names is not None and len(names) != count:
        raise UserError(f"{source} names {len(names)} classes, the output of {path} has {count}")
    return None if names is None else tuple(names)


def _inside(file: File, beside: Path) -> list[str] | None:
    """The names in the file's metadata, which a compiler may have cut off or damaged."""
    try:
        return metadata.labels(file)
    except UserError:
        if beside.is_file():
            return None
        raise


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as reason:
        raise UserError(f"{path} is no text in UTF-8: {reason}") from None
