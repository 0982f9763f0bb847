"""Fast float32 weight gradient of a convolution: the weights tile swept over blocks of pixels.

Each block is summed apart and the blocks then in order, so results do not depend on the number of
threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.kernels import memory
from minicnn.kernels.fast_pool import gradient_row
from minicnn.kernels.jit import jit
from minicnn.kernels.sharing import first_items, next_item, workers
from minicnn.kernels.vector_tiles import (
    LANES,
    WIDEST,
    copy_vector,
    weights_1x1,
    weights_1x2,
    weights_1x3,
    weights_1x4,
    weights_6x1,
    weights_8x1,
    weights_8x2,
    weights_8x3,
)
from minicnn.kernels.windows import clear, copy, inside, pixels, scratch_rows, windows

BLOCKS = 8  # at most so many blocks of pixels are summed apart, then in order
PIXELS = 256  # at least so many has a block
CHANNELS = 64  # so many output channels at a time
CHUNK = 128  # pixels that are summed over at a time: their inputs and gradients fit the first cache


@jit
def _columns(left):
    """How many vectors of inputs the next tiles are wide, with ``left`` vectors to go."""
    return min(3 if left % 3 == 0 else 2, left, WIDEST)


@jit
def _weight_sums(width, x, x_at, shift, dy, dy_at, step, OC, d, d_at, K, count):
    """Gradients of OC output channels x ``width`` vectors of inputs, summed over pixels."""
    o = 0
    while o < OC:
        left, dy_o, d_o = OC - o, dy_at + o, d_at + o * K
        if width == 3:
            if left >= 8:
                weights_8x3(x, x_at, shift, dy, dy_o, step, d, d_o, K, count)
                o += 8
            else:
                weights_1x3(x, x_at, shift, dy, dy_o, step, d, d_o, K, count)
                o += 1
        elif width == 2:
            if left >= 8:
                weights_8x2(x, x_at, shift, dy, dy_o, step, d, d_o, K, count)
                o += 8
            else:
                weights_1x2(x, x_at, shift, dy, dy_o, step, d, d_o, K, count)
                o += 1
        elif WIDEST > 1 and left >= 8:
            weights_8x1(x, x_at, shift, dy, dy_o, step, d, d_o, K, count)
            o += 8
        elif left >= 6:
            weights_6x1(x, x_at, shift, dy, dy_o, step, d, d_o, K, count)
            o += 6
        else:
            weights_1x1(x, x_at, shift, dy, dy_o, step, d, d_o, K, count)
            o += 1


@jit
def _gather(x, x_at, count, KH, run, down, rounded, scratch):
    """Each pixel's window as one row of ``rounded`` values, for runs that are no whole vectors.

    Whole vectors are copied. What they hold beyond the run is overwritten by the next run; what is
    left after the last one gives gradients of weights that do not exist, which nobody reads.
    """
    for p in range(count):
        to = p * rounded
        for kh in range(KH):
            start = x_at[p] + kh * down
            if start + run + LANES <= x.size:
                for k in range(0, run, LANES):
                    copy_vector(x, start + k, scratch, to + k)
            else:
                copy(x[start : start + run], scratch[to : to + run])
            to += run
        x_at[p] = p * rounded


@jit
def _bias_sums(dy, dy_at, step, OC, count, at, db):
    """db += dy summed over ``count`` pixels; ``at`` is scratch.

    The weights tile does it too: a bias is a weight whose input is always one, here in dy's place.
    """
    one = np.ones(1, np.float32)
    pixels(at, 1, count, dy_at, 0, step)
    o = 0
    while o + LANES <= OC:
        if WIDEST == 4 and o + 4 * LANES <= OC:
            weights_1x4(dy, at, o, one, 0, 0, db, o, 0, count)
            o += 4 * LANES
        else:
            weights_1x1(dy, at, o, one, 0, 0, db, o, 0, count)
            o += LANES
    while o < OC:
        for p in range(count):
            db[o] += dy[at[p] + o]
        o += 1


@jit
def _sum_chunk(flat, at, down, KH, run, gathered, dy, dy_at, step, OC, count, d, db):
    """Add the gradients that ``count`` pixels give to d (OC, K, flat; see _weight_blocks) and db.

    flat, at   inputs and windows (used up); ``down`` leads from one of a window's runs to the next
    gathered   scratch for runs that are no whole vectors, else empty
    """
    if gathered.size:
        rounded = d.size // OC
        _gather(flat, at, count, KH, run, down, rounded, gathered)
        flat, KH, run, down = gathered, 1, rounded, 0
    K = KH * run
    for kh in range(KH):
        k = 0
        while k < run:
            width = _columns((run - k) // LANES)
            to = kh * run + k
            _weight_sums(width, flat, at, kh * down + k, dy, dy_at, step, OC, d, to, K, count)
            k += width * LANES
    _bias_sums(dy, dy_at, step, OC, count, at, db)


@jit
def _share(item, items, blocks, count, OC):
    """Item number ``item``'s part of a sum over ``count`` rows: (block, rows, output channels).

    Returns (block, first row, one past the last, first output channel, one past the last).
    """
    groups = items // blocks
    block, group = divmod(item, groups)
    rows = block * count // blocks, (block + 1) * count // blocks
    return block, rows[0], rows[1], group * OC // groups, (group + 1) * OC // groups


@jit(parallel=True)
def _weight_blocks(
    x, dy, channel, argmax, pooling, geometry, rows, items, scratch, band, gathered, d, db
):
    """d (blocks, OC, K or that rounded up to whole vectors), db (blocks, OC): sums over rows.

    geometry          (kernel, stride, pad, size) of the convolution
    argmax, pooling   empty, or dy is the gradient of a max-pooling (kernel, stride) on top of it
    scratch, band     a row a worker: for padded inputs; for rows of the pooling's gradient
    """
    kernel, stride, pad, (OH, OW) = geometry
    N, H, W, C = x.shape
    blocks, OC, K = d.shape
    pool, pool_stride = pooling
    _, PH, PW, across = dy.shape
    shares, pooled = len(scratch), argmax.size > 0
    dy_flat, argmax_flat = dy.reshape(-1), argmax.reshape(-1)
    direct = inside(H, kernel[0], stride[0], pad[0], OH) == (0, OH)
    direct = direct and inside(W, kernel[1], stride[1], pad[1], OW) == (0, OW)
    counters = first_items(items, shares)
    for unsigned in prange(shares):
        worker = np.int64(unsigned)
        at = np.empty(rows * OW, np.int64)
        item = next_item(counters, worker, items)
        while item >= 0:
            block, row, last, o, o_end = _share(item, items, blocks, N * OH, OC)
            sums = d[block].reshape(-1)[o * K : o_end * K]
            clear(sums)
            clear(db[block, o:o_end])
            while row < last:
                n, top = divmod(row, OH)
                here = min(rows, OH - top, last - row)
                gradient, start = dy_flat, row * OW * across + channel
                if pooled:
                    gradient, start = band[worker], 0
                    for i in range(here):
                        gradient_row(
                            *(dy_flat, argmax_flat, n, top + i, OW, pool, pool_stride, (0, 0)),
                            *((PH, PW), OC, gradient, i * OW * OC),
                        )
                flat, wide = windows(
                    *(x, n, (top, here, 0, OW), direct, kernel, stride, pad),
                    *(scratch[worker], at),
                )
                _sum_chunk(
                    *(flat, at, wide * C, kernel[0], kernel[1] * C, gathered[worker]),
                    *(gradient, start + o, across, o_end - o, here * OW, sums, db[block, o:o_end]),
                )
                row += here
            item = next_item(counters, worker, items)


@jit(parallel=True)
def _add_up(d, db, adding, dw, total):
    """dw (OC, K) and total (OC,) written, or added to: the blocks' sums in order."""
    blocks, OC, _ = d.shape
    K = dw.shape[1]
    for unsigned in prange(OC):
        o = np.int64(unsigned)
        row = dw[o]
        if not adding:
            clear(row)
            total[o] = 0.0
        for block in range(blocks):
            for k in range(K):
                row[k] += d[block, o, k]
            total[o] += db[block, o]


