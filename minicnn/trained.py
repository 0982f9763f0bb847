"""A trained network as the commands use it: rebuilt from a checkpoint, with its classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import models
from minicnn import checkpoint
from minicnn.checkpoint import Checkpoint
from minicnn.compress import channels
from minicnn.config import Config
from minicnn.data.augment import Normalization
from minicnn.errors import UserError
from minicnn.layers import Sequential
from minicnn.runfolder import find_checkpoint


@dataclass(frozen=True)
class Trained:
    """A network with what it needs to look at a photograph.

    size    height and width it was trained at
    config  the run's settings, or None for a file without them
    data_fingerprint  of the data it was trained on (see ``Dataset.fingerprint``), or None
    training_shares, learned_shares  (classes,) float64 of sum 1, see ``preparation``: how frequent
        each class is among the training images, and for how frequent the network takes it; or None
    """

    net: Sequential
    model: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    normalization: Normalization
    config: Config | None
    data_fingerprint: str | None
    path: Path
    training_shares: np.ndarray | None = None
    learned_shares: np.ndarray | None = None

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, classes) for uint8 RGB images (N, H, W, 3) of ``size``."""
        return self.net.predict(self.normalization.apply(images))


def load(run: str | Path) -> Trained:
    """Read a run folder (its last.npz), an .npz file, or weights that come with minicnn by name.

    UserError for anything else.
    """
    path = find_checkpoint(models.released(run))
    return of(checkpoint.load(path), path)


def of(state: Checkpoint, path: Path) -> Trained:
    """The network in a checkpoint that was read from ``path``, its weights averaged if they are."""
    meta = _Meta(path, state.meta)
    model = meta["model"]
    if model not in models.NAMES:
        raise UserError(f"{path} holds a network called {model!r}, which this minicnn has not")
    try:
        classes, shape = tuple(meta["classes"]), tuple(meta["input_shape"])
        pixels = meta["normalization"]
        normalization = Normalization(tuple(pixels["mean"]), pixels["std"])
        net = models.build(model, shape, len(classes))
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path} has damaged settings ({error}): take another file") from None
    channels.resize(net, shape, state.params)
    state.load_into(net, averaged=True)
    return Trained(
        net=net,
        model=model,
        classes=classes,
        size=(shape[0], shape[1]),
        normalization=normalization,
        config=Config.from_json(state.meta["config"]) if "config" in state.meta else None,
        data_fingerprint=state.meta.get("data_fingerprint"),
        path=path,
        training_shares=_shares(state, "training_shares"),
        learned_shares=_shares(state, "learned_shares"),
    )


def _shares(state: Checkpoint, name: str) -> np.ndarray | None:
    return np.array(state.meta[name]) if name in state.meta else None


class _Meta:
    """A checkpoint's meta entry that says which file lacks what."""

    def __init__(self, path: Path, values: dict[str, Any]) -> None:
        self.path, self.values = path, values

    def __getitem__(self, name: str) -> Any:
        if name not in self.values:
            raise UserError(f"{self.path} does not say its {name}: wanted a file of minicnn.train")
        return self.values[name]
