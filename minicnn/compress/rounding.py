"""Rounding weights so that their errors cancel on real inputs, instead of one by one.

An output is a sum over many inputs that rise and fall together. Rounded to the nearest step, each
weight is at most half a step off, but on correlated inputs these errors add up. Here the weights
are rounded one after another, and each time those that are not rounded yet are moved so that the
output changes as little as it can: the optimal brain surgeon's update, as in GPTQ (Frantar et al.,
2022, arXiv:2210.17323). What is left on average goes into the bias.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from minicnn.compress import float_run
from minicnn.compress.fold import Pixels
from minicnn.graph import LEARNED, Graph, Node
from minicnn.layers.window import pad_before

BATCH = 8
WINDOWS = 64  # of each image that are looked at, in each layer
LARGEST = 2048  # inputs of a window: beyond it the table of products outgrows its worth
DAMPING = 0.01  # of the mean square of an input, added to each: few images, or dead inputs


@dataclass
class Inputs:
    """What the weights of one node are multiplied with, over all windows that were looked at.

    count     windows
    total     (K,) sums of each input, K = KH * KW * C
    products  (K, K) sums of products of two inputs
    """

    count: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(()))
    products: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def add(self, windows: np.ndarray) -> None:
        """Count in windows (number, K)."""
        self.count += len(windows)
        self.total = self.total + windows.sum(axis=0, dtype=np.float64)
        self.products = self.products + (windows.T @ windows).astype(np.float64)

    @property
    def mean(self) -> np.ndarray:
        """The average window, (K,)."""
        return self.total / self.count

    def covariance(self) -> np.ndarray:
        """(K, K), damped so that it can be inverted."""
        spread = self.products / self.count - np.outer(self.mean, self.mean)
        level = DAMPING * max(float(np.trace(self.products)) / self.count / len(spread), 1e-12)
        return spread + level * np.eye(len(spread))


def inputs_of_weights(
    graph: Graph, pixels: Pixels, images: np.ndarray, seed: int = 0
) -> dict[int, Inputs]:
    """For the weight tensor of each node that has one, by number: what it is multiplied with.

    images (N, H, W, 3) uint8. Layers with more than LARGEST inputs a window are left out.
    """
    rng = np.random.default_rng(seed)
    nodes = [node for node in graph.nodes if node.op in LEARNED]
    nodes = [node for node in nodes if graph.data(node.inputs[1])[0].size <= LARGEST]
    seen = {node.inputs[1]: Inputs() for node in nodes}
    for start in range(0, len(images), BATCH):
        values = float_run.run(graph, pixels.apply(images[start : start + BATCH]))
        for node in nodes:
            x = values[node.inputs[0]]
            seen[node.inputs[1]].add(x if x.ndim == 2 else _windows(graph, node, x, rng))
    return seen


def _windows(graph: Graph, node: Node, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some windows of a convolution, (number, K), from its input x (N, H, W, C)."""
    kernel, stride = graph.data(node.inputs[1]).shape[1:3], node.attrs["stride"]
    if node.attrs["padding"] == "same":
        first = pad_before(x.shape[1:], kernel, stride, "same")
        x = np.pad(x, [(0, 0), *zip(first, kernel, strict=True), (0, 0)])  # enough at the end
    views = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    n = np.repeat(np.arange(len(x)), WINDOWS)
    i, j = (rng.integers(0, size, len(n)) for size in graph.shape(node.output)[:2])
    chosen = views[n, i * stride[0], j * stride[1]]  # (number, C, KH, KW)
    return np.ascontiguousarray(chosen.transpose(0, 2, 3, 1)).reshape(len(n), -1)


def round_together(w: np.ndarray, scale: np.ndarray, inputs: Inputs, largest: int) -> np.ndarray:
    """Steps (OC, K) int8 in [-largest, largest] for weights (OC, K) with a scale (OC,) a row.

    What is zero stays zero: pruning wants it so.
    """
    covariance = inputs.covariance()
    order = np.argsort(-np.diag(covariance), kind="stable")  # what weighs most is rounded first
    inverse = np.linalg.inv(covariance[np.ix_(order, order)])
    update = np.linalg.cholesky(inverse).T
    left = w[:, order].astype(np.float64)
    limits = np.where(left == 0, 0, largest)
    steps = np.empty(left.shape)
    for k in range(left.shape[1]):
        steps[:, k] = np.clip(np.rint(left[:, k] / scale), -limits[:, k], limits[:, k])
        error = (left[:, k] - steps[:, k] * scale) / update[k, k]
        left[:, k + 1 :] -= np.outer(error, update[k, k + 1 :])
    result = np.empty(w.shape, np.int8)
    result[:, order] = steps
    return result
