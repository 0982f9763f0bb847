"""A network as a list of nodes: what remains of it after training.

Layers emit the nodes. Whatever reads a network (the summary here, the quantizer, the simulator, the
TFLite writer, the Edge TPU check) is a table ``op -> function`` over them and never sees a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from minicnn.layers import Layer, Shape

T = TypeVar("T")


@dataclass(frozen=True)
class Node:
    """One operation: TFLite's name for it, tensors in and out, the layer's path, its settings.

    attrs of CONV_2D: w (OC, KH, KW, C), b (OC,), stride, padding, relu; of FULLY_CONNECTED: w
    (OUT, IN), b, relu; of the pools: kernel, stride, padding. The others have none.
    """

    op: str
    inputs: tuple[int, ...]
    output: int
    path: str
    attrs: Mapping[str, Any]


@dataclass
class Graph:
    """Nodes in order of execution; tensors are numbers, tensor 0 is the input.

    shapes[t] is the shape of tensor t without N.
    """

    shapes: list[Shape]
    nodes: list[Node] = field(default_factory=list)

    def shape(self, tensor: int) -> Shape:
        """Shape of a tensor, without N."""
        return self.shapes[tensor]

    def add(self, op: str, inputs: list[int], shape: Shape, path: str, **attrs: Any) -> int:
        """Append a node; returns its output tensor."""
        self.shapes.append(shape)
        output = len(self.shapes) - 1
        self.nodes.append(Node(op, tuple(inputs), output, path, attrs))
        return output


def from_layer(net: Layer, input_shape: Shape) -> Graph:
    """The graph of a network for one input shape (H, W, C); ValueError where it does not fit."""
    graph = Graph([tuple(input_shape)])
    net.out_shape(tuple(input_shape))
    net.emit(graph, 0)
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
    return OH * OW * int(node.attrs["w"].size)


def _dense_macs(graph: Graph, node: Node) -> int:
    return int(node.attrs["w"].size)


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


def multiply_adds(graph: Graph) -> list[int]:
    """Multiply-adds of each node for one image."""
    return [row(MULTIPLY_ADDS, node, "count multiply-adds")(graph, node) for node in graph.nodes]


def summary_text(net: Layer, input_shape: Shape) -> str:
    """The network as a table: a line per node, then totals; for one image."""
    graph = from_layer(net, input_shape)
    macs = multiply_adds(graph)
    rows = [("layer", "operation", "output", "parameters", "multiply-adds")]
    rows.append(("input", "", _by(graph.shape(0)), "", ""))
    for node, count in zip(graph.nodes, macs, strict=True):
        learned = sum(a.size for a in node.attrs.values() if isinstance(a, np.ndarray))
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
