"""Read a data set that is laid out as one folder per class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minicnn.data.dataset import Index
from minicnn.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")


def is_layout(root: Path) -> bool:
    """Whether ``root`` has sub-folders at all."""
    return bool(_class_folders(root))


def read(root: Path, classes: tuple[str, ...] | None = None) -> Index:
    """List the images below ``root``: each sub-folder is a class, named as the folder is.

    Files may be nested deeper; hidden ones are left alone. Nothing tells which images show the
    same lesion, so each counts as its own.

    Parameters
    ----------
    root
        The folder that holds the class folders.
    classes
        The classes of a trained run: labels point into it. Without it, the folders' names
        sorted.

    Raises
    ------
    UserError
        Fewer than two class folders, one without images, or one that ``classes`` lacks.
    """
    folders = _class_folders(root)
    found = [folder.name for folder in folders]
    if not found:
        raise UserError(f"{root} has no sub-folders: one per class is needed")
    if classes is None:
        classes = tuple(found)
        if len(classes) < 2:
            raise UserError(f"{root} has one class folder, '{found[0]}': two or more are needed")
    unknown = [name for name in found if name not in classes]
    if unknown:
        raise UserError(
            f"{root} has a folder '{unknown[0]}', which is no class of the trained network: "
            f"{', '.join(classes)}"
        )
    paths: list[Path] = []
    labels: list[int] = []
    for folder in folders:
        images = _images(folder)
        if not images:
            kinds = " ".join(ext[1:] for ext in EXTENSIONS)
            raise UserError(f"class folder {folder} has no images ({kinds})")
        paths += images
        labels += [classes.index(folder.name)] * len(images)
    names = np.array([path.relative_to(root).as_posix() for path in paths])
    return Index(root, paths, np.array(labels, np.int64), names, names, classes)


def _class_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    folders = (path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    return sorted(folders, key=lambda path: path.name)


def _images(folder: Path) -> list[Path]:
    images: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        images += [
            Path(parent, name)
            for name in names
            if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        ]
    return sorted(images, key=lambda path: path.as_posix())
