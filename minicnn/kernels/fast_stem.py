"""Fast float32 convolution + ReLU + max-pooling in one, for the first layers of a network.

There the convolution's output is the largest array of all (111 x 111 x 64 floats an image in
SqueezeNet at 224 x 224), and nobody needs it but the pooling. So a few of its rows at a time are
made, pooled and forgotten. (Backward is a case of ``fast_conv_weights``.)
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.kernels import memory
from minicnn.kernels.fast_conv import panels_product
from minicnn.kernels.fast_pool import pool_row
from minicnn.kernels.jit import jit
from minicnn.kernels.panels import forward_panels, packed
from minicnn.kernels.sharing import first_items, next_item, workers
from minicnn.kernels.vector_tiles import LANES
from minicnn.kernels.windows import copy, inside, pixels, scratch_rows, windows

POOLED_ROWS = 4  # rows of the pooling's output that are made at a time


@jit(parallel=True)
def _forward(
    x, panels, w_shape, stride, pad, size, kernel, pool_stride, y, argmax, parts, scratch, band
):
    """``parts`` shares of every image; scratch for padded inputs, band for the convolution."""
    OC, KH, KW, C = w_shape
    OH, OW = size
    N, PH, PW, _ = y.shape
    H, W = x.shape[1:3]
    row = OW * OC
    top, bottom = inside(H, KH, stride[0], pad[0], OH)
    within = inside(W, KW, stride[1], pad[1], OW) == (0, OW)
    y_flat, argmax_flat = y.reshape(-1), argmax.reshape(-1)
    counters = first_items(N * parts, len(scratch))
    for unsigned in prange(len(scratch)):
        worker = np.int64(unsigned)
        conv = band[worker]
        room = len(conv) // OC
        x_at, y_to = np.empty(room, np.int64), np.empty(room, np.int64)
        taps, rows = np.empty(KH, np.int64), np.empty(KH, np.int64)
        pixels(y_to, 1, room, 0, 0, OC)
        pixels(rows, 1, KH, 0, 0, KW * C)
        whole = np.empty(room * (OC + LANES) if OC % LANES else 0, np.float32)
        item = next_item(counters, worker, N * parts)
        while item >= 0:
            n, part = divmod(item, parts)
            done = part * PH // parts * pool_stride[0]  # rows of the convolution made so far
            base = done  # the row that the band begins with
            for i in range(part * PH // parts, (part + 1) * PH // parts, POOLED_ROWS):
                i_end = min(i + POOLED_ROWS, (part + 1) * PH // parts)
                begin, end = i * pool_stride[0], (i_end - 1) * pool_stride[0] + kernel[0]
                # what the windows of the rows before have in common with these moves to the front
                kept = max(done - begin, 0)
                copy(conv[(begin - base) * row : (begin - base + kept) * row], conv[: kept * row])
                base = begin
                first = begin + kept
                direct = within and first >= top and end <= bottom
                flat, wide = windows(
                    *(x, n, (first, end - first, 0, OW), direct, (KH, KW), stride, pad),
                    *(scratch[worker], x_at),
                )
                pixels(taps, 1, KH, 0, 0, wide * C)
                panels_product(
                    *(OC, KH * KW * C, flat, x_at, taps, rows, KW * C, panels),
                    *(conv, y_to, kept * row, (end - first) * OW, True, conv, False, whole),
                )
                done = end
                for p in range(i, i_end):
                    pool_row(
                        *(conv, (p - i) * pool_stride[0] * row, OW, OC, (0, kernel[0])),
                        *(kernel[1], pool_stride[1], 0, y_flat, argmax_flat),
                        *((n * PH + p) * PW * OC, PW),
                    )
            item = next_item(counters, worker, N * parts)


def conv_pool_forward(x, w, b, stride, pad, size, kernel, pool_stride, y, argmax):
    """As :func:`minicnn.kernels.reference.conv_pool_forward`, float32 and uint8."""
    N, PH, _, _ = y.shape
    if y.size == 0:
        return
    panels = packed("forward", forward_panels, w, b)
    shares = workers(N * PH)
    parts = min(PH, -(-shares // N))
    rows = (POOLED_ROWS - 1) * pool_stride[0] + kernel[0]
    scratch = scratch_rows(shares, rows, size[1], w.shape[1:3], stride, x.shape[3])
    band = memory.empty((shares, rows * size[1] * w.shape[0]))
    _forward(
        *(x, panels, w.shape, stride, pad, size, kernel, pool_stride, y, argmax, parts),
        *(scratch, band),
    )
