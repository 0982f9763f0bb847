"""Fast float32 dense layers, softmax and ReLU gradient: memory-bound, so data is read once a pass.

Work is split over weight rows or columns, never over what is summed: results do not depend on the
number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.kernels.jit import jit

COLUMNS = 1024  # weights of a row that are worked on at a time: they stay in the first cache

# Lets LLVM sum in vector lanes and fuse multiply-adds; still the same order at every call.
_VECTORIZE = {"reassoc", "contract"}


@jit(fastmath=_VECTORIZE)
def add_scaled(factor, x, y):
    """y += factor * x; both flat and beginning at 0, of which LLVM makes vector code."""
    for k in range(len(y)):
        y[k] += factor * x[k]


@jit(parallel=True, fastmath=_VECTORIZE)
def dense_forward(x, w, b, relu, y):
    """As :func:`minicnn.kernels.reference.dense_forward`, float32."""
    N, IN = x.shape
    for o in prange(w.shape[0]):
        totals = np.full(N, b[o])
        for left in range(0, IN, COLUMNS):
            row = w[o, left : left + COLUMNS]
            for n in range(N):
                pixels, total = x[n, left : left + COLUMNS], np.float32(0.0)
                for k in range(len(row)):
                    total += pixels[k] * row[k]
                totals[n] += total
        for n in range(N):
            y[n, o] = np.float32(0.0) if relu and totals[n] < 0.0 else totals[n]


@jit(parallel=True, fastmath=_VECTORIZE)
def dense_backward_input(dy, w, mask, dx):
    """As :func:`minicnn.kernels.reference.dense_backward_input`, float32."""
    N, IN = dx.shape
    for part in prange((IN + COLUMNS - 1) // COLUMNS):
        left, right = part * COLUMNS, min((part + 1) * COLUMNS, IN)
        dx[:, left:right] = 0.0
        for o in range(w.shape[0]):
            for n in range(N):
                add_scaled(dy[n, o], w[o, left:right], dx[n, left:right])
        if mask.size > 0:
            for n in range(N):
                for k in range(left, right):
                    dx[n, k] = dx[n, k] if mask[n, k] > 0.0 else np.float32(0.0)


@jit(parallel=True, fastmath=_VECTORIZE)
def dense_backward_weights(x, dy, adding, dw, db):
    """As :func:`minicnn.kernels.reference.dense_backward_weights`, float32."""
    N, IN = x.shape
    for o in prange(dw.shape[0]):
        if not adding:
            db[o] = 0.0
        for n in range(N):
            db[o] += dy[n, o]
        for left in range(0, IN, COLUMNS):
            row = dw[o, left : left + COLUMNS]
            if not adding:
                row[:] = 0.0
            for n in range(N):
                add_scaled(dy[n, o], x[n, left : left + COLUMNS], row)


@jit(parallel=True)
def relu_backward(dy, y, dx):
    """As :func:`minicnn.kernels.reference.relu_backward`, float32."""
    flat_dy, flat_y, flat_dx = dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
    for i in prange(flat_dx.size):
        flat_dx[i] = flat_dy[i] if flat_y[i] > 0.0 else np.float32(0.0)


@jit(parallel=True)
def dropout(x, rate, key, first, y):
    """As :func:`minicnn.kernels.reference.dropout`, float32."""
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    bar = np.uint64(rate * 2.0**32)
    scale = np.float32(1.0 / (1.0 - rate))
    for i in prange(flat_x.size):
        z = key + (np.uint64(first) + np.uint64(i) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        flat_y[i] = flat_x[i] * scale if z >> np.uint64(32) >= bar else np.float32(0.0)


@jit(parallel=True)
def softmax_forward(x, y):
    """As :func:`minicnn.kernels.reference.softmax_forward`, float32."""
    for n in prange(x.shape[0]):
        y[n] = np.exp(x[n] - x[n].max())
        y[n] /= y[n].sum()


@jit(parallel=True)
def softmax_backward(dy, y, dx):
    """As :func:`minicnn.kernels.reference.softmax_backward`, float32."""
    for n in prange(y.shape[0]):
        dx[n] = y[n] * (dy[n] - (dy[n] * y[n]).sum())
