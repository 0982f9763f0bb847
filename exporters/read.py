"""A .tflite file as a graph, with what the file says beside it.

The file is taken for what any stranger may have sent: every index, length and offset is checked
before it is used, because the flatbuffers package checks none of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from flatbuffers.number_types import Int32Flags

from exporters import options, schema
from exporters.container import Buffer, Damaged, File, OperatorCode, Signature, TensorFacts
from minicnn.errors import UserError
from minicnn.graph import Node, Tensor

__all__ = ["Buffer", "File", "OperatorCode", "Signature", "TensorFacts", "read"]

LARGEST = 2**31  # bytes; flatbuffers' offsets reach no further
MOST = 100_000  # tables in a vector: far beyond any network
RANK = 16
BUILTIN_CODE = 10  # where a vtable of OperatorCode keeps that field


def read(source: str | Path | bytes) -> File:
    """Read a .tflite file, or its bytes.

    Constants become read-only views of the bytes, in the tensor's shape and dtype; of types NumPy
    lacks (string, int4 ...) and of sparse tensors they are the raw bytes, uint8, one-dimensional.
    Raises UserError for what is not there, is no TFLite file or is damaged.
    """
    file = File(*_content(source))
    try:
        _Reader(file).read()
    except Damaged as damage:
        raise UserError(f"{file.name} is damaged: {damage}") from None
    except (struct.error, IndexError, TypeError, ValueError, OverflowError):
        message = f"{file.name} is damaged: an offset points outside the file (cut short?)"
        raise UserError(message) from None
    return file


def _content(source: str | Path | bytes) -> tuple[str, bytes]:
    """The name and bytes of a file that begins as a TFLite file does."""
    if isinstance(source, bytes):
        _check_head("the model", source[:8], len(source))
        return "the model", source
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a TFLite file")
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    try:
        with path.open("rb") as file:
            head = file.read(8)
            _check_head(str(path), head, path.stat().st_size)
            file.seek(0)
            return str(path), file.read()
    except OSError as failure:
        raise UserError(f"{path} cannot be read: {failure.strerror}") from failure


def _check_head(name: str, head: bytes, size: int) -> None:
    identifier = head[4:8]
    if not size:
        raise UserError(f"{name} is not a TFLite file: it is empty")
    if identifier[:3] == schema.IDENTIFIER[:3] and identifier != schema.IDENTIFIER:
        letters = identifier.decode("ascii", "replace")
        message = f"{name} is a TFLite file of another format: {letters}, this reads TFL3"
        raise UserError(message)
    if identifier != schema.IDENTIFIER:
        raise UserError(f"{name} is not a TFLite file: bytes 4 to 7 are not {schema.IDENTIFIER!r}")
    if size > LARGEST:
        raise UserError(f"{name} is not a TFLite file: {size:,} bytes are more than it can hold")


class _Reader:
    """Fills a File, and keeps count: tables may share what they point to, so that a small file
    can ask for endless work.
    """

    def __init__(self, file: File) -> None:
        self.file = file
        self.left = 2**20 + 4 * file.size

    def spend(self, amount: int) -> None:
        """Count bytes or numbers that are about to be read."""
        self.left -= amount
        if self.left < 0:
            raise Damaged("it holds far more than its size allows")

    def read(self) -> None:
        file, model = self.file, tflite.Model.GetRootAs(self.file.content, 0)
        file.version = model.Version()
        file.description = self.text(model.Description())
        file.subgraphs = model.SubgraphsLength()
        if not file.subgraphs:
            raise Damaged("it has no subgraph")
        file.codes = [self.code(e) for e in self.entries(model, "OperatorCodes")]
        file.buffers = [self.buffer(e) for e in self.entries(model, "Buffers")]
        graph, subgraph = file.graph, model.Subgraphs(0)
        for number, entry in enumerate(self.entries(subgraph, "Tensors")):
            self.tensor(number, entry)
        for number, entry in enumerate(self.entries(subgraph, "Operators")):
            self.operator(number, entry)
        graph.inputs = self.numbers("the graph's inputs", subgraph.InputsAsNumpy(), low=0)
        graph.outputs = self.numbers("the graph's outputs", subgraph.OutputsAsNumpy(), low=0)
        for entry in self.entries(model, "Metadata"):
            buffer = _position("metadata's buffer", entry.Buffer(), len(file.buffers))
            self.spend(file.buffers[buffer].size)
            file.metadata[self.text(entry.Name())] = file.bytes_of(buffer)
        file.signatures = [self.signature(e) for e in self.entries(model, "SignatureDefs")]

    def entries(self, table: Any, name: str) -> Iterator[Any]:
        """The tables of a vector of tables."""
        length = getattr(table, f"{name}Length")()
        if length > MOST:
            raise Damaged(f"it declares {length:,} {name}")
        return map(getattr(table, name), range(length))

    def text(self, content: bytes | None) -> str:
        self.spend(len(content or b""))
        return (content or b"").decode("utf-8", "replace")

    def numbers(self, what: str, numbers: np.ndarray | int, low: int = -1) -> list[int]:
        """Tensor numbers of a vector; where the file has none, the accessor gives the integer 0."""
        if isinstance(numbers, int):
            return []
        self.spend(len(numbers))
        count = len(self.file.graph.tensors)
        if len(numbers) and not (low <= numbers.min() and numbers.max() < count):
            raise Damaged(f"{what}: a tensor number is outside {low} to {count - 1}")
        return numbers.tolist()

    def code(self, entry: tflite.OperatorCode) -> OperatorCode:
        # as stored: BuiltinCode() would give the deprecated field's value where it is below 127
        builtin = entry._tab.GetSlot(BUILTIN_CODE, 0, Int32Flags)
        deprecated = entry.DeprecatedBuiltinCode()
        code, custom = max(builtin, deprecated), self.text(entry.CustomCode())
        op = f"CUSTOM:{custom}" if code == schema.CUSTOM else schema.OPERATORS.get(code)
        return OperatorCode(op or f"BUILTIN:{code}", builtin, deprecated, entry.Version(), custom)

    def buffer(self, entry: tflite.Buffer) -> Buffer:
        """Inside the flatbuffer, or (files near 2 GB) appended to it, at offset and size."""
        offset, size = entry.Offset(), entry.Size()
        if offset <= 1:
            values = entry.DataAsNumpy()
            size = 0 if isinstance(values, int) else values.size
            offset = entry._tab.Vector(entry._tab.Offset(4)) if size else 0
        if offset + size > self.file.size:
            raise Damaged(f"a buffer of {size:,} bytes at {offset:,} ends outside the file")
        return Buffer(offset, size)

    def tensor(self, number: int, entry: tflite.Tensor) -> None:
        file, name = self.file, self.text(entry.Name())
        what = f"tensor {number} ({name[:80]})"
        if (dtype := schema.DTYPES.get(entry.Type())) is None:
            raise Damaged(f"{what} has the unknown type {entry.Type()}")
        signature = None
        if not entry.ShapeSignatureIsNone():
            signature = _shape(what, entry.ShapeSignatureAsNumpy())
        tensor = Tensor(name, _shape(what, entry.ShapeAsNumpy()), dtype, signature=signature)
        details = self.quantization(tensor, entry.Quantization())
        buffer = _position(f"the buffer of {what}", entry.Buffer(), len(file.buffers))
        sparse = entry.Sparsity() is not None
        tensor.data = _constant(file, what, tensor, file.buffers[buffer], sparse)
        file.graph.tensors.append(tensor)
        file.tensors.append(TensorFacts(buffer, details, sparse, entry.IsVariable()))

    def quantization(self, tensor: Tensor, entry: tflite.QuantizationParameters | None) -> str:
        """Put scale, zero point and axis into the tensor; returns the name of other details."""
        if entry is None:
            return ""
        if entry.ScaleLength():
            tensor.scale, tensor.axis = entry.ScaleAsNumpy(), entry.QuantizedDimension()
            if entry.ZeroPointIsNone():
                self.spend(8 * len(tensor.scale))
                tensor.zero_point = np.zeros(len(tensor.scale), np.int64)
            else:
                tensor.zero_point = entry.ZeroPointAsNumpy()
        kind = entry.DetailsType()
        return {0: "", 1: "CustomQuantization"}.get(kind, f"details {kind}")

    def operator(self, number: int, entry: tflite.Operator) -> None:
        what, graph, codes = f"operator {number}", self.file.graph, self.file.codes
        code = codes[_position(f"{what}'s code", entry.OpcodeIndex(), len(codes))]
        inputs = self.numbers(f"{what}'s inputs", entry.InputsAsNumpy())
        outputs = self.numbers(f"{what}'s outputs", entry.OutputsAsNumpy())
        path = graph.tensors[outputs[0]].name if outputs and outputs[0] >= 0 else what
        attrs = options.attrs(f"{what} ({code.op})", code.op, entry)
        node = Node(code.op, tuple(inputs), tuple(outputs), path, attrs, code.version)
        graph.nodes.append(node)

    def signature(self, entry: tflite.SignatureDef) -> Signature:
        inputs, outputs = (
            {self.text(e.Name()): e.TensorIndex() for e in self.entries(entry, name)}
            for name in ("Inputs", "Outputs")
        )
        return Signature(self.text(entry.SignatureKey()), inputs, outputs, entry.SubgraphIndex())


def _position(what: str, number: int, count: int) -> int:
    if not 0 <= number < count:
        raise Damaged(f"{what} is number {number}, of {count}")
    return number


def _shape(what: str, dimensions: np.ndarray | int) -> tuple[int, ...]:
    if isinstance(dimensions, int):
        return ()
    if len(dimensions) > RANK:
        raise Damaged(f"{what} has {len(dimensions):,} dimensions")
    if len(dimensions) and dimensions.min() < -1:
        raise Damaged(f"{what} has the shape {dimensions.tolist()}")
    return tuple(dimensions.tolist())


def _constant(
    file: File, what: str, tensor: Tensor, place: Buffer, sparse: bool
) -> np.ndarray | None:
    if not place.size:
        return None
    raw = np.frombuffer(file.content, np.uint8, place.size, place.offset)
    if sparse or tensor.dtype in schema.RAW:
        return raw
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    wanted = math.prod(tensor.shape) * dtype.itemsize
    if min(tensor.shape, default=0) < 0 or wanted != place.size:
        raise Damaged(
            f"{what} of shape {tensor.shape} and type {tensor.dtype} takes {wanted:,} bytes, "
            f"its buffer has {place.size:,}"
        )
    return raw.view(dtype).reshape(tensor.shape)
