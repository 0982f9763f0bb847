"""A generated, seeded, imbalanced set of skin lesions, which serves when no data is given.

    python -m minicnn.data.synthetic OUT [--count N] [--size HxW] [--seed N]

writes it to a folder in HAM10000's own layout. What tells its seven classes apart stands in
:mod:`minicnn.data.lesions`.
"""

from __future__ import annotations

import csv
import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from minicnn.data.dataset import Dataset, parse_size
from minicnn.data.ham10000 import CLASSES, METADATA
from minicnn.data.lesions import picture
from minicnn.errors import Parser, UserError, command

DEFAULT_COUNT = 4000
DEFAULT_SIZE = (64, 64)
LESIONS_OF_CLASS = (0.06, 0.08, 0.11, 0.045, 0.11, 0.55, 0.045)  # shares, in the order of CLASSES
LESIONS_WITH_VIEWS = (0.80, 0.15, 0.05)  # shares with one, two and three images
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
IMAGE_FOLDER = "HAM10000_images_part_1"


def generate(
    count: int = DEFAULT_COUNT, size: tuple[int, int] = DEFAULT_SIZE, seed: int = 0
) -> Dataset:
    """Paint a data set; the same arguments give the same bytes on any machine.

    Parameters
    ----------
    count
        Number of images. About a third show a lesion that another image shows as well.
    size
        Height and width in pixels; another size shows the same scenes at another resolution.
    seed
        Chooses the lesions, their views and everything about them.

    Returns
    -------
    Dataset
        images (count, H, W, 3) uint8 in memory; ``nv`` has a bit more than half of them.

    Raises
    ------
    UserError
        An argument is out of range.
    """
    if count < 1:
        raise UserError(f"count {count} must be at least 1")
    if min(size) < 1:
        raise UserError(f"image size {size[0]}x{size[1]} must be at least 1x1")
    if seed < 0:
        raise UserError(f"seed {seed} must not be negative")
    lesions, labels = _plan(count, seed)
    views = np.arange(count) - np.searchsorted(lesions, lesions) + 1
    images = np.empty((count, *size, 3), np.uint8)
    for i, (label, lesion, view) in enumerate(zip(labels, lesions, views, strict=True)):
        streams = _stream(seed, lesion, 0), _stream(seed, lesion, view)
        images[i] = picture(CLASSES[label], size, *streams)
    return Dataset(
        images=images,
        labels=labels,
        lesions=np.array([f"LES_{lesion:07d}" for lesion in lesions]),
        names=np.array([f"SYN_{number:07d}" for number in range(1, count + 1)]),
        classes=CLASSES,
        source=f"generated, seed {seed}",
    )


def write_folder(root: str | Path, dataset: Dataset) -> None:
    """Write a data set in HAM10000's layout: a metadata CSV and a folder of PNG files.

    The folder appears when it is complete. ``root`` may exist if it is empty.

    Raises
    ------
    UserError
        ``root`` is a file or holds something already.
    """
    root = _free(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    temporary = root.with_name(f".{root.name}.{secrets.token_hex(4)}.tmp")
    try:
        _write(temporary, dataset)
        if root.exists():  # Windows does not rename over a folder, even an empty one
            root.rmdir()
        os.rename(temporary, root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _plan(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Lesion, counted from 1, and label of each image: both (count,) int64.

    The classes' shares of the lesions are exact but for rounding, only their order is random.
    """
    rng = _stream(seed, 0, 0)
    views = 1 + np.searchsorted(np.cumsum(LESIONS_WITH_VIEWS[:-1]), rng.random(count))
    lesions = np.repeat(np.arange(1, count + 1, dtype=np.int64), views)[:count]
    total = int(lesions[-1])
    ranks = (np.arange(total) + 0.5) / total
    labels = np.searchsorted(np.cumsum(LESIONS_OF_CLASS[:-1]), ranks)
    labels = labels[np.argsort(rng.random(total), kind="stable")]
    return lesions, labels[lesions - 1].astype(np.int64)


def _stream(seed: int, lesion: int, view: int) -> np.random.Generator:
    """A lesion's own random numbers (view 0) or those of one of its views (from 1).

    NumPy promises never to change what PCG64 yields for a seed; the other distributions of
    Generator may change, so ``random`` alone is drawn from.
    """
    key = (seed, int(lesion), int(view))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _free(root: str | Path) -> Path:
    """The absolute path of a folder that may be written; UserError if it is taken."""
    root = Path(root).expanduser().resolve()
    if root.is_file():
        raise UserError(f"{root} is a file: name a new folder")
    if root.exists() and any(root.iterdir()):
        raise UserError(f"{root} exists and is not empty: name a new folder")
    return root


def _write(root: Path, dataset: Dataset) -> None:
    images = root / IMAGE_FOLDER
    images.mkdir(parents=True)
    with (root / METADATA[0]).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for lesion, name, label in zip(dataset.lesions, dataset.names, dataset.labels, strict=True):
            diagnosis = dataset.classes[label]
            writer.writerow([lesion, name, diagnosis, "generated", "", "unknown", "unknown"])
    for name, image in zip(dataset.names, dataset.images, strict=True):
        Image.fromarray(image).save(images / f"{name}.png")


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Generate a set and write it to a folder."""
    height, width = DEFAULT_SIZE
    parser = Parser(
        prog="python -m minicnn.data.synthetic",
        description="Write a generated lesion set in HAM10000's layout.",
    )
    parser.add_argument("out", metavar="OUT", help="folder to write: new, or empty")
    parser.add_argument("--count", type=int, default=DEFAULT_COUNT, help="images (%(default)s)")
    parser.add_argument("--size", default=f"{height}x{width}", help="HxW in pixels (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    options = parser.parse_args(argv)
    root = _free(options.out)  # before the work, not after it
    dataset = generate(options.count, parse_size(options.size), options.seed)
    write_folder(root, dataset)
    lesions = len(np.unique(dataset.lesions))
    print(f"{root}: {len(dataset)} images of {lesions} lesions, {options.size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
