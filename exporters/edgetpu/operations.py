"""The table operation -> rules: what single operations demand beyond types, shapes and versions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from exporters.edgetpu.operands import constant, operand, zero_point_of
from exporters.edgetpu.rules import Finding
from exporters.edgetpu.scales import Rule, concatenation, fixed, same_scales
from exporters.edgetpu.weights import weights
from minicnn.graph import Graph, Node, Tensor

FUSED = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
SOFTMAX_ELEMENTS = 16_000


def _not_fused(rule: str) -> Rule:
    def check(graph: Graph, node: Node) -> Iterator[Finding]:
        activation = node.attrs.get("activation", "NONE")
        if activation != "NONE":
            problem = f"{node.op} has the fused activation {activation}"
            yield Finding(rule, node.path, problem, "NONE, with the activation before or behind")

    return check


def _fused(graph: Graph, node: Node) -> Iterator[Finding]:
    activation = node.attrs.get("activation", "NONE")
    if activation not in FUSED:
        problem = f"{node.op} has the fused activation {activation}"
        yield Finding("fused-activation", node.path, problem, f"one of {', '.join(FUSED)}")
    y = graph.tensors[node.output]
    zero_point = zero_point_of(y)
    if activation in ("RELU", "RELU6") and y.dtype == "int8" and zero_point not in (None, -128):
        problem = f"has the zero point {zero_point} behind a fused {activation}: half-used range"
        yield Finding("relu-zero-point", y.name, problem, "-128")


def _batch_axis(attr: str) -> Rule:
    def check(graph: Graph, node: Node) -> Iterator[Finding]:
        rank = len(graph.tensors[node.output].shape)
        if rank and node.attrs.get(attr, 1) % rank == 0:
            problem = f"{node.op} works along the batch"
            yield Finding("batch-axis", node.path, problem, "another dimension")

    return check


def _constant_axes(graph: Graph, node: Node, position: int, x: Tensor) -> set[int]:
    axes = constant(graph, node, position)
    if axes is None or not x.shape:
        return set()
    return {int(axis) % len(x.shape) for axis in np.ravel(axes)}


def _mean(graph: Graph, node: Node) -> Iterator[Finding]:
    x = operand(graph, node, 0)
    axes = set() if x is None else _constant_axes(graph, node, 1, x)
    if x is None or not axes:
        return
    if 0 in axes:
        yield Finding("mean-batch", node.path, f"{node.op} takes in the batch", "other dimensions")
    if len(x.shape) == 4 and 3 in axes and x.shape[3] % 4:
        problem = f"{node.op} takes in {x.shape[3]} channels"
        yield Finding("mean-channels", node.path, problem, "a multiple of 4")


def _reduction(graph: Graph, node: Node) -> Iterator[Finding]:
    x = operand(graph, node, 0)
    if x is not None and 0 in _constant_axes(graph, node, 1, x):
        yield Finding("batch-axis", node.path, f"{node.op} takes in the batch", "other dimensions")


def _split(graph: Graph, node: Node) -> Iterator[Finding]:
    x = operand(graph, node, 1)
    if x is not None and 0 in _constant_axes(graph, node, 0, x):
        yield Finding("batch-axis", node.path, "SPLIT works along the batch", "another dimension")


def _pad(graph: Graph, node: Node) -> Iterator[Finding]:
    paddings = constant(graph, node, 1)
    if paddings is not None and np.any(np.atleast_1d(paddings)[:1]):
        yield Finding(
            "pad-batch", node.path, "PAD adds to the batch", "padding of other dimensions"
        )


def _conv(graph: Graph, node: Node) -> Iterator[Finding]:
    down, right = node.attrs.get("dilation", (1, 1))
    if down != right:
        problem = f"has the dilation {down} down, {right} right"
        yield Finding("dilation", node.path, problem, "the same in both directions")


def _dense(graph: Graph, node: Node) -> Iterator[Finding]:
    kind, w = node.attrs.get("weights_format", "DEFAULT"), operand(graph, node, 1)
    if kind != "DEFAULT":
        yield Finding("dense-format", node.path, f"has the weights' format {kind}", "DEFAULT")
    y = graph.tensors[node.output]
    if max(y.shape[:-1], default=1) > 1:
        yield Finding("dense-output", node.path, f"gives {y.shape}", "a vector, (1, n)")
    if w is not None and w.scale is not None and len(w.scale) > 1:
        problem = f"{w.name} has {len(w.scale)} scales"
        yield Finding("dense-per-channel", node.path, problem, "one scale for all weights")


def _softmax(graph: Graph, node: Node) -> Iterator[Finding]:
    x = operand(graph, node, 0)
    beta = node.attrs.get("beta", 1.0)
    if beta != 1:
        yield Finding("softmax-beta", node.path, f"has the beta {beta:g}", "1")
    if x is None:
        return
    if max(x.shape[:-1], default=1) > 1 or math.prod(x.shape) > SOFTMAX_ELEMENTS:
        wanted = f"a vector of at most {SOFTMAX_ELEMENTS:,}"
        yield Finding("softmax-input", node.path, f"takes {x.shape}", wanted)


def _reshape(graph: Graph, node: Node) -> Iterator[Finding]:
    x, shape, y = operand(graph, node, 0), constant(graph, node, 1), graph.tensors[node.output]
    if x is None or min((*x.shape, *y.shape), default=1) < 1:
        return
    wanted = f"{math.prod(x.shape):,} elements, as in {x.shape}"
    sizes = [y.shape]
    if shape is not None and min(np.ravel(shape), default=1) >= 0:  # -1 stands for the rest
        sizes.append(tuple(int(size) for size in np.ravel(shape)))
    for size in sizes:
        if math.prod(size) != math.prod(x.shape):
            yield Finding("reshape-elements", node.path, f"makes {size} of {x.shape}", wanted)
            return


def _squeeze(graph: Graph, node: Node) -> Iterator[Finding]:
    x, y = operand(graph, node, 0), graph.tensors[node.output]
    # Only ones in front may go: the rest of the shape must be the output's.
    if x is not None and x.shape[len(x.shape) - len(y.shape) :] != y.shape:
        yield Finding("squeeze-layout", node.path, f"makes {y.shape} of {x.shape}", "leading ones")


def _strided_slice(graph: Graph, node: Node) -> Iterator[Finding]:
    strides = constant(graph, node, 3)
    uneven = strides is not None and np.any(strides != 1)
    masks = [key for key in ("ellipsis_mask", "new_axis_mask") if node.attrs.get(key, 0)]
    if uneven or masks:
        problem = f"has {' and '.join(masks) or 'strides other than 1'}"
        yield Finding("slice-strides", node.path, problem, "strides of 1 and no such masks")


_copy = same_scales("copy-scales")
_pool = (_not_fused("pool-activation"), same_scales("pool-scales"))
# Operations of versions.VERSIONS that are missing here have no rules of their own.
OPERATIONS: dict[str, tuple[Rule, ...]] = {
    "ADD": (_fused,),
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": (_not_fused("concat-activation"), concatenation, _batch_axis("axis")),
    "CONV_2D": (weights, _conv, _fused),
    "DEPTHWISE_CONV_2D": (weights, _conv, _fused),
    "EXPAND_DIMS": (_copy,),
    "FULLY_CONNECTED": (weights, _dense, _fused),
    "L2_NORMALIZATION": (fixed, _not_fused("fused-activation")),
    "LOGISTIC": (fixed,),
    "MAXIMUM": (_copy,),
    "MAX_POOL_2D": _pool,
    "MEAN": (_mean,),
    "MINIMUM": (_copy,),
    "MUL": (_fused,),
    "PACK": (_copy,),
    "PAD": (_pad, _copy),
    "REDUCE_MAX": (_reduction, _copy),
    "REDUCE_MIN": (_reduction, _copy),
    "RESHAPE": (_reshape, same_scales("reshape-scales")),
    "RESIZE_BILINEAR": (_copy,),
    "RESIZE_NEAREST_NEIGHBOR": (_copy,),
    "SLICE": (_copy,),
    "SOFTMAX": (_softmax, fixed),
    "SPACE_TO_DEPTH": (_copy,),
    "SPLIT": (_split, _copy),
    "SQUEEZE": (_squeeze, _copy),
    "STRIDED_SLICE": (_strided_slice, _copy),
    "SUB": (_fused,),
    "SUM": (_reduction,),
    "TANH": (fixed,),
    "TRANSPOSE": (_copy,),
    "TRANSPOSE_CONV": (weights, _fused),
}


def operation(graph: Graph, node: Node) -> Iterator[Finding]:
    """Findings for what a single operation demands."""
    wanted = "an input and an output, such as this operation has"
    if not node.inputs or min(node.outputs, default=-1) < 0:
        yield Finding("op-operands", node.path, f"{node.op} lacks a tensor", wanted)
        return
    for rule in OPERATIONS.get(node.op, ()):
        yield from rule(graph, node)