def _block_sums(dw, pixels, chunk):
    """How the sum over ``pixels`` output pixels is split: (items, d, db, gathered).

    Blocks of pixels are summed apart, and so are groups of output channels: ``items`` pairs of the
    two in all. They depend on the work, not on the threads, and a block is worth its memory.
    gathered is a row a worker to gather ``chunk`` pixels' windows in.
    """
    OC, KH, KW, C = dw.shape
    blocks, K = max(1, min(BLOCKS, pixels // PIXELS)), KH * KW * C
    items = blocks * max(1, OC // CHANNELS)
    whole_vectors = KW * C % LANES == 0
    rounded = K if whole_vectors else -(-K // LANES) * LANES
    room = 0 if whole_vectors else chunk * rounded + LANES
    d, db = memory.empty((blocks, OC, rounded)), memory.empty((blocks, OC))
    return items, d, db, memory.empty((workers(items), room))


_NO_ARGMAX = np.empty((0, 0, 0, 0), np.uint8)


def conv2d_backward_weights(x, dy, channel, stride, pad, adding, dw, db):
    """As :func:`minicnn.kernels.reference.conv2d_backward_weights`, float32."""
    geometry = dw.shape[1:3], stride, pad, dy.shape[1:3]
    _run(x, dy, channel, _NO_ARGMAX, ((1, 1), (1, 1)), geometry, adding, dw, db)


def conv_pool_backward_weights(
    x, dy, argmax, stride, pad, size, kernel, pool_stride, adding, dw, db
):
    """As :func:`minicnn.kernels.reference.conv_pool_backward_weights`, float32 and uint8.

    A few rows of the convolution's gradient at a time are made and summed up: there is no more of
    it.
    """
    geometry = dw.shape[1:3], stride, pad, size
    _run(x, dy, 0, argmax, (kernel, pool_stride), geometry, adding, dw, db)


def _run(x, dy, channel, argmax, pooling, geometry, adding, dw, db):
    OC, KH, KW, C = dw.shape
    _, stride, _, (OH, OW) = geometry
    rows = max(1, CHUNK // OW)
    items, d, bias, gathered = _block_sums(dw, len(x) * OH * OW, rows * OW)
    shares = len(gathered)
    scratch = scratch_rows(shares, rows, OW, (KH, KW), stride, C)
    band = memory.empty((shares, rows * OW * OC if argmax.size else 0))
    _weight_blocks(
        *(x, dy, channel, argmax, pooling, geometry, rows, items),
        *(scratch, band, gathered, d, bias),
    )
    _add_up(d, bias, adding, dw.reshape(OC, -1), db)
