"""Which values each tensor takes on real images: the ranges that int8 has to cover.

minmax          everything that was seen (what TFLiteConverter does)
moving-average  the extremes of each batch, averaged with a decay: one odd image counts little
percentile      all but a ten-thousandth of the values at either end that is not zero
mse             the range whose rounding and clipping together have the least squared error
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from minicnn.compress import float_run
from minicnn.compress.fold import Pixels
from minicnn.errors import UserError
from minicnn.graph import Graph, Node

Range = tuple[float, float]  # lowest and highest real value
Ranges = dict[int, Range]  # by tensor number

BATCH = 8
DECAY = 0.9  # of the moving average, for each batch
BINS = 2048
CLIPPED = 1e-4  # share of the values that "percentile" leaves outside, at each end
SAMPLED = 1 << 17  # values of a tensor that a histogram takes from each batch: whole pixels
LEVELS = 255  # steps between the lowest and the highest int8


def calibrate(graph: Graph, pixels: Pixels, images: np.ndarray, method: str = "minmax") -> Ranges:
    """The range of every activation tensor of a float graph; it always holds zero.

    images  (N, H, W, 3) uint8, as the deployed network will see them
    method  one of METHODS

    Raises UserError for another method, for no images, and for images that show nothing.
    """
    if method not in METHODS:
        raise UserError(f"no calibration is called {method!r}: choose one of {', '.join(METHODS)}")
    _check(graph, images)
    return METHODS[method](graph, pixels, images)


def _check(graph: Graph, images: np.ndarray) -> None:
    wanted = graph.shape(graph.inputs[0])
    if not len(images):
        raise UserError("no calibration images: int8 needs some, a hundred or more are usual")
    if images.shape[1:] != wanted or images.dtype != np.uint8:
        raise UserError(
            f"calibration images are {images.dtype} {images.shape[1:]}, wanted uint8 {wanted}"
        )
    if images.max() == images.min():
        colour = "black" if not images.max() else "of one colour"
        raise UserError(f"all calibration images are {colour}: int8 would cover nothing else")


def _batches(graph: Graph, pixels: Pixels, images: np.ndarray) -> Iterator[dict[int, np.ndarray]]:
    for start in range(0, len(images), BATCH):
        yield float_run.run(graph, pixels.apply(images[start : start + BATCH]))


def _extremes(graph: Graph, pixels: Pixels, images: np.ndarray) -> Iterator[Ranges]:
    """Lowest and highest value of each tensor, batch by batch."""
    for values in _batches(graph, pixels, images):
        yield {t: (float(v.min()), float(v.max())) for t, v in values.items()}


def _with_zero(low: float, high: float) -> Range:
    return min(low, 0.0), max(high, 0.0)


def _minmax(graph: Graph, pixels: Pixels, images: np.ndarray) -> Ranges:
    seen: Ranges = {}
    for extremes in _extremes(graph, pixels, images):
        for t, (low, high) in extremes.items():
            before = seen.get(t, (0.0, 0.0))
            seen[t] = min(low, before[0]), max(high, before[1])
    return seen


def _moving_average(graph: Graph, pixels: Pixels, images: np.ndarray) -> Ranges:
    seen: Ranges = {}
    for extremes in _extremes(graph, pixels, images):
        for t, now in extremes.items():
            low, high = (
                DECAY * a + (1 - DECAY) * b for a, b in zip(seen.get(t, now), now, strict=True)
            )
            seen[t] = low, high
    return {t: _with_zero(*ends) for t, ends in seen.items()}


def _histograms(
    graph: Graph, pixels: Pixels, images: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(tensor, counts (BINS,), edges (BINS + 1,)); a second look, once the extremes are known."""
    seen = _minmax(graph, pixels, images)
    counts = {t: np.zeros(BINS, np.int64) for t in seen}
    for values in _batches(graph, pixels, images):
        for t, v in values.items():
            sample = v.reshape(-1, v.shape[-1])[:: max(1, v.size // SAMPLED)]
            counts[t] += np.histogram(sample, BINS, range=_wide(seen[t]))[0]
    for t, count in counts.items():
        yield t, count, np.linspace(*_wide(seen[t]), BINS + 1)


def _wide(ends: Range) -> Range:
    """A histogram needs some width; a tensor that is always zero has none."""
    return ends if ends[1] > ends[0] else (0.0, 1.0)


def _percentile(graph: Graph, pixels: Pixels, images: np.ndarray) -> Ranges:
    ranges = {}
    for t, count, edges in _histograms(graph, pixels, images):
        below = np.cumsum(count) / count.sum()
        low = edges[np.searchsorted(below, CLIPPED)]
        high = edges[np.searchsorted(below, 1 - CLIPPED) + 1]
        # an end at zero is ReLU's: nothing lies beyond it
        low, high = low if edges[0] < 0 else 0.0, high if edges[-1] > 0 else 0.0
        ranges[t] = _with_zero(float(low), float(high))
    return ranges


def _least_error(graph: Graph, pixels: Pixels, images: np.ndarray) -> Ranges:
    ranges, whole = {}, {}
    for t, count, edges in _histograms(graph, pixels, images):
        middles = (edges[:-1] + edges[1:]) / 2
        whole[t] = float(edges[0]), float(edges[-1])
        tried = [_part(whole[t], part) for part in np.arange(1.0, 0.2, -0.01)]
        errors = [_error(middles, count, *ends) for ends in tried]
        ranges[t] = tried[int(np.argmin(errors))]
    read = [t for node in graph.nodes for t in node.inputs]
    for node in graph.nodes:
        averaged = node.inputs[0]
        if node.op == "AVERAGE_POOL_2D" and read.count(averaged) == 1:
            ranges[averaged] = _least_pooled_error(graph, node, pixels, images, whole[averaged])
    return ranges


def _part(ends: Range, part: float) -> Range:
    return ends[0] * part, ends[1] * part


def _error(values: np.ndarray, count: np.ndarray, low: float, high: float) -> float:
    """Squared error of ``count`` values: clipped outside, and a uniform rounding error inside.

    Zero is exact: the many zeros behind a ReLU cost nothing.
    """
    clipped = values - np.clip(values, low, high)
    rounding = np.where(np.abs(values) < values[1] - values[0], 0.0, (high - low) / LEVELS)
    return float((count * np.where(clipped == 0, rounding**2 / 12, clipped**2)).sum())


def _least_pooled_error(
    graph: Graph, node: Node, pixels: Pixels, images: np.ndarray, whole: Range
) -> Range:
    """The range of a tensor that is averaged, judged by what becomes of the averages.

    Rounding errors of single values average out. But the average is rounded to the same steps: a
    range as wide as the highest peak, where averages stay low, would leave them few. Where only a
    softmax follows, the probabilities count: peaks belong to images that are clear anyway.
    """
    after = graph.nodes[graph.nodes.index(node) + 1 :]
    to_the_end = all(other.op in ("RESHAPE", "SOFTMAX") for other in after)
    tried = [_part(whole, part) for part in np.arange(1.0, 0.1, -0.05)]
    errors = np.zeros(len(tried))
    for values in _batches(graph, pixels, images):
        x = values[node.inputs[0]]
        wanted = values[graph.outputs[0] if to_the_end else node.output]
        for number, (low, high) in enumerate(tried):
            step = (high - low) / LEVELS
            steps = np.rint(np.clip(x, low, high) / step) * np.float32(step)
            y = np.rint(float_run.average_pool(graph, node, [steps]) / step) * np.float32(step)
            if to_the_end:
                y = float_run.run_nodes(graph, after, {node.output: y})[graph.outputs[0]]
            errors[number] += float(((y - wanted) ** 2).sum())
    return tried[int(np.argmin(errors))]


METHODS: dict[str, Callable[[Graph, Pixels, np.ndarray], Ranges]] = {
    "minmax": _minmax,
    "moving-average": _moving_average,
    "percentile": _percentile,
    "mse": _least_error,
}
