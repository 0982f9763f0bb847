"""What a network costs and how well it does, before pruning and after."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from exporters import tflite
from exporters.tflite import FLOAT_NAME, NAME, Options
from minicnn import kernels
from minicnn.compress.compare import paired
from minicnn.data.loader import plain_batches, prefetch
from minicnn.evaluation import Outputs, collect
from minicnn.graph import LEARNED, from_layer, multiply_adds
from minicnn.preparation import Prepared
from minicnn.trained import Trained

BATCH = 32


@dataclass(frozen=True)
class Measured:
    """``figures``: plain values, ready for JSON; ``answers`` (N,): the class of each test image."""

    figures: dict[str, Any]
    answers: np.ndarray


def measure(network: Trained, data: Prepared, files: Path | None, export: bool) -> Measured:
    """All figures of a network, on the test side of its data.

    files   the folder where its .tflite files are to stay; None: they are made, and thrown away
    export  False leaves the files and what int8 costs out: "files" is None then
    """
    tested = outputs(network, data, data.test)
    figures = weights(network) | {"test": tested.report()}
    figures["files"] = _files(network, data, files) if export else None
    return Measured(figures, tested.logits.argmax(axis=1))


def outputs(network: Trained, data: Prepared, positions: np.ndarray) -> Outputs:
    """Logits and labels of the images at ``positions`` (N,) of the run's data."""
    batches = plain_batches(data.dataset, positions, BATCH, network.normalization)
    with kernels.constant_weights():
        return collect(network.net.forward, prefetch(batches))


def weights(network: Trained) -> dict[str, Any]:
    """Weights and multiply-adds of one image, all and those that are not zero; biases apart."""
    graph = from_layer(network.net, (*network.size, 3))
    layers = []
    for node, count in zip(graph.nodes, multiply_adds(graph), strict=True):
        if node.op in LEARNED:
            w = graph.data(node.inputs[1])
            nonzero = int(np.count_nonzero(w))
            row: dict[str, Any] = {"path": node.path, "shape": list(w.shape)}
            row |= {"weights": w.size, "nonzero_weights": nonzero}
            row |= {"sparsity": 1 - nonzero / w.size, "multiply_adds": count}
            layers.append(row | {"nonzero_multiply_adds": count * nonzero // w.size})
    keys = ("weights", "nonzero_weights", "multiply_adds", "nonzero_multiply_adds")
    totals: dict[str, Any] = {key: sum(row[key] for row in layers) for key in keys}
    totals["sparsity"] = 1 - totals["nonzero_weights"] / totals["weights"]
    return {"parameters": network.net.count_params()} | totals | {"layers": layers}


def _files(network: Trained, data: Prepared, folder: Path | None) -> dict[str, Any]:
    """Sizes of the float32 and the int8 .tflite file, as they are and by gzip -9; int8's accuracy.

    Both files hold a header, names and metadata beside the weights; zeros stay in them as zeros.
    """
    with TemporaryDirectory() as temporary:
        place = (folder or Path(temporary)) / NAME
        quality = tflite.export(network, data, place, Options(float32=True)).quality
        sizes: dict[str, Any] = {
            key: _sizes(place.with_name(name))
            for key, name in (("float32", FLOAT_NAME), ("int8", NAME))
        }
    assert quality is not None  # there is data
    sizes["int8"] |= {"top1": quality.top["int8"][0]}
    sizes["int8"] |= {"balanced_accuracy": quality.balanced["int8"]}
    return sizes


def _sizes(path: Path) -> dict[str, int]:
    content = path.read_bytes()
    return {"bytes": len(content), "gzip_bytes": len(gzip.compress(content, 9, mtime=0))}


def differences(before: Measured, after: Measured, data: Prepared) -> dict[str, Any]:
    """After less before on the same test images: (difference, lower end, upper end), and agreement.

    The intervals are of 95 %, by bootstrap over lesions.
    """
    labels, lesions = data.dataset.labels[data.test], data.dataset.lesions[data.test]
    result = paired(before.answers, after.answers, labels, lesions)
    return {
        "agreement": result.agreement,
        "top1": list(result.top1),
        "balanced_accuracy": list(result.balanced_accuracy),
    }
