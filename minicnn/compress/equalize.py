"""Scaling channels so that each makes use of its tensor's int8 range.

One scale serves a whole activation tensor, so a channel whose values stay small has few of the 256
steps. But a ReLU lets a positive factor through: what divides a channel of one convolution's
weights can multiply the weights that read that channel, and the network computes what it computed.
So every channel gets the range of the largest. It is cross-layer equalization (Nagel et al., 2019,
arXiv:1906.04721), with the whole factor given to the activations: the producer's weights have a
scale for each channel and do not mind, and the wider spread of the readers' weights is no loss when
they are rounded together (``rounding``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minicnn.compress import float_run
from minicnn.compress.fold import Pixels
from minicnn.compress.quantize import groups
from minicnn.graph import Graph

BATCH = 8
SMALLEST = 1e-3  # share below which a channel counts as dead

# A positive factor for each channel passes through these.
PASSES = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "CONCATENATION", "RELU")


def equalize(graph: Graph, pixels: Pixels, images: np.ndarray) -> Graph:
    """A float graph that computes the same, with one range for all channels between convolutions.

    images (N, H, W, 3) uint8: what the channels' ranges are measured on.
    """
    largest = _largest(graph, pixels, images)
    factors = _factors(graph, largest)
    tensors = list(graph.tensors)
    for node in graph.nodes:
        if node.op != "CONV_2D":
            continue
        x, w, b = node.inputs
        inward, outward = factors[x], factors[node.output]
        weights = graph.data(w) * inward / outward[:, None, None, None]
        tensors[w] = replace(tensors[w], data=weights.astype(np.float32))
        tensors[b] = replace(tensors[b], data=(graph.data(b) / outward).astype(np.float32))
    return replace(graph, tensors=tensors)


def _largest(graph: Graph, pixels: Pixels, images: np.ndarray) -> dict[int, np.ndarray]:
    """The largest magnitude in each channel of each activation tensor."""
    seen: dict[int, np.ndarray] = {}
    for start in range(0, len(images), BATCH):
        for t, values in float_run.run(graph, pixels.apply(images[start : start + BATCH])).items():
            now = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            seen[t] = np.maximum(seen[t], now) if t in seen else now
    return seen


def _factors(graph: Graph, largest: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """What each channel of each activation tensor is to be divided by."""
    bound = _bound(graph)
    top = {t: max(largest[m].max() for m in group) for group in groups(graph) for t in group}
    factors = {t: np.ones(graph.shape(t)[-1]) for t in graph.inputs}
    for node in graph.nodes:
        t = node.output
        if node.op in PASSES:
            factors[t] = np.concatenate([factors[x] for x in node.inputs])
        elif node.op == "CONV_2D" and t not in bound and top[t] > 0:
            share = largest[t].astype(np.float64) / top[t]
            factors[t] = np.where(share > SMALLEST, share, 1.0)
        else:
            factors[t] = np.ones(graph.shape(t)[-1])
    return factors


def _bound(graph: Graph) -> set[int]:
    """Tensors whose channels must stay as they are: something else than a convolution reads them.

    A dense layer is such a thing: its weights have one scale, which a wider spread would cost dear.
    """
    bound = set(graph.outputs)
    for node in reversed(graph.nodes):
        passed_on = node.op in PASSES and node.output not in bound
        if node.op != "CONV_2D" and not passed_on:
            bound.update(node.inputs)
    return bound
