"""What a data set is, before (Index) and after (Dataset) its images are decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minicnn.errors import UserError


@dataclass(frozen=True)
class Index:
    """The list of images that a folder holds; nothing is decoded yet.

    root     the folder it was read from
    paths    one file per image
    labels   (N,) int64, positions in ``classes``
    lesions  (N,) str: images of one lesion share it, so that a split can keep them together
    names    (N,) str: what to call an image in messages and tables
    classes  class names in label order
    """

    root: Path
    paths: list[Path]
    labels: np.ndarray
    lesions: np.ndarray
    names: np.ndarray
    classes: tuple[str, ...]

    def subset(self, keep: np.ndarray) -> Index:
        """The images at the positions ``keep`` (N,) int, in that order."""
        return replace(
            self,
            paths=[self.paths[i] for i in keep],
            labels=self.labels[keep],
            lesions=self.lesions[keep],
            names=self.names[keep],
        )


@dataclass(frozen=True)
class Dataset:
    """Decoded images with their labels.

    images   (N, H, W, 3) uint8 RGB, in memory or a read-only memory map
    labels, lesions, names, classes   as in :class:`Index`
    source   where it came from, for people: a folder, or "generated, seed 0"
    skipped  (name, reason) of each image that ``--skip-bad`` left out
    """

    images: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    names: np.ndarray
    classes: tuple[str, ...]
    source: str
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        return self.images.shape[1], self.images.shape[2]

    def counts(self, where: np.ndarray | None = None) -> np.ndarray:
        """Images per class, (classes,) int64; of the positions ``where`` only, if given."""
        labels = self.labels if where is None else self.labels[where]
        return np.bincount(labels, minlength=len(self.classes))

    def fingerprint(self) -> str:
        """Changes when images come, go or change class: a resumed run must find the same.

        Of the pixels only some images count, to be quick.
        """
        pairs = zip(self.names, self.labels, strict=True)
        digest = hashlib.sha256("\n".join(f"{name} {label}" for name, label in pairs).encode())
        digest.update(self.images[:: max(1, len(self) // 64)].tobytes())
        return digest.hexdigest()[:16]


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) in pixels of "225x300"; UserError for anything else."""
    height, cross, width = text.lower().partition("x")
    if not (cross and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise UserError(f"size {text!r}: wanted height x width in pixels, such as 225x300")
    return int(height), int(width)
