"""Rules for the file around the graph, and what its parameters take of the chip's memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from exporters import schema
from exporters.container import File
from exporters.edgetpu.operands import WEIGHTED, data_tensors, operand
from exporters.edgetpu.rules import Finding
from minicnn.graph import Graph, Node

# Of 8 MiB; what the compiler reports as available for small models is 7.7 to 7.9 MiB.
CACHE_BYTES = int(7.7 * 2**20)


def container(file: File) -> Iterator[Finding]:
    """Findings for the file as a container."""
    identifier = schema.IDENTIFIER.decode()
    if file.identifier != identifier:
        yield Finding("identifier", file.name, f"has the id {file.identifier!r}", identifier)
    if file.version != schema.SCHEMA_VERSION:
        problem, wanted = f"has the schema version {file.version}", str(schema.SCHEMA_VERSION)
        yield Finding("schema-version", file.name, problem, wanted)
    if file.subgraphs != 1:
        problem = f"has {file.subgraphs} subgraphs"
        yield Finding("subgraphs", file.name, problem, "one: no IF, WHILE or variables")
    if file.buffers and file.buffers[0].size:
        problem = f"keeps {file.buffers[0].size:,} bytes in buffer 0"
        yield Finding("buffer-zero", file.name, problem, "an empty buffer 0")
    if not file.graph.nodes:
        yield Finding("no-operations", file.name, "has no operations", "some")
    yield from _codes(file)
    for tensor, facts in zip(file.graph.tensors, file.tensors, strict=False):
        if facts.sparse:
            yield Finding("sparse-tensor", tensor.name, "is stored sparse", "all of its values")
        if facts.quantization:
            problem = f"has quantization of the kind {facts.quantization}"
            yield Finding("quantization-kind", tensor.name, problem, "scales and zero points")
    names = Counter(tensor.name for tensor in file.graph.tensors)
    for name, count in names.items():
        if count > 1:
            problem = f"{count} tensors have this name"
            yield Finding("duplicate-names", name, problem, "a name for each")


def _codes(file: File) -> Iterator[Finding]:
    """The old field has one byte, where 127 stands for what does not fit (schema.fbs).

    Either may be left at 0: files from before 2020 have the old field only.
    """
    for code in file.codes:
        if code.builtin and code.deprecated not in (0, min(code.builtin, 127)):
            problem = f"builtin_code {code.builtin}, deprecated_builtin_code {code.deprecated}"
            wanted = "the same number in both (at most 127 in the deprecated one)"
            yield Finding("builtin-codes", code.op, problem, wanted)


def parameter_bytes(graph: Graph, nodes: list[Node]) -> int:
    """Bytes of the weights, biases and constant operands of some nodes, shared ones once."""
    found: dict[int, int] = {}
    for node in nodes:
        constants = data_tensors(graph, node)
        if places := WEIGHTED.get(node.op):
            learned = (operand(graph, node, at) for at in (places.w, places.b))
            constants += [tensor for tensor in learned if tensor is not None]
        for tensor in constants:
            if tensor.data is not None:
                found[id(tensor)] = tensor.data.nbytes
    return sum(found.values())


def memory(file: File, parameters: int) -> Iterator[Finding]:
    """A finding where the parameters of mapped operations exceed the cache."""
    if parameters > CACHE_BYTES:
        problem = (
            f"has {parameters / 2**20:.2f} MiB of parameters; {parameters - CACHE_BYTES:,} bytes "
            "go over USB again for every image"
        )
        wanted = f"at most about {CACHE_BYTES / 2**20:.1f} MiB, all of which stay on the chip"
        yield Finding("parameters-size", file.name, problem, wanted)
