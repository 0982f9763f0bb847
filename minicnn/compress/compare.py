"""What int8 costs: the error of each layer, and the answers that changed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minicnn import metrics
from minicnn.compress import float_run
from minicnn.compress.fold import Pixels
from minicnn.compress.simulate import Simulator
from minicnn.graph import Graph

BATCH = 4


@dataclass(frozen=True)
class LayerError:
    """How far a node's output in the int8 graph is from that in the float graph.

    sqnr_db    signal to quantization noise: 10 log10(sum of y^2 / sum of (y - int8's y)^2)
    saturated  share of the values at an end of the int8 range, where that end is not zero's
    """

    path: str
    op: str
    scale: float
    zero_point: int
    sqnr_db: float
    saturated: float


def layer_errors(
    graph: Graph, quantized: Graph, pixels: Pixels, images: np.ndarray
) -> list[LayerError]:
    """A row for each node of the float graph, over images (N, H, W, 3) uint8; a few are enough.

    Errors add up from layer to layer: what stands in a row is what reaches that place.
    """
    simulator = Simulator(quantized)
    sums = {node.output: np.zeros(4) for node in graph.nodes}
    for start in range(0, len(images), BATCH):
        x = images[start : start + BATCH]
        real = float_run.run(graph, pixels.apply(x))
        steps = simulator.tensors(input_of(quantized, pixels, x))
        for t, total in sums.items():
            total += _sums(quantized, t, real[t].astype(np.float64), steps[t])
    rows = []
    for node in graph.nodes:
        scale, zero_point = _parameters(quantized, node.output)
        signal, noise, stuck, count = sums[node.output]
        sqnr = 10 * math.log10(signal / noise) if signal and noise else math.inf
        rows.append(LayerError(node.path, node.op, scale, zero_point, sqnr, stuck / count))
    return rows


def _parameters(graph: Graph, t: int) -> tuple[float, int]:
    tensor = graph.tensors[t]
    assert tensor.scale is not None and tensor.zero_point is not None
    return float(tensor.scale[0]), int(tensor.zero_point[0])


def _sums(quantized: Graph, t: int, real: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """(sum of y^2, of the error's square, values at an end of the range, values)."""
    scale, zero_point = _parameters(quantized, t)
    error = real - scale * (steps.astype(np.float64) - zero_point)
    ends = [end for end in (-128, 127) if end != zero_point]
    return np.array([(real**2).sum(), (error**2).sum(), np.isin(steps, ends).sum(), real.size])


def input_of(quantized: Graph, pixels: Pixels, images: np.ndarray) -> np.ndarray:
    """uint8 images as an int8 graph's input wants them, whichever type that is."""
    kinds = {
        "uint8": lambda: images,
        "int8": lambda: (images ^ 0x80).view(np.int8),
        "float32": lambda: pixels.apply(images),
    }
    return kinds[quantized.tensors[quantized.inputs[0]].dtype]()


@dataclass(frozen=True)
class Paired:
    """Two classifiers on the same images: differences are second less first, in shares of one.

    agreement  share of images on which both give one answer
    top1, balanced_accuracy  (difference, lower end, upper end), a bootstrap interval of 95 %
    """

    agreement: float
    top1: tuple[float, float, float]
    balanced_accuracy: tuple[float, float, float]


def paired(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int = 0
) -> Paired:
    """Compare two sets of answers, each (N,) class numbers, with labels (N,).

    groups (N,): images of one group, such as a lesion, are drawn together, for they are not
    independent of each other (see ``metrics.bootstrap``).
    """
    classes = int(max(first.max(), second.max(), labels.max())) + 1
    draws = metrics.Draws(groups, seed)
    tables = np.zeros((len(labels), 2, classes, classes))
    for which, answers in enumerate((first, second)):
        tables[np.arange(len(labels)), which, labels, answers] = 1
    samples = draws.sums(tables)
    spread = np.array([_differences(sample) for sample in samples])
    low, high = zip(*(metrics.interval(values) for values in spread.T), strict=True)
    top1, balanced = zip(_differences(tables.sum(axis=0)), low, high, strict=True)
    return Paired(float(np.mean(first == second)), top1, balanced)


def _differences(confusions: np.ndarray) -> tuple[float, float]:
    """Top-1 and balanced accuracy, second less first, of (2, classes, classes) counts."""
    shares = [np.trace(confusion) / confusion.sum() for confusion in confusions]
    balanced = [metrics.balanced_accuracy(confusion) for confusion in confusions]
    return shares[1] - shares[0], balanced[1] - balanced[0]
