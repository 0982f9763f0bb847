"""CONV_2D and FULLY_CONNECTED as steps of product tiles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from minicnn.compress.int8_nodes import window
from minicnn.compress.int8_scales import (
    LITERT,
    bias_of,
    dense_scales,
    limits,
    multipliers,
    output_scales,
)
from minicnn.compress.plan_builder import Builder, Fields, flat, step
from minicnn.compress.plan_memory import Place, flip, stored_zero
from minicnn.compress.plan_weights import blocks, fits, panels, window_runs
from minicnn.graph import Node
from minicnn.kernels.int8_tiles import GROUP
from minicnn.kernels.vector_tiles import LANES, WIDEST

TILE = 24  # pixels: a multiple of what any tile takes
WORK = 12_000  # vector instructions of an item: a few microseconds


def conv(builder: Builder, node: Node) -> list[Fields]:
    """CONV_2D: padding is a rim of the input, so the first window may begin before the image."""
    graph, (x, y) = builder.graph, builder.ends(node)
    w = graph.data(node.inputs[1])
    if w.shape[3] != x.channels:
        raise LookupError(f"{node.path}: {x.channels} channels, weights for {w.shape[3]}")
    stride, pad, dilation = window(node, graph.shape(node.inputs[0]), w.shape[1:3])
    runs, taps = window_runs(w, x, dilation)
    fields = _packed(builder, node, runs, output_scales(graph, node, len(w)))
    start = x.at - pad[0] * x.down - pad[1] * x.across
    x = replace(x, at=start, down=x.down * stride[0], across=x.across * stride[1])
    return [_product("conv", builder, x, y, runs, taps, **fields)]


def fully_connected(builder: Builder, node: Node) -> list[Fields]:
    """A convolution of 1x1 pixels; by LiteRT's rule its sums are multiplied by doubles."""
    graph, (x, y) = builder.graph, builder.ends(node)
    w = graph.data(node.inputs[1])
    x, y = _rows(node, x, w.shape[1]), _rows(node, y, len(w))
    runs, taps = window_runs(w[:, None, None, :], x, (1, 1))
    scales = dense_scales(graph, node, builder.rules)
    fields = _packed(builder, node, runs, scales)
    if builder.rules != LITERT:
        return [_product("conv", builder, x, y, runs, taps, **fields)]
    fields["table"] = builder.constants.add(scales, np.float64)
    return [_product("dense", builder, x, y, runs, taps, **fields)]


def _rows(node: Node, place: Place, length: int) -> Place:
    """A dense layer's input or output as pixels of ``length`` values."""
    place = flat(place)
    if place.height * place.width != 1 or place.channels % length:
        raise LookupError(f"{node.path}: its values do not lie in rows of {length}")
    return Place(place.at, place.channels, length, 1, place.channels // length, length)


def _packed(builder: Builder, node: Node, runs: np.ndarray, scales: np.ndarray) -> Fields:
    """Weights (OC, runs, bytes) and what becomes of their sums."""
    graph = builder.graph
    x, y = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    multiplier, shift = (a.astype(np.int64) for a in multipliers(scales))
    low, high = (end + flip(y) for end in limits(y, node.attrs.get("activation", "NONE")))
    bias = bias_of(graph, node, len(runs)).astype(np.int64)
    bias -= stored_zero(x) * runs.sum((1, 2), dtype=np.int64)
    if not fits(runs, bias, shift):
        raise LookupError(f"{node.path}: sums near 2^31, or a multiplier beyond 2^30")
    zero = stored_zero(y)
    return {
        "numbers": builder.constants.add(blocks(bias, multiplier, shift, (low, high), zero)),
        "w": builder.constants.add(panels(runs)),
        "low": low,
        "high": high,
        "zero": zero,
    }


def _product(
    kind: str,
    builder: Builder,
    x: Place,
    y: Place,
    runs: np.ndarray,
    taps: list[int],
    **more: Any,
) -> Fields:
    """A step of product tiles, divided into items.

    x      the first window's first byte, from window to window below and beside; the input's size
    taps   from a window's first byte to its runs

    An item is some pixels of one panel of channels. Neighbouring items mostly run on one thread:
    they share pixels, or where weights are more than what they work on, weights.
    """
    groups, pixels = runs.shape[1] * runs.shape[2] // GROUP, y.height * y.width
    tiles = min(max(1, WORK // (groups * WIDEST * TILE)), -(-pixels // TILE))
    block = TILE * tiles if kind == "conv" else 1
    moved = x.height * x.width * x.channels + pixels * y.channels
    more |= {
        "taps": builder.constants.add(np.array(taps)),
        "runs": len(taps),
        "groups": groups // len(taps),
        "block": block,
        "panels_first": int(runs.size > moved),
    }
    items = -(-y.channels // (LANES * WIDEST)) * -(-pixels // block)
    return step(kind, x, y, items, **more)
