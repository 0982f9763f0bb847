"""Fast float32 pooling.

Every image is worked on by one thread, so results do not depend on the number of threads. Max-pool
takes 16 channels at a time through the tiles of ``vector_pool``; the channels that are left over,
and windows of more than 256 pixels, whose places no byte holds, take plain loops.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minicnn.kernels import reference
from minicnn.kernels.reference import _window
from minicnn.kernels.vector_pool import window_gradient, window_max
from minicnn.kernels.vector_tiles import LANES


def maxpool_forward(x, kernel, stride, pad, y, argmax):
    """As :func:`minicnn.kernels.reference.maxpool_forward`, float32."""
    fast = argmax.dtype == np.uint8
    (_maxpool_forward if fast else reference.maxpool_forward)(x, kernel, stride, pad, y, argmax)


def maxpool_backward(dy, argmax, kernel, stride, pad, dx):
    """As :func:`minicnn.kernels.reference.maxpool_backward`, float32."""
    fast = argmax.dtype == np.uint8
    (_maxpool_backward if fast else reference.maxpool_backward)(dy, argmax, kernel, stride, pad, dx)


@njit(parallel=True, cache=True, nogil=True)
def _maxpool_forward(x, kernel, stride, pad, y, argmax):
    _, H, W, C = x.shape
    N, OH, OW, _ = y.shape
    x_flat, y_flat, argmax_flat = x.reshape(-1), y.reshape(-1), argmax.reshape(-1)
    for row in prange(N * OH):
        n, i = divmod(np.int64(row), OH)
        offsets = np.empty(kernel[0] * kernel[1], np.int64)
        places = np.empty(len(offsets), np.int64)
        for j in range(OW):
            count = 0
            for kh in range(kernel[0]):
                h = i * stride[0] - pad[0] + kh
                for kw in range(kernel[1]):
                    v = j * stride[1] - pad[1] + kw
                    if 0 <= h < H and 0 <= v < W:
                        offsets[count] = ((n * H + h) * W + v) * C
                        places[count] = kh * kernel[1] + kw
                        count += 1
            at = (row * OW + j) * C
            pool_pixel(x_flat, 0, offsets, places, count, C, y_flat, argmax_flat, at)


@njit(cache=True, nogil=True)
def pool_pixel(x, x_at, offsets, places, count, C, y, argmax, y_at):
    """The largest of ``count`` pixels, all C channels; arguments as those of window_max."""
    window_max(x, x_at, offsets, places, count, C // LANES, y, argmax, y_at)
    for c in range(C - C % LANES, C):
        best, place = x[x_at + offsets[0] + c], places[0]
        for t in range(1, count):
            value = x[x_at + offsets[t] + c]
            if best == best and not value <= best:
                best, place = value, places[t]
        y[y_at + c], argmax[y_at + c] = best, place


@njit(cache=True, nogil=True)
def gradient_pixel(dy, argmax, starts, places, count, C, dx, dx_at):
    """The gradient of one pixel, all C channels; arguments as those of window_gradient."""
    window_gradient(dy, argmax, starts, places, count, C // LANES, dx, dx_at)
    for c in range(C - C % LANES, C):
        total = np.float32(0.0)
        for t in range(count):
            if argmax[starts[t] + c] == places[t]:
                total += dy[starts[t] + c]
        dx[dx_at + c] = total


@njit(cache=True, nogil=True)
def covering(h, stride, pad, kernel, out):
    """First and one-past-last output whose window covers input ``h``, along one axis."""
    reach = h + pad
    return max((reach - kernel) // stride + 1, 0), min(reach // stride + 1, out)


@njit(cache=True, nogil=True)
def gradient_row(dy, argmax, n, h, W, kernel, stride, pad, out, C, starts, places, dx, dx_at):
    """Row h of image n's input gradient, W pixels, to dx[dx_at...]; all arrays flat.

    ``out`` is (OH, OW) of the pooling; starts and places are scratch, KH * KW each.
    """
    top, bottom = covering(h, stride[0], pad[0], kernel[0], out[0])
    left, right = 0, 0  # as ``covering`` would say for column v, but without its divisions
    for v in range(W):
        while left * stride[1] + kernel[1] <= v + pad[1]:
            left += 1
        while right < out[1] and right * stride[1] <= v + pad[1]:
            right += 1
        count = 0
        for i in range(top, bottom):
            kh = h + pad[0] - i * stride[0]
            for j in range(left, right):
                starts[count] = ((n * out[0] + i) * out[1] + j) * C
                places[count] = kh * kernel[1] + v + pad[1] - j * stride[1]
                count += 1
        gradient_pixel(dy, argmax, starts, places, count, C, dx, dx_at + v * C)


@njit(parallel=True, cache=True, nogil=True)
def _maxpool_backward(dy, argmax, kernel, stride, pad, dx):
    _, OH, OW, C = dy.shape
    N, H, W, _ = dx.shape
    dy_flat, argmax_flat, dx_flat = dy.reshape(-1), argmax.reshape(-1), dx.reshape(-1)
    for row in prange(N * H):
        n, h = divmod(np.int64(row), H)
        starts = np.empty(kernel[0] * kernel[1], np.int64)
        places = np.empty(len(starts), np.int64)
        gradient_row(
            *(dy_flat, argmax_flat, n, h, W, kernel, stride, pad, (OH, OW), C, starts, places),
            *(dx_flat, np.int64(row) * W * C),
        )


@njit(parallel=True, cache=True, nogil=True)
def avgpool_forward(x, kernel, stride, pad, y):
    """As :func:`minicnn.kernels.reference.avgpool_forward`, float32."""
    _, H, W, _ = x.shape
    N, OH, OW, C = y.shape
    for n in prange(N):
        for i in range(OH):
            top, bottom = _window(i, stride[0], pad[0], kernel[0], H)
            for j in range(OW):
                left, right = _window(j, stride[1], pad[1], kernel[1], W)
                mean = y[n, i, j]
                mean[:] = 0.0
                for h in range(top, bottom):
                    for v in range(left, right):
                        for c in range(C):
                            mean[c] += x[n, h, v, c]
                share = np.float32(1.0) / np.float32((bottom - top) * (right - left))
                for c in range(C):
                    mean[c] *= share


@njit(parallel=True, cache=True, nogil=True)
def avgpool_backward(dy, kernel, stride, pad, dx):
    """As :func:`minicnn.kernels.reference.avgpool_backward`, float32."""
    N, OH, OW, C = dy.shape
    _, H, W, _ = dx.shape
    for n in prange(N):
        dx[n] = 0.0
        for i in range(OH):
            top, bottom = _window(i, stride[0], pad[0], kernel[0], H)
            for j in range(OW):
                left, right = _window(j, stride[1], pad[1], kernel[1], W)
                share = np.float32(1.0) / np.float32((bottom - top) * (right - left))
                for h in range(top, bottom):
                    for v in range(left, right):
                        for c in range(C):
                            dx[n, h, v, c] += dy[n, i, j, c] * share
