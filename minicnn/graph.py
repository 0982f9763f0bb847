"""A network as a list of nodes: what remains of it after training.

Layers emit the nodes; the TFLite reader makes the same kind of graph of a file. Whatever reads a
network (the summary here, the quantizer, the simulator, the TFLite writer, the Edge TPU check) is a
table ``op -> function`` over the nodes and never sees a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from minicnn.layers import Layer, Shape

T = TypeVar("T")


@dataclass
class Tensor:
    """An activation or a constant, as TFLite has it.

    name        unique in the graph: the layer's path, such as ``fire2/expand3/w``
    shape       with N, which is 1
    dtype       numpy's name of the type; a file may hold others, such as "string" or "resource"
    scale       (1,) or (channels,) float32: value = scale * (stored - zero_point); None: floats
    zero_point  as long as scale, int64
    axis        the dimension of ``shape`` that has a scale for each index, where there are several
    data        the values of a constant, in ``shape`` and ``dtype``; None for an activation
    signature   a file's shape_signature (-1 for a dimension that may change), or None
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None
    axis: int = 0
    data: np.ndarray | None = None
    signature: Shape | None = None

    def real(self, stored: np.ndarray) -> np.ndarray:
        """float32 of stored values, which one scale serves; floats stay as they are."""
        if self.scale is None or self.zero_point is None:
            return stored.astype(np.float32)
        # floats first: NumPy 1 would subtract a scalar from int8 within int8, and wrap around
        return (stored.astype(np.float32) - np.float32(self.zero_point[0])) * self.scale[0]


@dataclass(frozen=True)
class Node:
    """One operation: TFLite's name for it, tensors in and out, the layer's path, its settings.

    Inputs are TFLite's, in its order; -1 stands for one that is left out:
        CONV_2D, FULLY_CONNECTED   x, w (OC, KH, KW, C) or (OUT, IN), b (OC,)
        RESHAPE                    x, new shape (dimensions,) int32
        the others                 x, ...
    attrs of CONV_2D: stride, padding, activation; of FULLY_CONNECTED: activation; of the pools:
    kernel, stride, padding. stride and kernel are (down, right); padding is "valid" or "same";
    activation is "NONE", "RELU" or, in files, another of TFLite's names.
    version is the operation's in a file; None leaves it to the writer.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    path: str
    attrs: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None

    @property
    def output(self) -> int:
        """The first output, of most operations the only one."""
        return self.outputs[0]


@dataclass
class Graph:
    """Nodes in order of execution; tensors are numbers, positions in ``tensors``."""

    tensors: list[Tensor] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def shape(self, tensor: int) -> Shape:
        """Shape of a tensor, without N."""
        return self.tensors[tensor].shape[1:]

    def data(self, tensor: int) -> np.ndarray:
        """Values of a constant; ValueError for an activation."""
        values = self.tensors[tensor].data
        if values is None:
            raise ValueError(f"{self.tensors[tensor].name} is no constant")
        return values

    def new_tensor(self, tensor: Tensor) -> int:
        """Append a tensor, under a name of its own; returns its number."""
        taken = {other.name for other in self.tensors}
        name, number = tensor.name, 1
        while tensor.name in taken:
            number += 1
            tensor.name = f"{name}.{number}"
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def add(self, op: str, inputs: Sequence[int], shape: Shape, path: str, **attrs: Any) -> int:
        """Append a node; returns its output tensor, of ``shape`` without N.

        Attributes that are arrays become constants, further inputs in the order they are given in.
        """
        inputs = list(inputs)
        for key in [key for key, value in attrs.items() if isinstance(value, np.ndarray)]:
            data = attrs.pop(key)
            constant = Tensor(f"{path}/{key}", data.shape, data.dtype.name, data=data)
            inputs.append(self.new_tensor(constant))
        output = self.new_tensor(Tensor(path, (1, *shape)))
        self.nodes.append(Node(op, tuple(inputs), (output,), path, attrs))
        return output


def from_layer(net: Layer, input_shape: Shape) -> Graph:
    """The graph of a network for one input shape (H, W, C); ValueError where it does not fit."""
    graph = Graph([Tensor("input", (1, *input_shape))], inputs=[0])
    net.out_shape(tuple(input_shape))
    graph.outputs = [net.emit(graph, 0)]
    return graph


def row(table: Mapping[str, T], node: Node, purpose: str) -> T:
    """The table's entry for a node, or a LookupError that names node and layer."""
    try:
        return table[node.op]
    except KeyError:
        known = ", ".join(sorted(table))
        raise LookupError(
            f"{node.path}: no row for {node.op} to {purpose} (has: {known})"
        ) from None


def _conv_macs(graph: Graph, node: Node) -> int:
    OH, OW, _ = graph.shape(node.output)
    return OH * OW * int(graph.data(node.inputs[1]).size)


def _dense_macs(graph: Graph, node: Node) -> int:
    return int(graph.data(node.inputs[1]).size)


def _no_macs(graph: Graph, node: Node) -> int:
    return 0


# Only multiply-adds with weights count, as usual: pooling and activations are a fraction of them.
MULTIPLY_ADDS: dict[str, Callable[[Graph, Node], int]] = {
    "CONV_2D": _conv_macs,
    "FULLY_CONNECTED": _dense_macs,
    "MAX_POOL_2D": _no_macs,
    "AVERAGE_POOL_2D": _no_macs,
    "CONCATENATION": _no_macs,
    "RELU": _no_macs,
    "LOGISTIC": _no_macs,
    "RESHAPE": _no_macs,
    "SOFTMAX": _no_macs,
    "QUANTIZE": _no_macs,
}
LEARNED = ("CONV_2D", "FULLY_CONNECTED")  # whose inputs after the first are weights and biases


def multiply_adds(graph: Graph) -> list[int]:
    """Multiply-adds of each node for one image."""
    return [row(MULTIPLY_ADDS, node, "count multiply-adds")(graph, node) for node in graph.nodes]


def summary_text(net: Layer, input_shape: Shape) -> str:
    """The network as a table: a line per node, then totals; for one image."""
    graph = from_layer(net, input_shape)
    macs = multiply_adds(graph)
    rows = [("layer", "operation", "output", "parameters", "multiply-adds")]
    rows.append(("input", "", _by(graph.shape(graph.inputs[0])), "", ""))
    for node, count in zip(graph.nodes, macs, strict=True):
        learned = sum(graph.data(t).size for t in node.inputs[1:] if node.op in LEARNED)
        numbers = f"{learned:,}" if learned else "", f"{count:,}" if count else ""
        rows.append((node.path, node.op, _by(graph.shape(node.output)), *numbers))
    widths = [max(len(r[column]) for r in rows) for column in range(5)]
    lines = [
        "  ".join(
            [cell.ljust(w) for cell, w in zip(r[:3], widths[:3], strict=True)]
            + [cell.rjust(w) for cell, w in zip(r[3:], widths[3:], strict=True)]
        ).rstrip()
        for r in rows
    ]
    lines.insert(1, "-" * (sum(widths) + 8))
    total = net.count_params()
    lines += [
        lines[1],
        f"parameters      {total:,}",
        f"multiply-adds   {sum(macs):,} an image",
        f"weights         {4 * total / 2**20:.2f} MiB as float32, {total / 2**20:.2f} MiB as int8",
    ]
    return "\n".join(lines)


def summary(net: Layer, input_shape: Shape) -> None:
    """Print the table of :func:`summary_text`; input_shape is (H, W, C)."""
    print(summary_text(net, input_shape))


def _by(shape: Shape) -> str:
    return "x".join(str(size) for size in shape)
