"""Which images int8 is calibrated on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minicnn.data.images import BadImage, load
from minicnn.errors import UserError
from minicnn.preparation import Prepared

COUNT = 256
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")


def of_training(prepared: Prepared, count: int = COUNT, seed: int = 0) -> np.ndarray:
    """(N, H, W, 3) uint8: the images of :func:`training_positions`."""
    return prepared.dataset.images[training_positions(prepared, count, seed)]


def training_positions(prepared: Prepared, count: int, seed: int = 0) -> np.ndarray:
    """(N,), sorted: training images, as many of each class as there are, up to ``count``.

    The classes take turns: the first images of a sorted folder would all be of one.
    """
    labels = prepared.dataset.labels
    rng = np.random.default_rng(seed)
    by_class = [
        list(rng.permutation(np.unique(prepared.train[labels[prepared.train] == label])))
        for label in np.unique(labels[prepared.train])
    ]
    chosen: list[int] = []
    while len(chosen) < count and any(by_class):
        chosen += [positions.pop() for positions in by_class if positions]
    return np.sort(chosen[:count])


def of_folder(folder: str | Path, size: tuple[int, int], count: int = COUNT) -> np.ndarray:
    """(N, H, W, 3) uint8: up to ``count`` images from anywhere in a folder, evenly spread over it.

    UserError where there is no such folder or no image in it, and for an image that is damaged.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"--calibrate {folder}: no such folder")
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise UserError(f"--calibrate {folder}: no images in it (looked for {', '.join(SUFFIXES)})")
    places = np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int))
    try:
        return np.stack([_load(paths[i], size) for i in places])
    except BadImage as reason:
        raise UserError(f"--calibrate {folder}: {reason}") from None


def _load(path: Path, size: tuple[int, int]) -> np.ndarray:
    try:
        return load(path, size)
    except BadImage as reason:
        raise BadImage(f"{path.name} cannot be read: {reason}") from None
