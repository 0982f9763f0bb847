"""Read HAM10000 as it is published: one metadata CSV and folders of images beside it."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from minicnn.data.dataset import Index
from minicnn.errors import UserError

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata")
IMAGE_FOLDER = "ham10000_images_part"
EXTENSIONS = (".jpg", ".jpeg", ".png")
COLUMNS = ("lesion_id", "image_id", "dx")


def is_layout(root: Path) -> bool:
    """Whether ``root`` holds HAM10000's metadata."""
    return _metadata(root) is not None


def lacks_metadata(root: Path) -> bool:
    """Whether ``root`` holds HAM10000's image folders alone, which are not one per class."""
    folders = (path for path in root.iterdir() if path.is_dir())
    return not is_layout(root) and any(_is_part(folder.name) for folder in folders)


def read(root: Path, classes: tuple[str, ...] | None = None) -> Index:
    """List the images that the metadata names.

    Parameters
    ----------
    root
        The folder with ``HAM10000_metadata.csv``; images lie in it or anywhere below.
    classes
        The classes of a trained run: labels point into it. Without it, those of HAM10000's
        seven that occur, in the order of ``CLASSES``.

    Returns
    -------
    Index
        In the CSV's order. A row without its image is kept with a path where there is no file,
        so that it is reported with the images that cannot be read.

    Raises
    ------
    UserError
        No CSV, no rows, a missing column, an empty or repeated field, or an unknown class.
    """
    metadata = _metadata(root)
    if metadata is None:
        raise UserError(f"{root} has no {METADATA[0]}")
    rows = _rows(metadata, CLASSES if classes is None else classes)
    if classes is None:
        present = {dx for _, _, dx in rows}
        classes = tuple(name for name in CLASSES if name in present)
        if len(classes) < 2:
            raise UserError(f"{metadata} has images of '{classes[0]}' only: two classes are needed")
    found = _images(root)
    return Index(
        root=root,
        paths=[found.get(image, root / f"{image}.jpg") for _, image, _ in rows],
        labels=np.array([classes.index(dx) for _, _, dx in rows], np.int64),
        lesions=np.array([lesion for lesion, _, _ in rows]),
        names=np.array([image for _, image, _ in rows]),
        classes=classes,
    )


def _metadata(root: Path) -> Path | None:
    return next((root / name for name in METADATA if (root / name).is_file()), None)


def _is_part(folder: str) -> bool:
    return folder.lower().startswith(IMAGE_FOLDER)


def _rows(metadata: Path, allowed: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(lesion_id, image_id, dx) of each row, checked."""
    rows = []
    seen: dict[str, int] = {}
    for line, lesion, image, dx in _fields(metadata):
        where = f"{metadata}, line {line}"
        if not lesion or not image:
            raise UserError(f"{where}: {'image_id' if lesion else 'lesion_id'} is empty")
        if dx not in allowed:
            raise UserError(f"{where}: unknown dx '{dx}' of {image}; allowed: {', '.join(allowed)}")
        if image in seen:
            raise UserError(f"{where}: image_id {image} was on line {seen[image]} already")
        seen[image] = line
        rows.append((lesion, image, dx))
    if not rows:
        raise UserError(f"{metadata} is empty: no rows with {', '.join(COLUMNS)}")
    return rows


def _fields(metadata: Path) -> Iterator[tuple[int, str, str, str]]:
    """(line number, lesion_id, image_id, dx) of each row; an absent field is empty."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with metadata.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            missing = [name for name in COLUMNS if name not in columns]
            if columns and missing:
                raise UserError(
                    f"{metadata} has no column {', '.join(missing)}: it needs "
                    f"{', '.join(COLUMNS)} and has {', '.join(columns)}"
                )
            for row in reader:
                lesion, image, dx = (row[name].strip() for name in COLUMNS)
                yield reader.line_num, lesion, image, dx
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{metadata} is not a CSV in UTF-8 text: {error}") from error


def _images(root: Path) -> dict[str, Path]:
    """Image id -> file, over all folders below ``root``.

    Of two files with one name the published image folders' wins, then the first in order:
    HAM10000's masks and other people's copies may lie below the same root.
    """
    files: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [
            Path(folder, name)
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    files.sort(key=lambda path: (not _is_part(path.parent.name), path.as_posix()))
    found: dict[str, Path] = {}
    for path in files:
        found.setdefault(path.stem, path)
    return found
