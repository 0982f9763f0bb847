"""An estimate of time and energy for one inference on a Coral USB Accelerator.

    ms = overhead + multiply-adds / rate + streamed bytes / bandwidth

with the three fitted to Coral's published times, so that the sum of the relative errors' sizes is
least: unlike their squares, it lets the networks that no such formula fits stay outliers. Nothing
was measured here; :func:`errors` says how far the formula is from the times it was fitted to. The
host's own work, which takes milliseconds in Python, comes on top.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from exporters.edgetpu.container import CACHE_BYTES
from minicnn import graph as graphs
from minicnn.graph import Graph, Node

WATTS = 2.0  # at full speed: 4 TOPS at 2 TOPS per watt (USB Accelerator's datasheet, v1.4)


@dataclass(frozen=True)
class Published:
    """A network in Coral's table: parameters and multiply-adds in millions, milliseconds."""

    name: str
    parameters: float
    multiply_adds: float
    ms: float


# Times: https://coral.ai/docs/edgetpu/benchmarks, desktop CPU and USB 3.0 Accelerator, model only;
# its classifiers, all but the EfficientNets. Parameters and multiply-adds: the networks' papers and
# the tables of Keras and TF-Slim; a ResNet's multiply-adds, which these give for 224 x 224, times
# (299 / 224) ** 2. Which SqueezeNet it was Coral does not say; these are version 1.0's.
PUBLISHED = (
    Published("SqueezeNet 224", 1.25, 837, 2.1),
    Published("MobileNet v1 224", 4.2, 569, 2.4),
    Published("MobileNet v2 224", 3.5, 300, 2.6),
    Published("Inception v1 224", 6.6, 1_500, 3.4),
    Published("DenseNet-121 224", 8.0, 2_870, 20),
    Published("ResNet-50 v1 299", 25.6, 6_900, 49),
    Published("ResNet-50 v2 299", 25.6, 7_000, 50),
    Published("ResNet-152 v2 299", 60.4, 20_100, 128),
    Published("Inception v4 299", 42.7, 12_300, 85),
    Published("Inception-ResNet v2 299", 55.9, 13_200, 57),
    Published("VGG16 224", 138.4, 15_500, 296),
    Published("VGG19 224", 143.7, 19_600, 308),
)


@dataclass(frozen=True)
class Estimate:
    """One inference: ``ms`` for the model alone, ``mj`` (millijoules) at 2 W all that time."""

    ms: float
    mj: float
    multiply_adds: int


@dataclass(frozen=True)
class Fit:
    """ms of overhead, per million multiply-adds, and per million bytes streamed."""

    overhead: float
    per_million: float
    per_megabyte: float

    def ms(self, millions: float, megabytes: float) -> float:
        """Milliseconds for millions of multiply-adds and of streamed bytes."""
        return self.overhead + self.per_million * millions + self.per_megabyte * megabytes


@cache
def fit() -> Fit:
    """The least sum of relative errors over ``PUBLISHED``, by least squares weighted anew."""
    times = np.array([network.ms for network in PUBLISHED])
    rows = np.array([(1.0, network.multiply_adds, _streamed(network)) for network in PUBLISHED])
    relative, wanted, weight = rows / times[:, None], np.ones(len(times)), np.ones(len(times))
    solution = np.zeros(3)
    for _ in range(200):
        solution, *_ = np.linalg.lstsq(relative * weight[:, None], wanted * weight, rcond=None)
        weight = 1 / np.sqrt(np.maximum(np.abs(relative @ solution - wanted), 1e-6))
    return Fit(*(float(value) for value in solution))


def _streamed(network: Published) -> float:
    """Megabytes beyond the cache; a parameter is a byte."""
    return max(0.0, network.parameters - CACHE_BYTES / 1e6)


@cache
def errors() -> dict[str, float]:
    """The fit's relative error for each published network: 0.1 is 10 % too slow."""
    return {
        network.name: fit().ms(network.multiply_adds, _streamed(network)) / network.ms - 1
        for network in PUBLISHED
    }


def errors_text() -> str:
    """The errors in one sentence."""
    sizes = np.abs(list(errors().values()))
    worst = max(errors(), key=lambda name: abs(errors()[name]))
    return (
        f"median error {np.median(sizes):.0%}, worst {sizes.max():.0%} ({worst}) over "
        f"{len(sizes)} networks with published times"
    )


def _by_output(graph: Graph, node: Node) -> int:
    """Each output element has a sum over the rows and columns of its channel's kernel."""
    _, OH, OW, _ = graph.tensors[node.output].shape
    return OH * OW * math.prod(graph.tensors[node.inputs[1]].shape)


def _by_input(graph: Graph, node: Node) -> int:
    """A transposed convolution spreads each input pixel over the whole kernel."""
    _, H, W, _ = graph.tensors[node.inputs[2]].shape
    return H * W * math.prod(graph.tensors[node.inputs[1]].shape)


# As in minicnn.graph, only multiply-adds with weights count; operations missing here have none.
MULTIPLY_ADDS: dict[str, Callable[[Graph, Node], int]] = {
    **graphs.MULTIPLY_ADDS,
    "DEPTHWISE_CONV_2D": _by_output,
    "TRANSPOSE_CONV": _by_input,
}


def estimate(graph: Graph, streamed_bytes: int) -> Estimate:
    """Time and energy of a graph that maps as a whole, of whose parameters so many bytes stream."""
    counted = [(MULTIPLY_ADDS[n.op], n) for n in graph.nodes if n.op in MULTIPLY_ADDS]
    multiply_adds = sum(count(graph, node) for count, node in counted)
    ms = fit().ms(multiply_adds / 1e6, streamed_bytes / 1e6)
    return Estimate(ms, WATTS * ms, multiply_adds)
