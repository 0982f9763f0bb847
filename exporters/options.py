"""An operation's settings: from TFLite's options table to ``Node.attrs``, and back."""

from __future__ import annotations

import struct
from typing import Any

import flatbuffers
import tflite

from exporters import schema
from exporters.container import Damaged
from minicnn.graph import Node

NO_OPTIONS = flatbuffers.table.Table(struct.pack("<HHi", 4, 4, 4), 4)  # every field at its default
LONGEST = 16  # numbers in a vector


def attrs(what: str, op: str, entry: tflite.Operator) -> dict[str, Any]:
    """The settings of an operation of ``schema.OPTIONS``; of any other, none."""
    row = schema.OPTIONS.get(op)
    if row is None or not row.table:
        return {}
    found, kind = entry.BuiltinOptions() or NO_OPTIONS, entry.BuiltinOptionsType()
    if kind and schema.OPTIONS_TYPES.get(kind) != row.table:
        raise Damaged(f"{what} has options of another operation (type {kind})")
    table = getattr(tflite, row.table)()
    table.Init(found.Bytes, found.Pos)
    return {setting.attr: _setting(what, setting, table) for setting in row.settings}


def _setting(what: str, setting: schema.Setting, table: Any) -> Any:
    if setting.vector:
        values = getattr(table, f"{setting.fields[0]}AsNumpy")()
        if not isinstance(values, int) and len(values) > LONGEST:
            raise Damaged(f"{what} has a {setting.attr} of {len(values):,} numbers")
        return None if isinstance(values, int) else tuple(values.tolist())
    values = tuple(getattr(table, name)() for name in setting.fields)
    if setting.names is None:
        return values if len(values) > 1 else values[0]
    if values[0] not in setting.names:
        raise Damaged(f"{what} has an unknown {setting.attr}: {values[0]}")
    return setting.names[values[0]]


def fields(node: Node) -> dict[str, Any]:
    """The options table's fields of a node of ``schema.OPTIONS``; a vector is a tuple of integers.

    ValueError for a value that an enumeration lacks.
    """
    result: dict[str, Any] = {}
    for setting in schema.OPTIONS[node.op].settings:
        value = node.attrs.get(setting.attr, setting.default)
        if setting.vector:
            if value is not None:
                result[setting.fields[0]] = tuple(value)
            continue
        if setting.names is not None:
            value = _enumerated(node, setting, value)
        values = value if len(setting.fields) > 1 else (value,)
        result.update(zip(setting.fields, values, strict=True))
    return result


def _enumerated(node: Node, setting: schema.Setting, name: str) -> int:
    for value, known in (setting.names or {}).items():
        if known == name:
            return value
    raise ValueError(f"{node.path}: {node.op} has no {setting.attr} {name!r}")
