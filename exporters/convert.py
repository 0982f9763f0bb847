"""A trained network as TFLite files in memory, and what int8 costs on test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporters import flatbuffer, metadata
from minicnn import kernels
from minicnn.compress import compare, fold
from minicnn.compress.calibrate import calibrate
from minicnn.compress.compare import Paired
from minicnn.compress.equalize import equalize
from minicnn.compress.fold import Pixels
from minicnn.compress.quantize import quantize
from minicnn.compress.rounding import inputs_of_weights
from minicnn.compress.simulate import Simulator
from minicnn.data.dataset import Dataset
from minicnn.data.loader import byte_batches
from minicnn.errors import UserError
from minicnn.graph import Graph
from minicnn.metrics import balanced_accuracy, confusion_matrix, top_k
from minicnn.trained import Trained

BATCH = 32


@dataclass(frozen=True)
class Converted:
    """A network's float graph and its int8 graph; ``pixels`` says what their input is."""

    network: Trained
    graph: Graph
    quantized: Graph
    pixels: Pixels

    def int8_file(self) -> bytes:
        """The int8 graph as a .tflite file, with labels and normalization as TFLite metadata."""
        return self._file(self.quantized)

    def float32_file(self) -> bytes:
        """The float graph as a .tflite file; its input is ``pixels.apply`` of the bytes."""
        return self._file(self.graph)

    def _file(self, graph: Graph) -> bytes:
        network = self.network
        described = metadata.build(
            name=network.model,
            description=f"{network.model}, trained and written by minicnn",
            labels=network.classes,
            mean=float(self.pixels.zero),
            std=1 / self.pixels.scale,
            input_dtype=graph.tensors[graph.inputs[0]].dtype,
        )
        content = flatbuffer.serialize(graph, metadata={metadata.NAME: described})
        return metadata.append_labels(content, network.classes)


def convert(
    network: Trained,
    images: np.ndarray,
    method: str = "mse",
    io: str = "uint8",
    refine: bool = True,
) -> Converted:
    """Fold, calibrate and quantize.

    images  (N, H, W, 3) uint8 of the network's size, to calibrate on
    method  one of ``calibrate.METHODS``
    io      one of ``quantize.IO``
    refine  equalize the channels and round the weights together; False rounds what there is to the
            nearest step, as TFLiteConverter does

    Raises UserError for weights or images that will not do, LookupError for a layer without a row.
    """
    for name in network.classes:
        if len(name.splitlines()) > 1:
            raise UserError(f"class {name!r} is more than one line, and labels.txt has one a line")
    graph, pixels = fold.deployed(network.net, (*network.size, 3), network.normalization)
    inputs = None
    if refine:
        graph = equalize(graph, pixels, images)
        inputs = inputs_of_weights(graph, pixels, images)
    ranges = calibrate(graph, pixels, images, method)
    return Converted(network, graph, quantize(graph, ranges, pixels, io, inputs), pixels)


@dataclass(frozen=True)
class Quality:
    """Figures of the float network and of its int8 form on the same images.

    top, balanced   by form, "float32" and "int8": (top-1, top-2, top-3), balanced accuracy
    paired          int8 less float32, with confidence intervals
    """

    images: int
    top: dict[str, tuple[float, ...]]
    balanced: dict[str, float]
    paired: Paired


def quality(converted: Converted, dataset: Dataset, positions: np.ndarray) -> Quality:
    """Run both forms over the images of a data set at ``positions`` (N,)."""
    simulator, network = Simulator(converted.quantized), converted.network
    output = converted.quantized.tensors[converted.quantized.outputs[0]]
    scores: dict[str, list[np.ndarray]] = {"float32": [], "int8": []}
    with kernels.constant_weights():
        for images, _ in byte_batches(dataset, positions, BATCH):
            scores["float32"].append(network.probabilities(images))
            x = compare.input_of(converted.quantized, converted.pixels, images)
            (y,) = simulator.run(x)
            scores["int8"].append(output.real(y))
    labels = dataset.labels[positions]
    whole = {form: np.concatenate(parts) for form, parts in scores.items()}
    answers = {form: values.argmax(axis=1) for form, values in whole.items()}
    classes = len(dataset.classes)
    return Quality(
        images=len(labels),
        top={f: tuple(top_k(values, labels, k) for k in (1, 2, 3)) for f, values in whole.items()},
        balanced={
            form: balanced_accuracy(confusion_matrix(given, labels, classes))
            for form, given in answers.items()
        },
        paired=compare.paired(
            answers["float32"], answers["int8"], labels, dataset.lesions[positions]
        ),
    )
