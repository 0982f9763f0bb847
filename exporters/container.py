"""A .tflite file as read: its graph, and what the file says beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from minicnn.graph import Graph


@dataclass(frozen=True)
class OperatorCode:
    """One entry of the file's list of operations.

    op          TFLite's name, "CUSTOM:name" for an operation of somebody's own
    builtin     builtin_code; ``deprecated`` is the field of files before 2020, one byte
    """

    op: str
    builtin: int
    deprecated: int
    version: int
    custom: str = ""


@dataclass(frozen=True)
class Buffer:
    """Where a buffer's bytes lie in the file; offset and size are 0 for an empty one."""

    offset: int
    size: int


@dataclass(frozen=True)
class TensorFacts:
    """What a file says of a tensor beyond :class:`minicnn.graph.Tensor`.

    buffer        number of its buffer; 0 is the empty one
    quantization  "" for none or the usual (scale, zero_point), else the name of its details table
    """

    buffer: int
    quantization: str = ""
    sparse: bool = False
    variable: bool = False


@dataclass(frozen=True)
class Signature:
    """A named way to call the graph: tensor numbers by the caller's names for them."""

    key: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    subgraph: int = 0


@dataclass
class File:
    """A .tflite file.

    name      what to call it in messages
    content   its bytes; ``graph``'s constants are views of them
    graph     the first subgraph; a node's path is the name of its first output tensor
    version   of the schema, 3 in every file of today
    tensors   one for each tensor of the graph
    metadata  the bytes of each metadata entry
    """

    name: str
    content: bytes
    graph: Graph = field(default_factory=Graph)
    version: int = 0
    description: str = ""
    subgraphs: int = 0
    codes: list[OperatorCode] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    tensors: list[TensorFacts] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)
    signatures: list[Signature] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the file, with anything appended to it."""
        return len(self.content)

    @property
    def identifier(self) -> str:
        """The four letters after the root's offset."""
        return self.content[4:8].decode("ascii", "replace")

    def bytes_of(self, buffer: int) -> bytes:
        """A copy of a buffer's bytes."""
        place = self.buffers[buffer]
        return self.content[place.offset : place.offset + place.size]


class Damaged(Exception):
    """What is wrong with a file's structure; its name is for ``read`` to add."""
