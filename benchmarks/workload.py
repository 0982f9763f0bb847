"""What a contestant trains: a network's file, read without minicnn, and the same batch for all.

``network_file.py`` writes the file. A contestant's process imports this and its own framework, so
that its memory and its start-up are that framework's alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

CLASSES = 7
# ln(t / c) of HAM10000's classes, near enough
CLASS_WEIGHTS = np.array([3.4, 3.0, 2.2, 4.5, 2.2, 0.4, 4.3], np.float32)
LR, MOMENTUM = 1e-5, 0.9  # small, so that AlexNet stays finite; a step costs the same
CHECKED = 2  # images whose logits are compared

Layer = Mapping[str, Any]  # a row of network.json: "kind", "path", settings, "children"
T = TypeVar("T")


class Network:
    """A network's layers and weights, as network_file.py left them in ``folder``.

    shape    (H, W, C) of an image
    layers   in order
    weights  by path, such as ``conv1/w`` (OC, KH, KW, C); read from the file at each look-up
    """

    def __init__(self, folder: Path) -> None:
        content = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        self.name: str = content["name"]
        self.shape: tuple[int, int, int] = tuple(content["shape"])
        self.layers: list[Layer] = content["layers"]
        self.training_flops: int = content["training_flops"]
        self._folder = folder

    @cached_property
    def weights(self) -> Mapping[str, np.ndarray]:
        return np.load(self._folder / "weights.npz")

    def batch(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """x (count, H, W, C) float32 and labels (count,) int64, the same in every process."""
        rng = np.random.default_rng(0)
        labels = rng.integers(0, CLASSES, count)
        return rng.standard_normal((count, *self.shape), np.float32), labels


def row(table: Mapping[str, Callable[..., T]], layer: Layer) -> Callable[..., T]:
    """The table's function for a kind of layer; a LookupError that names the layer."""
    if layer["kind"] not in table:
        known = ", ".join(table)
        raise LookupError(f"{layer['path']}: no row for {layer['kind']} (has: {known})")
    return table[layer["kind"]]


class Contestant:
    """One network in one framework. A framework's file fills in the four methods."""

    def __init__(self, variant: str, threads: int, folder: str, batch: int) -> None:
        self.variant, self.threads, self.folder = variant, threads, Path(folder)
        self.network = Network(self.folder)
        self.build()
        self.x, self.labels = self.network.batch(batch)
        self.load(self.x, self.labels)

    def build(self) -> None:
        """Make the network with the file's weights, its loss and its optimizer."""
        raise NotImplementedError

    def load(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Keep a batch in the framework's own form: that is not timed."""
        raise NotImplementedError

    def train_step(self) -> float:
        """Forward, weighted cross-entropy, backward and update on the batch; the loss."""
        raise NotImplementedError

    def infer(self) -> np.ndarray:
        """Logits (N, classes) of the batch, as inference gives them."""
        raise NotImplementedError

    def check(self) -> list[list[float]]:
        """Logits of the first images, which all contestants must agree on."""
        self.load(self.x[:CHECKED], self.labels[:CHECKED])
        logits = self.infer().tolist()
        self.load(self.x, self.labels)
        return logits
