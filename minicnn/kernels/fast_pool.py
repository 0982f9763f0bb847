"""Fast float32 pooling.

Every image is worked on by one thread, so results do not depend on the number of threads. Max-pool
takes 16 channels at a time through the tiles of ``vector_pool``; the channels that are left over,
and windows of more than 256 pixels, whose places no byte holds, take plain loops.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.kernels import reference
from minicnn.kernels.jit import jit
from minicnn.kernels.reference import _window
from minicnn.kernels.vector_pool import window_gradient, window_max
from minicnn.kernels.vector_tiles import LANES
from minicnn.kernels.windows import clear


def maxpool_forward(x, kernel, stride, pad, y, argmax):
    """As :func:`minicnn.kernels.reference.maxpool_forward`, float32."""
    fast = argmax.dtype == np.uint8
    (_maxpool_forward if fast else reference.maxpool_forward)(x, kernel, stride, pad, y, argmax)


def maxpool_backward(dy, argmax, kernel, stride, pad, dx):
    """As :func:`minicnn.kernels.reference.maxpool_backward`, float32."""
    fast = argmax.dtype == np.uint8
    (_maxpool_backward if fast else reference.maxpool_backward)(dy, argmax, kernel, stride, pad, dx)


@jit(parallel=True)
def _maxpool_forward(x, kernel, stride, pad, y, argmax):
    _, H, W, C = x.shape
    N, OH, OW, _ = y.shape
    x_flat, y_flat, argmax_flat = x.reshape(-1), y.reshape(-1), argmax.reshape(-1)
    for unsigned in prange(N * OH):
        row = np.int64(unsigned)
        n, i = divmod(row, OH)
        top = i * stride[0] - pad[0]
        pool_row(
            *(x_flat, (n * H + top) * W * C, W, C, (max(-top, 0), min(H - top, kernel[0]))),
            *(kernel[1], stride[1], pad[1], y_flat, argmax_flat, row * OW * C, OW),
        )


@jit
def pool_row(x, x_at, W, C, rows, KW, stride, pad, y, argmax, y_at, OW):
    """One row of output, to y[y_at...] and argmax[y_at...]; all arrays flat.

    x_at    where the windows' first row begins, which may be one of padding
    rows    (first, one past the last) kh that lie in the image
    """
    for j in range(OW):
        left = j * stride - pad
        at, to = x_at + left * C, y_at + j * C
        columns = max(-left, 0), min(W - left, KW)
        window_max(x, at, W * C, C, rows, columns, KW, C // LANES, y, argmax, to)
        for c in range(C - C % LANES, C):
            best, place = np.float32(-np.inf), rows[0] * KW + columns[0]
            for kh in range(rows[0], rows[1]):
                for kw in range(columns[0], columns[1]):
                    value = x[at + (kh * W + kw) * C + c]
                    if best == best and not value <= best:
                        best, place = value, kh * KW + kw
            y[to + c], argmax[to + c] = best, place


@jit
def gradient_row(dy, argmax, n, h, W, kernel, stride, pad, out, C, dx, dx_at):
    """Row h of image n's input gradient, W pixels, to dx[dx_at...]; all arrays flat.

    ``out`` is (OH, OW) of the pooling.
    """
    h, wide = h + pad[0], out[1] * C
    # the windows that cover the row, and below the column: first, one past the last
    rows = max((h - kernel[0]) // stride[0] + 1, 0), min(h // stride[0] + 1, out[0])
    left, right, start = 0, 0, n * out[0] * wide
    for v in range(pad[1], pad[1] + W):
        while left * stride[1] + kernel[1] <= v:
            left += 1
        while right < out[1] and right * stride[1] <= v:
            right += 1
        columns, to = (left, right), dx_at + (v - pad[1]) * C
        place, steps = h * kernel[1] + v, (stride[0] * kernel[1], stride[1])
        window_gradient(dy, argmax, start, wide, C, rows, columns, place, steps, C // LANES, dx, to)
        for c in range(C - C % LANES, C):
            total = np.float32(0.0)
            for i in range(rows[0], rows[1]):
                for j in range(left, right):
                    at = start + i * wide + j * C + c
                    if argmax[at] == place - i * steps[0] - j * steps[1]:
                        total += dy[at]
            dx[to + c] = total


@jit(parallel=True)
def _maxpool_backward(dy, argmax, kernel, stride, pad, dx):
    _, OH, OW, C = dy.shape
    N, H, W, _ = dx.shape
    dy_flat, argmax_flat, dx_flat = dy.reshape(-1), argmax.reshape(-1), dx.reshape(-1)
    for unsigned in prange(N * H):
        row = np.int64(unsigned)
        n, h = divmod(row, H)
        gradient_row(
            *(dy_flat, argmax_flat, n, h, W, kernel, stride, pad, (OH, OW), C),
            *(dx_flat, row * W * C),
        )


@jit(parallel=True)
def avgpool_forward(x, kernel, stride, pad, y):
    """As :func:`minicnn.kernels.reference.avgpool_forward`, float32."""
    H, OH = x.shape[1], y.shape[1]
    for unsigned in prange(len(y) * OH):
        n, i = divmod(np.int64(unsigned), OH)
        top, bottom = _window(i, stride[0], pad[0], kernel[0], H)
        _mean_row(x[n], top, bottom, kernel[1], stride[1], pad[1], y[n, i])


@jit
def _mean_row(x, top, bottom, KW, stride, pad, y):
    """Row of means y (OW, C) of the rows top... of an image x (H, W, C)."""
    for j in range(len(y)):
        left, right = _window(j, stride, pad, KW, x.shape[1])
        mean = y[j]
        clear(mean)
        for h in range(top, bottom):
            for v in range(left, right):
                pixel = x[h, v]
                for c in range(len(mean)):
                    mean[c] += pixel[c]
        share = np.float32(1.0) / np.float32((bottom - top) * (right - left))
        for c in range(len(mean)):
            mean[c] *= share


@jit(parallel=True)
def avgpool_backward(dy, kernel, stride, pad, dx):
    """As :func:`minicnn.kernels.reference.avgpool_backward`, float32."""
    for n in prange(len(dy)):
        _spread_means(dy[n], kernel, stride, pad, dx[n])


@jit
def _spread_means(dy, kernel, stride, pad, dx):
    """The gradient dx (H, W, C) of one image."""
    H, W, _ = dx.shape
    clear(dx.reshape(-1))
    for i in range(dy.shape[0]):
        top, bottom = _window(i, stride[0], pad[0], kernel[0], H)
        for j in range(dy.shape[1]):
            left, right = _window(j, stride[1], pad[1], kernel[1], W)
            gradient = dy[i, j]
            share = np.float32(1.0) / np.float32((bottom - top) * (right - left))
            for h in range(top, bottom):
                for v in range(left, right):
                    pixel = dx[h, v]
                    for c in range(len(pixel)):
                        pixel[c] += gradient[c] * share
