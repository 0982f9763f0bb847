"""Fast float32 pooling: inner loops over channels, which LLVM turns into vector code.

Every image is worked on by one thread, so results do not depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minicnn.kernels.reference import _window


@njit(parallel=True, cache=True, nogil=True)
def maxpool_forward(x, kernel, stride, pad, y, argmax):
    """As :func:`minicnn.kernels.reference.maxpool_forward`, float32."""
    _, H, W, _ = x.shape
    N, OH, OW, C = y.shape
    for n in prange(N):
        for i in range(OH):
            for j in range(OW):
                best, place = y[n, i, j], argmax[n, i, j]
                best[:] = -np.inf
                # the first place inside the image: what a window of nothing but -inf answers
                top, left = max(pad[0] - i * stride[0], 0), max(pad[1] - j * stride[1], 0)
                place[:] = top * kernel[1] + left
                for kh in range(kernel[0]):
                    h = i * stride[0] - pad[0] + kh
                    if h < 0 or h >= H:
                        continue
                    for kw in range(kernel[1]):
                        v = j * stride[1] - pad[1] + kw
                        if v < 0 or v >= W:
                            continue
                        pixel = x[n, h, v]
                        here = argmax.dtype.type(kh * kernel[1] + kw)
                        for c in range(C):
                            # selects instead of an if: they become vector instructions; the
                            # second comparison keeps a NaN that has won, as in the reference
                            wins = (not pixel[c] <= best[c]) & (best[c] == best[c])
                            best[c] = pixel[c] if wins else best[c]
                            place[c] = here if wins else place[c]


@njit(parallel=True, cache=True, nogil=True)
def maxpool_backward(dy, argmax, kernel, stride, pad, dx):
    """As :func:`minicnn.kernels.reference.maxpool_backward`, float32."""
    N, OH, OW, C = dy.shape
    _, H, W, _ = dx.shape
    for n in prange(N):
        dx[n] = 0.0
        for i in range(OH):
            for j in range(OW):
                gradient, place = dy[n, i, j], argmax[n, i, j]
                for kh in range(kernel[0]):
                    h = i * stride[0] - pad[0] + kh
                    if h < 0 or h >= H:
                        continue
                    for kw in range(kernel[1]):
                        v = j * stride[1] - pad[1] + kw
                        if v < 0 or v >= W:
                            continue
                        pixel = dx[n, h, v]
                        here = kh * kernel[1] + kw
                        for c in range(C):
                            pixel[c] += gradient[c] if place[c] == here else np.float32(0.0)


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
