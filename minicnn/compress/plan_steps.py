"""Each operation of an int8 graph as steps for ``kernels.fast_int8_run``: a table op -> function.

What steps point to (weights, multipliers, tables) is added to the plan's ``Constants``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from minicnn.compress.int8_nodes import ROWS, window
from minicnn.compress.int8_scales import limits, scale_of, softmax_scales
from minicnn.compress.plan_builder import Builder, Fields, copy, step
from minicnn.compress.plan_memory import axis_of, flip, stored_zero
from minicnn.compress.plan_products import conv, fully_connected
from minicnn.graph import Graph, Node
from minicnn.kernels.fixed_point import exp_of_negative, multiply

Row = Callable[[Builder, Node], list[Fields]]


def table(graph: Graph, node: Node, rules: str) -> np.ndarray | None:
    """What a byte of the arena becomes, (256,) uint8, for an operation on single integers."""
    if node.op not in ("QUANTIZE", "RELU"):
        return None
    x, y = (graph.tensors[t] for t in (node.inputs[0], node.output))
    if "float32" in (x.dtype, y.dtype):
        return None
    two = Graph([replace(t, shape=(1, 256)) for t in (x, y)], inputs=[0], outputs=[1])
    single = replace(node, inputs=(0,), outputs=(1,))
    integers = (np.arange(256) - flip(x)).astype(x.dtype)
    result = ROWS[node.op](two, single, rules)(integers[None])[0]
    return (result.astype(np.int64) + flip(y)).astype(np.uint8)


def stays(graph: Graph, node: Node, rules: str) -> bool:
    """Whether an operation on single integers leaves all bytes of the arena as they are."""
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    entries = table(graph, node, rules)
    same = entries is not None and np.array_equal(entries, np.arange(256))
    return same and stored_zero(x) == stored_zero(y)


def _on_integers(builder: Builder, node: Node) -> list[Fields]:
    x, y = builder.ends(node)
    entries = table(builder.graph, node, builder.rules)
    if x == y or entries is None:
        return []
    return [step("table", x, y, y.height, table=builder.constants.add(entries))]


def _quantize(builder: Builder, node: Node) -> list[Fields]:
    x, y = (builder.graph.tensors[t] for t in (node.inputs[0], node.output))
    if x.dtype != "float32":
        return _on_integers(builder, node)
    if node.inputs[0] not in builder.graph.inputs:
        raise LookupError(f"{node.path}: QUANTIZE of floats that are not the graph's input")
    place, (low, high) = builder.memory.place(node.output), limits(y)
    numbers = {"zero": stored_zero(y), "low": low + flip(y), "high": high + flip(y)}
    size = 4 * place.height * place.width * place.channels
    return [
        step("quantize", None, place, place.height, size=size, factor=float(scale_of(y)), **numbers)
    ]


def _reshape(builder: Builder, node: Node) -> list[Fields]:
    x, y = builder.ends(node)
    return [] if x.at == y.at else copy("copy", x, y)


def _concatenation(builder: Builder, node: Node) -> list[Fields]:
    """Copies of the inputs that were not written in their places already."""
    y, first, steps = builder.memory.place(node.output), 0, []
    axis = axis_of(builder.graph, node)
    if axis < 0:
        raise LookupError(f"{node.path}: CONCATENATION along the batch")
    for t in node.inputs:
        x = builder.memory.place(t)
        count = (x.height, x.width, x.channels)[axis]
        part = y.part(axis, first, count)
        if part != x:
            steps += copy("copy", x, part)
        first += count
    return steps


def _pool(kind: str) -> Row:
    def row(builder: Builder, node: Node) -> list[Fields]:
        x, y = builder.ends(node)
        tensor, size = builder.graph.tensors[node.output], tuple(node.attrs["kernel"])
        stride, pad, _ = window(node, (x.height, x.width, x.channels), size)
        low, high = limits(tensor, node.attrs.get("activation", "NONE"))
        pairs = {"kernel": size, "stride": stride, "pad": pad}
        fields = {f"{name}_down": pair[0] for name, pair in pairs.items()}
        fields |= {f"{name}_across": pair[1] for name, pair in pairs.items()}
        fields |= {"low": low + flip(tensor), "high": high + flip(tensor), "zero": flip(tensor)}
        steps = [step(kind, x, y, y.height, **fields)]
        if kind == "max_pool" and (low, high) != limits(tensor):
            clipped = np.arange(256).clip(fields["low"], fields["high"])
            place = builder.constants.add(clipped)
            steps.append(step("table", y, y, y.height, table=place))
        return steps

    return row


def _softmax(builder: Builder, node: Node) -> list[Fields]:
    x, y = builder.ends(node)
    tensor = builder.graph.tensors[node.inputs[0]]
    multiplier, shift, least = softmax_scales(tensor, float(node.attrs.get("beta", 1.0)))
    exps = [
        exp_of_negative(multiply(diff, multiplier, shift)) if diff >= least else 0
        for diff in range(0, -256, -1)
    ]
    place = builder.constants.add(np.array(exps))
    return [step("softmax", x, y, y.height, table=place)]


def _dequantize(builder: Builder, node: Node) -> list[Fields]:
    """Done where the graph's outputs are copied out."""
    if node.output not in builder.graph.outputs:
        raise LookupError(f"{node.path}: floats that are not the graph's output")
    return []


STEPS: dict[str, Row] = {
    "AVERAGE_POOL_2D": _pool("average_pool"),
    "CONCATENATION": _concatenation,
    "CONV_2D": conv,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": fully_connected,
    "MAX_POOL_2D": _pool("max_pool"),
    "QUANTIZE": _quantize,
    "RELU": _on_integers,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
