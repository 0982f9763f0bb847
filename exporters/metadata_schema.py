"""The tables of TFLite Metadata: written and read by the names of their fields.

No package holds the code generated from metadata_schema.fbs (tensorflow/tflite-support), so its
tables stand here.
"""

from __future__ import annotations

from collections.abc import Callable

import flatbuffers
import numpy as np
from flatbuffers import number_types

MOST = 1000  # tables in a vector that are looked at

# The schema's tables that are used here, all fields in its order: a field's place is its number.
FIELDS = {
    "ModelMetadata": (
        *("name", "description", "version", "subgraph_metadata"),
        *("author", "license", "associated_files", "min_parser_version"),
    ),
    "SubGraphMetadata": ("name", "description", "input_tensors", "output_tensors"),
    "TensorMetadata": (
        *("name", "description", "dimension_names", "content", "process_units"),
        *("stats", "associated_files"),
    ),
    "Content": ("properties_type", "properties", "range"),
    "ImageProperties": ("color_space", "default_size"),
    "FeatureProperties": (),
    "ProcessUnit": ("options_type", "options"),
    "NormalizationOptions": ("mean", "std"),
    "Stats": ("max", "min"),
    "AssociatedFile": ("name", "description", "type", "locale"),
}
ENUMERATIONS = ("properties_type", "options_type", "color_space", "type")  # fields of one byte


def table(builder: flatbuffers.Builder, kind: str, /, **values: int) -> int:
    """Write a table: offsets of what was written before, and one-byte enumerations."""
    builder.StartObject(len(FIELDS[kind]))
    for field, value in values.items():
        number = FIELDS[kind].index(field)
        if field in ENUMERATIONS:
            builder.PrependUint8Slot(number, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(number, value, 0)
    return builder.EndObject()


def vector(builder: flatbuffers.Builder, tables: list[int]) -> int:
    """Write a vector of tables that were written before."""
    builder.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        builder.PrependUOffsetTRelative(table)
    return builder.EndVector()


def floats(builder: flatbuffers.Builder, values: np.ndarray | float) -> int:
    """Write a vector of float32."""
    return builder.CreateNumpyVector(np.atleast_1d(values).astype("<f4"))


class Table(flatbuffers.table.Table):
    """A table of the metadata, its fields by name."""

    __slots__ = ("fields",)

    def __init__(self, name: str, content: bytes, position: int) -> None:
        super().__init__(content, position)
        self.fields = FIELDS[name]

    def at(self, field: str) -> int:
        """Where the field is, from the table's start; 0 where there is none."""
        return self.Offset(4 + 2 * self.fields.index(field))

    def byte(self, field: str) -> int:
        at = self.at(field)
        return self.Bytes[self.Pos + at] if at else 0

    def text(self, field: str) -> str:
        at = self.at(field)
        return self.String(self.Pos + at).decode() if at else ""

    def floats(self, field: str) -> np.ndarray:
        at = self.at(field)
        if not at:
            return np.zeros(0, np.float32)
        return self.GetVectorAsNumpy(number_types.Float32Flags, at)

    def one(self, field: str, name: str) -> Table:
        return Table(name, self.Bytes, self.Indirect(self.Pos + self.at(field)))

    def first(self, field: str, name: str, matches: Callable[[Table], bool]) -> Table | None:
        """The first table of a vector for which ``matches`` holds."""
        at = self.at(field)
        for number in range(min(self.VectorLen(at), MOST) if at else 0):
            table = Table(name, self.Bytes, self.Indirect(self.Vector(at) + 4 * number))
            if matches(table):
                return table
        return None
