"""Memory for the arrays of a training step: given back by one step, taken again by the next.

The operating system hands out large arrays as pages that are mapped one by one at first touch; a
step that frees its activations and allocates them anew spends up to a third of its time there. So
memory whose array was garbage-collected is kept here for the next array of about that size.
"""

from __future__ import annotations

import math
import mmap
import sys
import weakref

import numpy as np

SMALLEST = 1 << 16  # bytes; below it, malloc is as good

_free: dict[int, list[mmap.mmap]] = {}
_lent: dict[int, tuple[weakref.ref, int, mmap.mmap]] = {}  # by the reference's id


def empty(shape: tuple[int, ...], dtype: np.typing.DTypeLike = np.float32) -> np.ndarray:
    """As ``np.empty``: an array of unspecified values, from memory of arrays that are gone."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    rounded = _rounded(size)
    try:
        memory = _free[rounded].pop()
    except (KeyError, IndexError):
        memory = _map(rounded)
    array: np.ndarray = np.ndarray(shape, dtype, memory)
    # a view of the array keeps the array alive (its base is the array, as the mmap is no array),
    # so the memory comes back only after the last of them
    reference = weakref.ref(array, _take_back)
    _lent[id(reference)] = reference, rounded, memory
    return array


def _map(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    # private: by default a child process would write into the same pages
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _rounded(size: int) -> int:
    """Sizes fall into classes an eighth apart, so that a last, smaller batch finds memory too.

    What is mapped and never touched costs nothing.
    """
    step = 1 << max(size.bit_length() - 4, 12)
    return -(-size // step) * step


def _take_back(reference: weakref.ref) -> None:
    _, rounded, memory = _lent.pop(id(reference))
    _free.setdefault(rounded, []).append(memory)


def release() -> None:
    """Give all memory that no array uses back to the operating system."""
    _free.clear()


def held() -> int:
    """Bytes that are kept or lent."""
    lent = sum(size for _, size, _ in list(_lent.values()))
    return lent + sum(size * len(list_) for size, list_ in list(_free.items()))
