"""Fast float32 convolution and its input gradient: a register tile swept over output pixels.

The tile is explained in ``vector_tiles``, its inputs' addresses in ``windows``, the order of the
weights in ``panels``. The input gradient is a convolution too: of dy, padded and (for a stride)
spread out with zeros, with the kernel turned by 180 degrees. So one driver serves both.

Results do not depend on the number of threads: every output is summed by one thread in one order.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import get_num_threads, prange

from minicnn.kernels.jit import jit
from minicnn.kernels.panels import (
    expands_gradient_panels,
    forward_panels,
    input_gradient_panels,
    packed,
    panel_width,
)
from minicnn.kernels.vector_tiles import (
    LANES,
    WIDEST,
    product_6x1,
    product_6x4,
    product_8x1,
    product_8x2,
    product_8x3,
)
from minicnn.kernels.windows import inside, pixels, scratch_rows, windows, workers

CHUNK = 512  # output pixels that are worked on at a time: their inputs fit the first caches


@jit
def product(width, x, x_at, taps, run, panels, where, y, y_to, channel, count, relu, mask, masked):
    """One panel of channels for ``count`` pixels, tile after tile; arguments as the tile's."""
    p = 0
    while p < count:
        if width == 4:
            product_6x4(
                x, x_at, taps, run, panels, where, y, y_to, channel, p, count, relu, mask, masked
            )
            p += 6
        elif width == 3:
            product_8x3(
                x, x_at, taps, run, panels, where, y, y_to, channel, p, count, relu, mask, masked
            )
            p += 8
        elif width == 2:
            product_8x2(
                x, x_at, taps, run, panels, where, y, y_to, channel, p, count, relu, mask, masked
            )
            p += 8
        elif WIDEST == 1:
            product_6x1(
                x, x_at, taps, run, panels, where, y, y_to, channel, p, count, relu, mask, masked
            )
            p += 6
        else:
            product_8x1(
                x, x_at, taps, run, panels, where, y, y_to, channel, p, count, relu, mask, masked
            )
            p += 8


@jit
def panels_product(
    OC, x, x_at, taps, run, panels, y, y_to, channel, count, relu, mask, masked, whole
):
    """All OC channels of ``count`` pixels, panel after panel.

    whole   scratch, used where OC is no multiple of a vector: (pixels * whole vectors,)
    """
    vectors = (OC + LANES - 1) // LANES
    ragged = OC % LANES != 0
    target, to, first, in_tile = y, y_to, channel, masked
    if ragged:
        # whole vectors go to the scratch, the real channels from there to y
        target, to = whole, np.arange(count) * (vectors * LANES)
        first, in_tile = 0, False
    done = 0
    while done < vectors:
        width, o = panel_width(vectors - done), done * LANES
        where = o * (len(taps) * run + 1)
        product(
            *(width, x, x_at, taps, run, panels, where, target, to, first + o, count),
            *(relu, mask, in_tile),
        )
        done += width
    if ragged:
        for p in range(count):
            for o in range(OC):
                k = y_to[p] + channel + o
                y[k] = whole[to[p] + o] if not masked or mask[k] > 0.0 else 0.0


