"""TFLite Metadata: what a .tflite file says of itself to apps, such as its classes' names.

It is a flatbuffer of its own, kept in one of the model's buffers. Files it speaks of, such as
labels.txt, are a zip archive appended to the .tflite: runtimes read from the front and never see
it, zip readers begin at the end. Schema: tensorflow/tflite-support, metadata_schema.fbs.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import flatbuffers
import numpy as np

from exporters.container import File
from exporters.metadata_schema import Table, floats, table, vector
from exporters.read import read
from minicnn.errors import UserError

T = TypeVar("T")
NAME = "TFLITE_METADATA"  # of the model's metadata entry
IDENTIFIER = b"M001"
PARSER_VERSION = "1.0.0"  # the oldest that knows all that is written here
LABELS = "labels.txt"
LARGEST = 2**24  # bytes of a labels file: far beyond any

FEATURE, IMAGE = 1, 2  # Content.properties_type
NORMALIZATION = 1  # ProcessUnit.options_type
RGB = 1  # ImageProperties.color_space
AXIS_LABELS = 2  # AssociatedFile.type


def build(
    name: str,
    description: str,
    labels: Sequence[str],
    mean: float | Sequence[float],
    std: float | Sequence[float],
    input_dtype: str = "uint8",
) -> bytes:
    """The metadata of an image classifier, to be stored as the entry ``NAME``.

    labels       a name for each class; empty for none
    mean, std    of pixels 0 to 255, one or one for each channel: the network sees (x - mean) / std
    input_dtype  the input tensor's: "uint8", "int8" or "float32"
    """
    builder = flatbuffers.Builder(1024)
    image = _input(builder, np.atleast_1d(mean), np.atleast_1d(std), input_dtype)
    result = _output(builder, bool(labels))
    subgraph = table(
        builder,
        "SubGraphMetadata",
        input_tensors=vector(builder, [image]),
        output_tensors=vector(builder, [result]),
    )
    model = table(
        builder,
        "ModelMetadata",
        name=builder.CreateString(name),
        description=builder.CreateString(description),
        subgraph_metadata=vector(builder, [subgraph]),
        min_parser_version=builder.CreateString(PARSER_VERSION),
    )
    builder.Finish(model, IDENTIFIER)
    return bytes(builder.Output())


def _input(builder: flatbuffers.Builder, mean: np.ndarray, std: np.ndarray, dtype: str) -> int:
    ranges = {
        "uint8": (0, 255),
        "int8": (-128, 127),
        "float32": ((0 - mean) / std, (255 - mean) / std),
    }
    low, high = ranges[dtype]
    stats = table(builder, "Stats", max=floats(builder, high), min=floats(builder, low))
    options = table(
        builder, "NormalizationOptions", mean=floats(builder, mean), std=floats(builder, std)
    )
    unit = table(builder, "ProcessUnit", options_type=NORMALIZATION, options=options)
    image = table(builder, "ImageProperties", color_space=RGB)
    return table(
        builder,
        "TensorMetadata",
        name=builder.CreateString("image"),
        description=builder.CreateString("The photograph, RGB"),
        content=table(builder, "Content", properties_type=IMAGE, properties=image),
        process_units=vector(builder, [unit]),
        stats=stats,
    )


def _output(builder: flatbuffers.Builder, labelled: bool) -> int:
    fields = {
        "name": builder.CreateString("probability"),
        "description": builder.CreateString("The probability of each class"),
    }
    if labelled:
        file = table(
            builder,
            "AssociatedFile",
            name=builder.CreateString(LABELS),
            description=builder.CreateString("The classes, one a line"),
            type=AXIS_LABELS,
        )
        fields["associated_files"] = vector(builder, [file])
    feature = table(builder, "FeatureProperties")
    fields["content"] = table(builder, "Content", properties_type=FEATURE, properties=feature)
    return table(builder, "TensorMetadata", **fields)


def append_labels(model: bytes, labels: Sequence[str]) -> bytes:
    """The model with labels.txt, one label a line, as a zip archive after its last byte.

    The same bytes for the same input. ValueError for a label of more than one line.
    """
    if broken := [label for label in labels if label.splitlines() != [label]]:
        raise ValueError(f"a label must be one line of text, unlike {broken[0]!r}")
    entry = zipfile.ZipInfo(LABELS, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, 0o644 << 16  # not what it is written on
    content = io.BytesIO(model)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(entry, "".join(f"{label}\n" for label in labels))
    return content.getvalue()


def labels(source: str | Path | bytes | File) -> list[str] | None:
    """The classes' names, of a model that has them; UserError where they are damaged."""
    return _read(source, _labels)


def normalization(source: str | Path | bytes | File) -> tuple[np.ndarray, np.ndarray] | None:
    """(mean, std) of pixels 0 to 255, each of one value or one for each channel; or None."""
    return _read(source, _normalization)


def _read(source: str | Path | bytes | File, take: Callable[[File, Table], T]) -> T | None:
    file = source if isinstance(source, File) else read(source)
    content = file.metadata.get(NAME)
    if content is None:
        return None
    try:
        root = int.from_bytes(content[:4], "little")
        model = Table("ModelMetadata", content, root)
        subgraph = model.first("subgraph_metadata", "SubGraphMetadata", lambda entry: True)
        return take(file, subgraph) if subgraph else None
    except (struct.error, IndexError, TypeError, ValueError) as failure:
        raise UserError(f"{file.name}: its TFLite metadata is damaged") from failure
    except (zipfile.BadZipFile, KeyError, RuntimeError, EOFError, zlib.error) as failure:
        raise UserError(f"{file.name}: the labels appended to it are damaged") from failure


def _labels(file: File, subgraph: Table) -> list[str] | None:
    output = subgraph.first("output_tensors", "TensorMetadata", lambda entry: True)
    named = output and output.first(
        "associated_files", "AssociatedFile", lambda entry: entry.byte("type") == AXIS_LABELS
    )
    if not named:
        return None
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        entry = archive.getinfo(named.text("name"))
        if entry.file_size > LARGEST:
            raise UserError(f"{file.name}: its labels take {entry.file_size:,} bytes")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile("of a kind that no .tflite has")
        return archive.read(entry).decode().splitlines()


def _normalization(file: File, subgraph: Table) -> tuple[np.ndarray, np.ndarray] | None:
    image = subgraph.first("input_tensors", "TensorMetadata", lambda entry: True)
    unit = image and image.first(
        "process_units", "ProcessUnit", lambda entry: entry.byte("options_type") == NORMALIZATION
    )
    if not unit:
        return None
    options = unit.one("options", "NormalizationOptions")
    return options.floats("mean"), options.floats("std")
