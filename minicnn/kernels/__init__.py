"""The kernels, and the switch between their two implementations.

``reference`` holds plain loops, ``fast_*`` the same functions at the machine's speed. Call a kernel
as ``kernels.conv2d_forward(...)``: float32 arrays take the implementation that :func:`use` chose
("fast" unless told), any other dtype takes the reference, which keeps the dtype it is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import config

from minicnn.kernels import (
    fast_conv,
    fast_conv_weights,
    fast_dense,
    fast_optim,
    fast_pool,
    fast_stem,
    reference,
)
from minicnn.kernels.panels import constant_weights as constant_weights

NAMES = ("reference", "fast")
_FLOAT32 = np.dtype(np.float32)

# OpenMP's threads spin between two kernels unless told otherwise. The loader's thread wants those
# cycles, and so do other programs: on a busy machine endless spinning cost a factor of three.
# A short spin (some ten microseconds, GNU's libgomp only) covers the gap to the next kernel.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")

# The intrinsics of the fast kernels need the compiler.
_current = "reference" if config.DISABLE_JIT else "fast"


def use(name: str) -> None:
    """Choose "reference" or "fast" for all float32 work from now on.

    Raises ValueError for another name, or for "fast" under NUMBA_DISABLE_JIT=1.
    """
    global _current
    if name not in NAMES:
        raise ValueError(f"kernels {name!r}: choose one of {', '.join(NAMES)}")
    if name == "fast" and config.DISABLE_JIT:
        raise ValueError("fast kernels need Numba's compiler: unset NUMBA_DISABLE_JIT")
    _current = name


@contextmanager
def using(name: str) -> Iterator[None]:
    """``with kernels.using("reference"): ...``; the choice before is restored afterwards."""
    before = _current
    use(name)
    try:
        yield
    finally:
        use(before)


def current() -> str:
    """The implementation that float32 arrays take now."""
    return _current


def _is_wide(dtype: np.dtype) -> bool:
    return dtype.kind == "f" and dtype != _FLOAT32


def _twin(name: str, fast: Callable[..., None]) -> Callable[..., None]:
    plain = getattr(reference, name)

    def kernel(*args: Any) -> None:
        chosen = fast if _current == "fast" else plain
        for arg in args:  # a plain loop: this runs some hundred times a training step
            if isinstance(arg, np.ndarray) and arg.dtype is not _FLOAT32 and _is_wide(arg.dtype):
                chosen = plain
        chosen(*args)

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__, kernel.__wrapped__ = plain.__doc__, plain  # type: ignore[attr-defined]
    return kernel


conv2d_forward = _twin("conv2d_forward", fast_conv.conv2d_forward)
conv2d_backward_input = _twin("conv2d_backward_input", fast_conv.conv2d_backward_input)
conv2d_backward_weights = _twin(
    "conv2d_backward_weights", fast_conv_weights.conv2d_backward_weights
)
expands_backward_input = _twin("expands_backward_input", fast_conv.expands_backward_input)
maxpool_forward = _twin("maxpool_forward", fast_pool.maxpool_forward)
maxpool_backward = _twin("maxpool_backward", fast_pool.maxpool_backward)
avgpool_forward = _twin("avgpool_forward", fast_pool.avgpool_forward)
avgpool_backward = _twin("avgpool_backward", fast_pool.avgpool_backward)
dense_forward = _twin("dense_forward", fast_dense.dense_forward)
dense_backward_input = _twin("dense_backward_input", fast_dense.dense_backward_input)
dense_backward_weights = _twin("dense_backward_weights", fast_dense.dense_backward_weights)
relu_backward = _twin("relu_backward", fast_dense.relu_backward)
softmax_forward = _twin("softmax_forward", fast_dense.softmax_forward)
softmax_backward = _twin("softmax_backward", fast_dense.softmax_backward)
dropout = _twin("dropout", fast_dense.dropout)
sgd_update = _twin("sgd_update", fast_optim.sgd_update)
adam_update = _twin("adam_update", fast_optim.adam_update)
conv_pool_forward = _twin("conv_pool_forward", fast_stem.conv_pool_forward)
conv_pool_backward_weights = _twin(
    "conv_pool_backward_weights", fast_conv_weights.conv_pool_backward_weights
)
