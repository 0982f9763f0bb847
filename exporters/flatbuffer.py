"""A graph as the bytes of a .tflite file, written by hand.

A flatbuffer is written from its end to its beginning: what is pointed to comes before what points.
So the constants are written first and lie at the end of the file. Whatever occurs twice (constants,
shapes, scales, zero points, names, settings) is written once and pointed to from several places.
Layout and meaning of the fields: TensorFlow's schema.fbs; operation versions: its op_version.cc.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tflite

from exporters import options, schema
from minicnn.files import replacing
from minicnn.graph import Graph, Node, Tensor, row

ALIGNMENT = 16  # bytes; TFLite maps constants in place and reads them as vectors
TYPES = {name: value for value, name in schema.DTYPES.items() if name not in schema.RAW}
CODES = {name: value for value, name in schema.OPERATORS.items()}
ONE_BYTE = 127  # the largest deprecated_builtin_code; it stands for "see builtin_code"


def write(path: Path, graph: Graph, **settings: Any) -> int:
    """Write ``serialize(graph, **settings)`` to a file, all of it or nothing; returns its bytes."""
    content = serialize(graph, **settings)
    with replacing(path) as file:
        return file.write(content)


def serialize(
    graph: Graph, description: str = "minicnn", metadata: Mapping[str, bytes] | None = None
) -> bytes:
    """The .tflite file of a graph: the same bytes for the same graph, always.

    Every node needs a row in ``schema.OPTIONS`` (LookupError) and no settings but those of the row;
    every tensor a static shape, a known dtype, finite scales above 0, a constant of its shape
    (ValueError that names node or tensor). ``metadata`` are the model's metadata entries.
    """
    for node in graph.nodes:
        _check_node(graph, node)
    for tensor in graph.tensors:
        _check_tensor(tensor)
    entries = sorted((metadata or {}).items())
    writer = _Writer(_room(graph, entries))
    return writer.model(graph, description, entries)


def _check_node(graph: Graph, node: Node) -> None:
    settings = row(schema.OPTIONS, node, "write it to a file").settings
    if unknown := set(node.attrs) - {setting.attr for setting in settings}:
        raise ValueError(f"{node.path}: {node.op} has no setting {sorted(unknown)} in a file")
    for tensor in (*node.inputs, *node.outputs):
        if not -1 <= tensor < len(graph.tensors):
            raise ValueError(f"{node.path}: {node.op} names tensor {tensor}, which is not there")


def _check_tensor(tensor: Tensor) -> None:
    name = tensor.name
    if any(size < 1 for size in tensor.shape):
        raise ValueError(f"{name}: the shape {tensor.shape} is not static or is empty")
    if tensor.dtype not in TYPES:
        raise ValueError(f"{name}: {tensor.dtype} is no type that this can write")
    if tensor.scale is not None:
        scale, zero_point = np.asarray(tensor.scale), np.asarray(tensor.zero_point)
        if not (np.isfinite(scale) & (scale > 0)).all():
            raise ValueError(f"{name}: scales must be finite and above 0, not {scale}")
        if scale.ndim != 1 or scale.shape != zero_point.shape:
            raise ValueError(f"{name}: scales {scale.shape}, zero points {zero_point.shape}")
    data = tensor.data
    if data is not None and (data.shape, data.dtype.name) != (tensor.shape, tensor.dtype):
        raise ValueError(
            f"{name}: the constant is {data.dtype} {data.shape}, "
            f"the tensor {tensor.dtype} {tensor.shape}"
        )


def _room(graph: Graph, entries: Sequence[tuple[str, bytes]]) -> int:
    """Bytes that will do for the file; should they not, the builder doubles and copies them."""
    constants = sum(t.data.nbytes for t in graph.tensors if t.data is not None)
    quantization = sum(12 * t.scale.size for t in graph.tensors if t.scale is not None)
    tables = 256 * (len(graph.tensors) + len(graph.nodes) + len(entries) + 16)
    return constants + quantization + tables + sum(len(content) for _, content in entries)


class _Writer:
    """A builder, and where it has already written what."""

    def __init__(self, room: int) -> None:
        self.builder = flatbuffers.Builder(room)
        self.written: dict[Hashable, int] = {}
        self.contents: list[int] = []  # where the buffers' bytes are, in the order of writing
        self.codes: dict[tuple[int, int], int] = {}  # (operation, version) to its number

    def model(self, graph: Graph, description: str, entries: list[tuple[str, bytes]]) -> bytes:
        """The whole file. Each step writes what later ones point to."""
        # backwards, so that they lie in the file in their order, metadata last
        described = [self.content(np.frombuffer(data, np.uint8)) for _, data in reversed(entries)]
        constants = [self.constant(tensor) for tensor in reversed(graph.tensors)]
        fields: dict[str, Any] = {"Version": schema.SCHEMA_VERSION}
        buffers = [self.table("Buffer", Data=place) for place in reversed(self.contents)]
        fields["Buffers"] = self.offsets([self.table("Buffer"), *buffers])
        if entries:
            places = zip(entries, reversed(described), strict=True)
            tables = [self.entry(name, place) for (name, _), place in places]
            fields["Metadata"] = self.offsets(tables)
        fields["Description"] = self.text(description)
        tensors = zip(graph.tensors, reversed(constants), strict=True)
        subgraph = self.table(
            "SubGraph",
            Tensors=self.offsets([self.tensor(*tensor) for tensor in tensors]),
            Operators=self.offsets([self.operator(graph, node) for node in graph.nodes]),
            Inputs=self.integers(graph.inputs),
            Outputs=self.integers(graph.outputs),
            Name=self.text("main"),
        )
        fields["Subgraphs"] = self.offsets([subgraph])
        fields["OperatorCodes"] = self.offsets([self.code(*code) for code in self.codes])
        self.builder.Finish(self.table("Model", **fields), schema.IDENTIFIER)
        return bytes(memoryview(self.builder.Bytes)[self.builder.Head() :])

    def once(self, key: Hashable, write: Callable[[], int]) -> int:
        """Where the object of this key was written, or is now."""
        if key not in self.written:
            self.written[key] = write()
        return self.written[key]

    def table(self, name: str, **fields: Any) -> int:
        """One of the schema's tables; fields are written in the order given, large ones first.

        A field that equals the schema's default takes no room.
        """

        def write() -> int:
            getattr(tflite, f"{name}Start")(self.builder)
            for field, value in fields.items():
                getattr(tflite, f"{name}Add{field}")(self.builder, value)
            return getattr(tflite, f"{name}End")(self.builder)

        return self.once((name, *fields.items()), write)

    def vector(self, values: np.ndarray) -> int:
        """A vector of numbers."""
        values = np.ascontiguousarray(values).reshape(-1)
        key = (values.dtype.str, values.tobytes())
        return self.once(key, lambda: self.builder.CreateNumpyVector(values))

    def integers(self, values: Sequence[int]) -> int:
        """A vector of int32."""
        return self.vector(np.array(values, "<i4"))

    def offsets(self, places: Sequence[int]) -> int:
        """A vector of what was written at these places."""
        self.builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.builder.PrependUOffsetTRelative(place)
        return self.builder.EndVector()

    def text(self, text: str) -> int:
        """A string."""
        return self.once(("text", text), lambda: self.builder.CreateString(text))

    def content(self, content: np.ndarray) -> int:
        """Write the bytes (uint8) of a buffer; returns its place in ``contents``."""

        def write() -> int:
            self.builder.Prep(ALIGNMENT, content.size)
            self.contents.append(self.builder.CreateNumpyVector(content))
            return len(self.contents) - 1

        return self.once(("content", hashlib.sha256(content.data).digest()), write)

    def constant(self, tensor: Tensor) -> int | None:
        """Write a tensor's values, the bytes as they are where they are little-endian already."""
        if (data := tensor.data) is None:
            return None
        values = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
        return self.content(values.reshape(-1).view(np.uint8))

    def number(self, place: int | None) -> int:
        """The number of a buffer: 0 is the empty one, 1 the one written last."""
        return 0 if place is None else len(self.contents) - place

    def entry(self, name: str, place: int) -> int:
        return self.table("Metadata", Name=self.text(name), Buffer=self.number(place))

    def tensor(self, tensor: Tensor, place: int | None) -> int:
        fields = {"Shape": self.integers(tensor.shape), "Name": self.text(tensor.name)}
        fields["Buffer"] = self.number(place)
        if tensor.scale is not None:
            fields["Quantization"] = self.quantization(tensor)
        if tensor.signature is not None:
            fields["ShapeSignature"] = self.integers(tensor.signature)
        return self.table("Tensor", **fields, Type=TYPES[tensor.dtype])

    def quantization(self, tensor: Tensor) -> int:
        scale = np.asarray(tensor.scale, "<f4")
        return self.table(
            "QuantizationParameters",
            Scale=self.vector(scale),
            ZeroPoint=self.vector(np.asarray(tensor.zero_point, "<i8")),
            QuantizedDimension=tensor.axis if scale.size > 1 else 0,
        )

    def operator(self, graph: Graph, node: Node) -> int:
        code = CODES[node.op], version(graph, node)
        fields = {"OpcodeIndex": self.codes.setdefault(code, len(self.codes))}
        fields["Inputs"] = self.integers(node.inputs)
        fields["Outputs"] = self.integers(node.outputs)
        if name := schema.OPTIONS[node.op].table:
            settings = options.fields(node)
            for field, value in settings.items():
                settings[field] = self.integers(value) if isinstance(value, tuple) else value
            fields["BuiltinOptions"] = self.table(name, **settings)
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, name)
        return self.table("Operator", **fields)

    def code(self, operation: int, number: int) -> int:
        return self.table(
            "OperatorCode",
            Version=number,
            BuiltinCode=operation,
            DeprecatedBuiltinCode=min(operation, ONE_BYTE),
        )


def version(graph: Graph, node: Node) -> int:
    """The node's own version, or the oldest that takes the type of its first input."""
    if node.version is not None:
        return node.version
    int8 = any(graph.tensors[tensor].dtype == "int8" for tensor in node.inputs[:1])
    return schema.INT8_VERSIONS.get(node.op, 1) if int8 else 1
