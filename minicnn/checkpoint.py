"""One .npz file that holds a network and all that training needs to go on.

Keys: ``param/<path>`` weights, ``momentum/<path>`` (and for Adam ``second_moment/<path>``) the
optimizer's state, ``average/<path>`` averaged weights, ``mask/<path>`` what pruning keeps (bool),
``epoch/<name>`` outputs of the epoch under way, ``meta`` JSON as a string.
A file without optimizer state serves everything but resuming. Nothing is pickled.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.errors import UserError
from minicnn.files import replacing
from minicnn.layers import Layer

FORMAT = 1


@dataclass
class Checkpoint:
    """What a file holds.

    params   weights by path
    slots    what else there is: slot name -> path -> array (optimizer state, averages, masks)
    epoch    outputs of an unfinished epoch, empty between epochs
    meta     model, classes, input_shape, normalization, config, epoch, step ... as plain values
    """

    params: dict[str, np.ndarray]
    slots: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    epoch: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def load_into(self, net: Layer, averaged: bool = False) -> None:
        """Put the weights into a network of the same shape; UserError where they do not fit.

        ``averaged`` takes their moving average where there is one: what a trained network is used
        with, while training goes on from the weights themselves.
        """
        params = net.named_params()
        values = self.slots.get("average") if averaged else None
        values = values or self.params
        if missing := sorted(set(params) ^ set(values)):
            raise UserError(
                f"the checkpoint's weights are of another network: {missing[0]} differs"
            )
        for path, param in params.items():
            value = values[path]
            if value.shape != param.value.shape:
                raise UserError(
                    f"the checkpoint's {path} has shape {value.shape}, "
                    f"the network wants {param.value.shape}"
                )
            param.value[...] = value


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: the file at ``path`` is the old one or the new one, whole."""
    arrays = {f"param/{name}": value for name, value in checkpoint.params.items()}
    for slot, values in checkpoint.slots.items():
        arrays |= {f"{slot}/{name}": value for name, value in values.items()}
    arrays |= {f"epoch/{name}": value for name, value in checkpoint.epoch.items()}
    arrays["meta"] = np.array(json.dumps({"format": FORMAT, **checkpoint.meta}))
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # names are free here


def load(path: Path) -> Checkpoint:
    """Read a file that :func:`save` wrote; UserError for anything else."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            entries = {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise UserError(f"no checkpoint at {path}") from None
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(_not_ours(path, error)) from None
    except (zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise UserError(f"{path} is damaged ({error}): use another checkpoint of the run") from None
    return _parse(path, entries)


def _not_ours(path: Path, error: Exception) -> str:
    head = path.read_bytes()[:8] if path.is_file() else b""
    what = "is not a minicnn checkpoint"
    if head[4:] == b"TFL3":
        what = "is a .tflite file, which only runs"
    elif head.startswith((b"PK", b"\x93NUMPY", b"\x80")) and "pickle" in str(error).lower():
        what = "holds pickled objects, which can run code"
    return f"{path} {what}: wanted a run folder, or an .npz file that minicnn.train wrote"


def _parse(path: Path, entries: Mapping[str, np.ndarray]) -> Checkpoint:
    try:
        meta = json.loads(str(entries["meta"]))
        version = meta["format"]
    except (KeyError, TypeError, json.JSONDecodeError):
        raise UserError(
            f"{path} has no minicnn 'meta' entry: wanted a file of minicnn.train"
        ) from None
    if version != FORMAT:
        raise UserError(f"{path} has format {version}, this minicnn reads format {FORMAT}")
    checkpoint = Checkpoint({}, meta=meta)
    for name, value in entries.items():
        kind, _, rest = name.partition("/")
        if kind == "param":
            checkpoint.params[rest] = value
        elif kind == "epoch":
            checkpoint.epoch[rest] = value
        elif kind != "meta":
            checkpoint.slots.setdefault(kind, {})[rest] = value
    if not checkpoint.params:
        raise UserError(f"{path} holds no weights (no 'param/' entries)")
    return checkpoint
