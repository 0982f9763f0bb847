"""Operations the Edge TPU knows, and which of their versions load and map.

An operation has a version in a file, which rises with what TFLite can do with it. The compiler
reads the file with a TFLite of mid-2021, about 2.5, that knows none newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporters import schema
from exporters.edgetpu.rules import Finding
from minicnn.graph import Graph, Node


@dataclass(frozen=True)
class Versions:
    """proven: up to here TensorFlow writes int8 and files are accepted; loads: up to here TFLite
    2.5.0 has it, found by loading a file of each version; unmapped: loads, yet does not map.
    """

    proven: int
    loads: int
    unmapped: tuple[int, ...] = ()


# Names from coral.ai's table; what it limits is in edgetpu/operations.py.
VERSIONS: dict[str, Versions] = {
    "ADD": Versions(2, 3),
    "AVERAGE_POOL_2D": Versions(2, 3),
    "CONCATENATION": Versions(2, 3),
    "CONV_2D": Versions(3, 5),
    "DEPTHWISE_CONV_2D": Versions(3, 6),
    "DEQUANTIZE": Versions(2, 4),
    "EXPAND_DIMS": Versions(1, 1),
    "FULLY_CONNECTED": Versions(4, 9, unmapped=(9,)),  # one user's report, of 2026
    "L2_NORMALIZATION": Versions(2, 2),
    "LOGISTIC": Versions(2, 3),
    "LSTM": Versions(1, 4),
    "MAXIMUM": Versions(2, 4),
    "MAX_POOL_2D": Versions(2, 3),
    "MEAN": Versions(2, 3),
    "MINIMUM": Versions(2, 4),
    "MUL": Versions(2, 4),
    "PACK": Versions(2, 3),
    "PAD": Versions(2, 3),
    "PRELU": Versions(1, 1),
    "QUANTIZE": Versions(1, 2),
    "REDUCE_MAX": Versions(2, 3),
    "REDUCE_MIN": Versions(2, 3),
    "RELU": Versions(2, 3),
    "RELU6": Versions(2, 3),
    "RELU_N1_TO_1": Versions(1, 1),
    "RESHAPE": Versions(1, 1),
    "RESIZE_BILINEAR": Versions(2, 4),
    "RESIZE_NEAREST_NEIGHBOR": Versions(2, 4, unmapped=(3, 4)),  # reports 420
    "RSQRT": Versions(2, 2),
    "SLICE": Versions(2, 5),
    "SOFTMAX": Versions(2, 3),
    "SPACE_TO_DEPTH": Versions(2, 2),
    "SPLIT": Versions(2, 4),
    "SQUARED_DIFFERENCE": Versions(2, 2),
    "SQUEEZE": Versions(1, 2),
    "STRIDED_SLICE": Versions(2, 5),
    "SUB": Versions(2, 5),
    "SUM": Versions(2, 2),
    "TANH": Versions(2, 3),
    "TRANSPOSE": Versions(2, 5),
    "TRANSPOSE_CONV": Versions(3, 3),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Versions(2, 3),
}
COMPILED = "CUSTOM:edgetpu-custom-op"
LAST_CODE = 139  # of the operations in TFLite 2.5.0's schema
CODES = {name: code for code, name in schema.OPERATORS.items()}


def known(graph: Graph, node: Node) -> Iterator[Finding]:
    """Findings for an operation that the Edge TPU lacks, or a version of it."""
    if node.op in VERSIONS:
        yield from _version(node, VERSIONS[node.op])
    elif node.op == COMPILED:
        problem = "is compiled for the Edge TPU already"
        yield Finding("already-compiled", node.path, problem, "the file the compiler was given")
    elif node.op.startswith("CUSTOM"):
        yield Finding("custom-op", node.path, f"{node.op} is a custom operation", "TFLite's own")
    elif _code(node.op) > LAST_CODE:
        problem = f"{node.op} is newer than the compiler's TFLite"
        yield Finding("op-too-new", node.path, problem, "operations of TensorFlow 2.5 or before")
    else:
        wanted = "operations of coral.ai's table"
        yield Finding("op-unknown", node.path, f"{node.op} is not supported", wanted)


def _code(op: str) -> int:
    return int(op.partition(":")[2]) if op.startswith("BUILTIN:") else CODES.get(op, 0)


def _version(node: Node, versions: Versions) -> Iterator[Finding]:
    version = node.version
    if version is None or version <= versions.proven:
        return
    problem = f"{node.op} has version {version}"
    wanted = f"up to {versions.proven}"
    if version > versions.loads:
        yield Finding("op-version", node.path, f"{problem}, TFLite 2.5 has no such", wanted)
    elif version in versions.unmapped:
        yield Finding("op-version-unmapped", node.path, f"{problem}, which does not map", wanted)
    else:
        yield Finding("op-version-unproven", node.path, f"{problem}, untried", wanted)