@jit(parallel=True)
def _correlate(
    x, panels, places, run, kernel, stride, pad, spread, relu, mask, y, channel, OC, parts, scratch
):
    """y[..., channel:channel+OC] from x (N, H, W, C) and packed weights, part by part of an image.

    places    (runs, 3): run t of a window begins at its kernel row, kernel column and channel
    run       how many neighbouring values a run has
    mask      like y, or empty: results where it is not positive become zero
    scratch   one row a worker
    """
    H, W, C = x.shape[1:]
    N, OH, OW, across = y.shape
    rows = (OH + parts - 1) // parts
    shares = scratch.shape[0]
    y_flat, mask_flat, masked = y.reshape(-1), mask.reshape(-1), mask.size > 0
    top, bottom = inside(H, kernel[0], stride[0], pad[0], OH)
    left, right = inside(W, kernel[1], stride[1], pad[1], OW)
    if spread[0] > 1 or spread[1] > 1 or left == right:
        top, bottom = 0, 0
    for unsigned in prange(shares):
        worker = np.int64(unsigned)  # prange counts unsigned: mixed in, it turns integers to floats
        x_at, y_to = np.empty(rows * OW, np.int64), np.empty(rows * OW, np.int64)
        taps = np.empty(len(places), np.int64)
        vectors = (OC + LANES - 1) // LANES
        whole = np.empty(rows * OW * vectors * LANES if OC % LANES else 0, np.float32)
        for item in range(worker * N * parts // shares, (worker + 1) * N * parts // shares):
            n, part = divmod(item, parts)
            first, last = part * OH // parts, (part + 1) * OH // parts
            # rows whose windows lie inside the image, and around their middle a frame to be padded
            start = min(max(top, first), last)
            stop = max(min(bottom, last), start)
            for piece in range(5):
                i, i_end, j, j_end = start, stop, 0, OW
                if piece == 0:
                    i, i_end = first, start
                elif piece == 1:
                    j_end = left
                elif piece == 2:
                    j, j_end = left, right
                elif piece == 3:
                    j = right
                else:
                    i, i_end = stop, last
                if i == i_end or j == j_end:
                    continue
                rectangle, direct = (i, i_end - i, j, j_end - j), piece == 2
                flat, wide = windows(
                    x, n, rectangle, direct, kernel, stride, pad, spread, scratch[worker], x_at
                )
                for t in range(len(places)):
                    taps[t] = (places[t, 0] * wide + places[t, 1]) * C + places[t, 2]
                corner = ((n * OH + i) * OW + j) * across
                pixels(y_to, i_end - i, j_end - j, corner, OW * across, across)
                count = (i_end - i) * (j_end - j)
                panels_product(
                    *(OC, flat, x_at, taps, run, panels, y_flat, y_to, channel, count),
                    *(relu, mask_flat, masked, whole),
                )


@cache
def _places(KH):
    """Kernel rows as runs."""
    places = np.zeros((KH, 3), np.int64)
    places[:, 0] = np.arange(KH)
    return places


@cache
def _expand_places(KH, KW, OC):
    """The pixels of a kernel in the second half of a pixel's channels, its middle in the first."""
    pixels = [(kh, kw, OC) for kh in range(KH) for kw in range(KW)]
    return np.array([*pixels, (KH // 2, KW // 2, 0)])


@cache
def _parts(N, OH, OW, threads):
    """Parts of an image: of CHUNK pixels or less, and a fair share for every thread."""
    parts = -(-OH // max(1, CHUNK // OW))
    while N * parts % threads and parts < min(OH, 2 * threads):
        parts += 1
    return parts


def _run(x, panels, places, run, kernel, stride, pad, spread, relu, mask, y, channel, OC):
    N, OH, OW, _ = y.shape
    if N == 0:
        return
    parts = _parts(N, OH, OW, get_num_threads())
    rows = -(-OH // parts)
    scratch = scratch_rows(workers(N * parts), rows, OW, kernel, stride, x.shape[3])
    _correlate(
        *(x, panels, places, run, kernel, stride, pad, spread, relu, mask, y, channel, OC, parts),
        scratch,
    )


_NO_MASK = np.empty((0, 0, 0, 0), np.float32)


def conv2d_forward(x, w, b, stride, pad, relu, y, channel):
    """As :func:`minicnn.kernels.reference.conv2d_forward`, float32."""
    OC, KH, KW, C = w.shape
    panels = packed("forward", forward_panels, w, b)
    _run(
        *(x, panels, _places(KH), KW * C, (KH, KW), stride, pad, (1, 1)),
        *(relu, _NO_MASK, y, channel, OC),
    )


def conv2d_backward_input(dy, w, stride, pad, mask, dx):
    """As :func:`minicnn.kernels.reference.conv2d_backward_input`, float32."""
    OC, KH, KW, C = w.shape
    panels = packed("input gradient", input_gradient_panels, w)
    outer = KH - 1 - pad[0], KW - 1 - pad[1]
    _run(
        *(dy, panels, _places(KH), KW * OC, (KH, KW), (1, 1), outer, stride),
        *(False, mask, dx, 0, C),
    )


def expands_backward_input(dy, w1, w3, mask, dx):
    """As :func:`minicnn.kernels.reference.expands_backward_input`, float32.

    One product of ten runs: the nine pixels of the 3x3's half of dy, then the 1x1's half.
    """
    OC, KH, KW, C = w3.shape
    panels = packed("expands", expands_gradient_panels, w1, w3)
    pad = KH // 2, KW // 2
    _run(
        *(dy, panels, _expand_places(KH, KW, OC), OC, (KH, KW), (1, 1), pad, (1, 1)),
        *(False, mask, dx, 0, C),
    )
