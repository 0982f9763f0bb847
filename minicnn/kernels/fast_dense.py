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


# Rows are sliced from whole arrays where they are used: of slices that begin at 0 and are known to
# be contiguous LLVM makes vector code. Four rows a turn share the loads and stores of y.
@jit(fastmath=_VECTORIZE)
def add_scaled(factors, rows, first, left, y):
    """y (K,) += factors (R,) times rows[first:first+R, left:left+K]."""
    R, right = len(factors), left + len(y)
    for r in range(0, R - 3, 4):
        f0, f1, f2, f3 = factors[r], factors[r + 1], factors[r + 2], factors[r + 3]
        x0, x1 = rows[first + r, left:right], rows[first + r + 1, left:right]
        x2, x3 = rows[first + r + 2, left:right], rows[first + r + 3, left:right]
        for k in range(len(y)):
            y[k] += f0 * x0[k] + f1 * x1[k] + f2 * x2[k] + f3 * x3[k]
    for r in range(R - R % 4, R):
        factor, row = factors[r], rows[first + r, left:right]
        for k in range(len(y)):
            y[k] += factor * row[k]


@jit(fastmath=_VECTORIZE)
def add_products(rows, left, y, totals):
    """totals (R,) += rows[:, left:left+K] times y (K,)."""
    R, right, zero = len(totals), left + len(y), np.float32(0.0)
    for r in range(0, R - 3, 4):
        t0, t1, t2, t3 = zero, zero, zero, zero
        x0, x1 = rows[r, left:right], rows[r + 1, left:right]
        x2, x3 = rows[r + 2, left:right], rows[r + 3, left:right]
        for k in range(len(y)):
            t0 += x0[k] * y[k]
            t1 += x1[k] * y[k]
            t2 += x2[k] * y[k]
            t3 += x3[k] * y[k]
        totals[r] += t0
        totals[r + 1] += t1
        totals[r + 2] += t2
        totals[r + 3] += t3
    for r in range(R - R % 4, R):
        total, row = zero, rows[r, left:right]
        for k in range(len(y)):
            total += row[k] * y[k]
        totals[r] += total


@jit(parallel=True, fastmath=_VECTORIZE)
def dense_forward(x, w, b, relu, y):
    """As :func:`minicnn.kernels.reference.dense_forward`, float32."""
    N, IN = x.shape
    for o in prange(w.shape[0]):
        totals = np.full(N, b[o])
        for left in range(0, IN, COLUMNS):
            add_products(x, left, w[o, left : left + COLUMNS], totals)
        for n in range(N):
            y[n, o] = np.float32(0.0) if relu and totals[n] < 0.0 else totals[n]


@jit(parallel=True, fastmath=_VECTORIZE)
def dense_backward_input(dy, w, mask, dx):
    """As :func:`minicnn.kernels.reference.dense_backward_input`, float32."""
    N, IN = dx.shape
    OUT = w.shape[0]
    for part in prange((IN + COLUMNS - 1) // COLUMNS):
        left, right = part * COLUMNS, min((part + 1) * COLUMNS, IN)
        dx[:, left:right] = 0.0
        for o in range(0, OUT, 4):
            for n in range(N):
                add_scaled(dy[n, o : o + 4], w, o, left, dx[n, left:right])
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
        factors = dy[:, o].copy()
        for n in range(N):
            db[o] += factors[n]
        for left in range(0, IN, COLUMNS):
            row = dw[o, left : left + COLUMNS]
            if not adding:
                row[:] = 0.0
            add_scaled(factors, x, 0, left, row)


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
