"""Decode every image of a data set once, into a memory-mapped file that later runs just open.

A cache is two files: ``SOURCE-HxW-KEY.npy`` holds the images that could be read, one after the
other, and ``SOURCE-HxW-KEY.json`` the ones that could not. KEY is a hash over the list of files
with their sizes and times, so a changed source is simply another key.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from minicnn.data import images
from minicnn.data.cache_files import remove_leftovers, remove_older
from minicnn.data.dataset import Dataset, Index
from minicnn.errors import UserError
from minicnn.files import cache_folder, replacing

DECODER = 1  # raise it when images.load gives other pixels, so that old caches are not used
CHUNK = 64  # images decoded ahead of the writer: bounds the memory when the disk is slow
SHOWN = 10  # bad images named in a message

Bad = dict[int, str]  # position in the index -> why the image cannot be read


def decode_all(
    index: Index,
    size: tuple[int, int],
    skip_bad: bool,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Decode the images of ``index`` at ``size`` (H, W), or open the cache of an earlier run.

    Returns
    -------
    Dataset
        Its images are a read-only memory map (N, H, W, 3) uint8.

    Raises
    ------
    UserError
        An image is bad and ``skip_bad`` is off; a class, or everything, is bad; or the cache
        folder cannot be written or has no room.
    """
    base = (cache_folder() if cache_dir is None else Path(cache_dir)) / _stem(index, size)
    opened = _open(base, len(index.paths), size)
    if opened is None:
        _build(base, index, size)
        opened = _open(base, len(index.paths), size)
    if opened is None:
        raise UserError(f"{base}.npy was removed or changed while it was made: run again")
    pixels, bad = opened
    _refuse(index, bad, skip_bad)
    good = index.subset(np.setdiff1d(np.arange(len(index.paths)), sorted(bad)))
    return Dataset(
        images=pixels,
        labels=good.labels,
        lesions=good.lesions,
        names=good.names,
        classes=index.classes,
        source=str(index.root),
        skipped=tuple((str(index.names[i]), reason) for i, reason in bad.items()),
    )


def _stem(index: Index, size: tuple[int, int]) -> str:
    """The cache's file name without its ending: one prefix per source and size, then the key."""
    source = hashlib.sha256(os.fsencode(index.root.resolve())).hexdigest()[:12]
    files = [(os.path.relpath(path, index.root), *_state(path)) for path in index.paths]
    key = hashlib.sha256(json.dumps([DECODER, size, files]).encode()).hexdigest()[:32]
    return f"{source}-{size[0]}x{size[1]}-{key}"


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when a file does; its mode too, as permission may be granted later."""
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (stat.st_size, stat.st_mtime_ns, stat.st_mode)


def _open(base: Path, total: int, size: tuple[int, int]) -> tuple[np.ndarray, Bad] | None:
    """The cached images and the bad ones, or None if the cache is absent or damaged."""
    try:
        notes = json.loads(base.with_suffix(".json").read_text(encoding="utf-8"))
        bad = {int(entry["position"]): str(entry["reason"]) for entry in notes["bad"]}
        good = total - len(bad)
        pixels = np.load(base.with_suffix(".npy"), mmap_mode="r")
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None
    fits = pixels.shape == (good, *size, 3) and pixels.dtype == np.uint8
    return (pixels, bad) if fits else None


def _build(base: Path, index: Index, size: tuple[int, int]) -> None:
    """Decode everything and put both files in place, each in one step."""
    folder = base.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        _check_space(folder, len(index.paths) * math.prod(size) * 3)
        with replacing(base.with_suffix(".npy")) as file:
            bad = _decode_into(file, index, size)
        entries = [
            {"position": i, "name": str(index.names[i]), "reason": reason}
            for i, reason in bad.items()
        ]
        with replacing(base.with_suffix(".json")) as file:
            file.write(json.dumps({"source": str(index.root), "bad": entries}).encode())
        remove_older(base)
    except OSError as error:  # the images' own errors are BadImage: this is the cache folder's
        raise UserError(
            f"cannot keep decoded images in {folder} ({error.strerror or error}): "
            "set MINICNN_CACHE to a folder that can be written and has room"
        ) from error


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"decoded images need {needed / 1e6:,.0f} MB but {folder} has only "
            f"{free / 1e6:,.0f} MB free: free some, or set MINICNN_CACHE to a folder elsewhere"
        )


def _decode_into(file: BinaryIO, index: Index, size: tuple[int, int]) -> Bad:
    """Write the images that can be read as one .npy array; return the others.

    Plain writes, not a memory map: on a full disk a write raises, a map kills the process.
    """
    total = len(index.paths)
    bad: Bad = {}
    _write_header(file, total, size)
    start = file.tell()
    bar = tqdm(total=total, desc="decoding images (once)", unit="image", disable=None)
    with ThreadPoolExecutor() as pool, bar:
        for first in range(0, total, CHUNK):
            paths = index.paths[first : first + CHUNK]
            results = pool.map(_load_or_reason, paths, [size] * len(paths))
            for position, result in enumerate(results, first):
                if isinstance(result, str):
                    bad[position] = result
                else:
                    file.write(result.data)
                bar.update()
    file.seek(0)
    _write_header(file, total - len(bad), size)
    assert file.tell() == start, "NumPy pads the header, so its length does not change"
    return bad


def _write_header(file: BinaryIO, count: int, size: tuple[int, int]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *size, 3)}
    np.lib.format.write_array_header_1_0(file, header)


def _load_or_reason(path: Path, size: tuple[int, int]) -> np.ndarray | str:
    try:
        return images.load(path, size)
    except images.BadImage as error:
        return str(error)


def _refuse(index: Index, bad: Bad, skip_bad: bool) -> None:
    """Raise UserError unless enough is left to work with."""
    if not bad:
        return
    listed = ", ".join(f"{index.names[i]} ({reason})" for i, reason in list(bad.items())[:SHOWN])
    more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    total = len(index.paths)
    what = f"{len(bad)} of {total} images in {index.root} cannot be read: {listed}{more}"
    if len(bad) == total:
        raise UserError(f"no image is left: {what}")
    left = np.delete(index.labels, sorted(bad))
    lost = sorted(set(index.labels.tolist()) - set(left.tolist()))
    if lost:
        names = ", ".join(f"'{index.classes[label]}'" for label in lost)
        raise UserError(f"no image is left of class {names}: {what}; mend or replace its images")
    if not skip_bad:
        raise UserError(f"{what}; mend or replace them, or leave them out with --skip-bad")
