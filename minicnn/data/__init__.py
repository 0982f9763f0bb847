"""Images and their labels, from wherever they come."""

from __future__ import annotations

from pathlib import Path

from minicnn.data import cache, folder, ham10000
from minicnn.data.dataset import Dataset, Index
from minicnn.errors import UserError

__all__ = ["Dataset", "Index", "load"]


def load(
    data: str | Path | None,
    size: tuple[int, int],
    *,
    seed: int = 0,
    classes: tuple[str, ...] | None = None,
    skip_bad: bool = False,
) -> Dataset:
    """Load a data set with all images at one size.

    Parameters
    ----------
    data
        A folder in HAM10000's layout or with one sub-folder per class; None generates a set.
    size
        Height and width in pixels.
    seed
        Of the generated set; folders do not use it.
    classes
        The classes of a trained run, when it is evaluated: labels point into it.
    skip_bad
        Leave out images that cannot be read, and list them in ``skipped``, instead of raising.

    Raises
    ------
    UserError
        The folder is missing or not laid out in one of the two ways, its classes are not those
        asked for, or images cannot be read.
    """
    if min(size) < 1:
        raise UserError(f"image size {size[0]}x{size[1]} must be at least 1x1")
    if data is None:
        return _generated(size, seed, classes)
    root = Path(data).expanduser()
    _check_layout(root)
    source = ham10000 if ham10000.is_layout(root) else folder
    return cache.decode_all(source.read(root, classes), size, skip_bad)


def _generated(size: tuple[int, int], seed: int, classes: tuple[str, ...] | None) -> Dataset:
    # here, not above: `python -m minicnn.data.synthetic` must not find itself imported already
    from minicnn.data import synthetic

    dataset = synthetic.generate(size=size, seed=seed)
    if classes is not None and classes != dataset.classes:
        raise UserError(
            f"the generated images have the classes {', '.join(dataset.classes)} but the trained "
            f"network has {', '.join(classes)}: name the folder of its data"
        )
    return dataset


def _check_layout(root: Path) -> None:
    wanted = f"a folder with {ham10000.METADATA[0]} or with one sub-folder of images per class"
    if not root.exists():
        raise UserError(f"no such folder: {root} (wanted: {wanted})")
    if not root.is_dir():
        raise UserError(f"{root} is a file (wanted: {wanted})")
    if ham10000.lacks_metadata(root):
        raise UserError(
            f"{root} has HAM10000's image folders but not {ham10000.METADATA[0]}: put it there"
        )
    if not ham10000.is_layout(root) and not folder.is_layout(root):
        raise UserError(f"{root} has neither layout (wanted: {wanted})")
