"""Fast float32 convolution and its input gradient: a register tile swept over output pixels.

The tile is explained in ``vector_tiles``, its inputs' addresses in ``windows``, the order of the
weights in ``panels``. The input gradient is a convolution too: of dy (for a stride spread out with
zeros) with the kernel turned by 180 degrees. So one driver serves both.

Results do not depend on the number of threads: every output is summed by one thread in one order.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import get_num_threads, prange

from minicnn.kernels import memory
from minicnn.kernels.jit import jit
from minicnn.kernels.panels import (
    expands_gradient_panels,
    forward_panels,
    input_gradient_panels,
    packed,
    panel_width,
)
from minicnn.kernels.sharing import first_items, next_item
from minicnn.kernels.vector_tiles import (
    LANES,
    WIDEST,
    product_6x1,
    product_6x4,
    product_8x1,
    product_8x2,
    product_8x3,
)
from minicnn.kernels.windows import inside, pixels

CHUNK = 512  # output pixels that are worked on at a time: their inputs fit the first caches
WINDOW = 2048  # input values of a window that are: their weights do


@jit
def product(
    width, x, at, taps, rows, run, panels, where, y, to, channel, count, adding, relu, mask, masked
):
    """One panel of channels for ``count`` pixels, tile after tile; arguments as the tile's."""
    p = 0
    while p < count:
        if width == 4:
            product_6x4(
                *(x, at, taps, rows, run, panels, where, y, to, channel, p, count),
                *(adding, relu, mask, masked),
            )
            p += 6
        elif width == 3:
            product_8x3(
                *(x, at, taps, rows, run, panels, where, y, to, channel, p, count),
                *(adding, relu, mask, masked),
            )
            p += 8
        elif width == 2:
            product_8x2(
                *(x, at, taps, rows, run, panels, where, y, to, channel, p, count),
                *(adding, relu, mask, masked),
            )
            p += 8
        elif WIDEST == 1:
            product_6x1(
                *(x, at, taps, rows, run, panels, where, y, to, channel, p, count),
                *(adding, relu, mask, masked),
            )
            p += 6
        else:
            product_8x1(
                *(x, at, taps, rows, run, panels, where, y, to, channel, p, count),
                *(adding, relu, mask, masked),
            )
            p += 8


@jit
def panels_product(
    OC, K, x, x_at, taps, rows, run, panels, y, y_to, channel, count, relu, mask, masked, whole
):
    """All OC channels of ``count`` pixels, panel after panel of K rows.

    whole   scratch, used where OC is no multiple of a vector: (pixels * whole vectors,)
    """
    vectors = (OC + LANES - 1) // LANES
    ragged = OC % LANES != 0
    target, to, first, in_tile = y, y_to, channel, masked
    if ragged:
        # whole vectors go to the scratch, the real channels from there to y
        target, to = whole, np.arange(count) * (vectors * LANES)
        first, in_tile = 0, False
    runs = len(taps)
    together = max(1, WINDOW // run)  # runs whose weights stay in the second cache
    done = 0
    while done < vectors:
        width, o = panel_width(vectors - done), done * LANES
        for t in range(0, max(runs, 1), together):
            last = t + together >= runs
            product(
                *(width, x, x_at, taps[t : t + together], rows[t : t + together], run, panels),
                *(o * (K + 1), target, to, first + o, count),
                *(t > 0, relu & last, mask, in_tile & last),
            )
        done += width
    if ragged:
        for p in range(count):
            for o in range(OC):
                k = y_to[p] + channel + o
                y[k] = whole[to[p] + o] if not masked or mask[k] > 0.0 else 0.0


@jit
def trimmed(places, span, width, top, bottom, left, right, wide, C, taps, rows):
    """Runs of a window of which rows top... and columns left... lie in the image: (count, length).

    places, span   run t begins at kernel row, kernel column and channel places[t], and reaches over
                   ``span`` columns of ``width`` values each
    wide, C        pixels in a row of the input, values in a pixel
    taps, rows     filled: from the window's first pixel in the image to the run; its row of weights
    """
    count, length = 0, 0
    for t in range(len(places)):
        kh, kw, channel = places[t]
        first, last = max(kw, left), min(kw + span, right)
        if top <= kh < bottom and first < last:
            taps[count] = ((kh - top) * wide + first - left) * C + channel
            rows[count] = (t * span + first - kw) * width
            count, length = count + 1, (last - first) * width
    return count, length


@jit
def segment(i, last, first_inside, last_inside, kernel, stride, pad, size):
    """Outputs from i on, along one axis, whose windows reach over the border alike.

    Returns (one past the last of them, first and one past the last kernel row in the image).
    """
    if first_inside <= i < last_inside:
        return min(last, last_inside), 0, kernel
    start = i * stride - pad
    return i + 1, min(max(-start, 0), kernel), max(min(size - start, kernel), 0)


@jit(parallel=True)
def _correlate(
    x, panels, places, span, width, kernel, stride, pad, relu, mask, y, channel, OC,
    together, parts, shares
):  # fmt: skip
    """y[..., channel:channel+OC] from x (N, H, W, C) and packed weights, part by part of an image.

    Where windows reach over the border, only the part of the kernel that lies in the image is
    multiplied: nothing is padded.

    places, span, width   as for ``trimmed``
    mask                  like y, or empty: results where it is not positive become zero
    together, parts       images that are worked on together, parts of each
    shares                how many loops the work is dealt out to
    """
    _, H, W, C = x.shape
    N, OH, OW, across = y.shape
    K = len(places) * span * width
    most = together * ((OH + parts - 1) // parts) * OW  # pixels at a time
    items = (N + together - 1) // together * parts
    x_flat, y_flat = x.reshape(-1), y.reshape(-1)
    mask_flat, masked = mask.reshape(-1), mask.size > 0
    top, bottom = inside(H, kernel[0], stride[0], pad[0], OH)
    left, right = inside(W, kernel[1], stride[1], pad[1], OW)
    counters = first_items(items, shares)
    for unsigned in prange(shares):
        worker = np.int64(unsigned)  # prange counts unsigned: mixed in, it turns integers to floats
        x_at, y_to = np.empty(most, np.int64), np.empty(most, np.int64)
        taps, rows = np.empty(len(places), np.int64), np.empty(len(places), np.int64)
        room = (OC + LANES - 1) // LANES * LANES if OC % LANES else 0
        whole = np.empty(most * room, np.float32)
        item = next_item(counters, worker, items)
        while item >= 0:
            group, part = divmod(item, parts)
            n, n_end = group * together, min((group + 1) * together, N)
            i, last = part * OH // parts, (part + 1) * OH // parts
            while i < last:
                i_end, kh, kh_end = segment(i, last, top, bottom, kernel[0], stride[0], pad[0], H)
                j = 0
                while j < OW:
                    j_end, kw, kw_end = segment(j, OW, left, right, kernel[1], stride[1], pad[1], W)
                    runs, run = trimmed(
                        places, span, width, kh, kh_end, kw, kw_end, W, C, taps, rows
                    )
                    first = i * stride[0] - pad[0] + kh, j * stride[1] - pad[1] + kw
                    count = (i_end - i) * (j_end - j)
                    for m in range(n, n_end):
                        done = (m - n) * count
                        corner = ((m * H + first[0]) * W + first[1]) * C
                        down, along = stride[0] * W * C, stride[1] * C
                        pixels(x_at[done:], i_end - i, j_end - j, corner, down, along)
                        corner = ((m * OH + i) * OW + j) * across
                        pixels(y_to[done:], i_end - i, j_end - j, corner, OW * across, across)
                    panels_product(
                        *(OC, K, x_flat, x_at, taps[:runs], rows[:runs], max(run, 1), panels),
                        *(y_flat, y_to, channel, (n_end - n) * count),
                        *(relu, mask_flat, masked, whole),
                    )
                    j = j_end
                i = i_end
            item = next_item(counters, worker, items)


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
def _portions(N, OH, OW, threads):
    """(images together, parts of each): CHUNK pixels or less, and a fair share for every thread.

    Pixels at the border are few of a kind in one image: several images fill a tile with them.
    """
    together = max(1, min(N // threads, 4))
    groups, parts = -(-N // together), -(-OH // max(1, CHUNK // (OW * together)))
    while groups * parts % threads and parts < min(OH, 2 * threads):
        parts += 1
    return together, parts, min(threads, groups * parts)


def _run(x, panels, places, span, width, kernel, stride, pad, relu, mask, y, channel, OC):
    N, OH, OW, _ = y.shape
    if N:
        portions = _portions(N, OH, OW, get_num_threads())
        _correlate(
            *(x, panels, places, span, width, kernel, stride, pad, relu, mask, y, channel, OC),
            *portions,
        )


_NO_MASK = np.empty((0, 0, 0, 0), np.float32)


def conv2d_forward(x, w, b, stride, pad, relu, y, channel):
    """As :func:`minicnn.kernels.reference.conv2d_forward`, float32."""
    OC, KH, KW, C = w.shape
    panels = packed("forward", forward_panels, w, b)
    places = _places(KH)
    _run(x, panels, places, KW, C, (KH, KW), stride, pad, relu, _NO_MASK, y, channel, OC)


def conv2d_backward_input(dy, w, stride, pad, mask, dx):
    """As :func:`minicnn.kernels.reference.conv2d_backward_input`, float32."""
    OC, KH, KW, C = w.shape
    panels = packed("input gradient", input_gradient_panels, w)
    if stride != (1, 1):
        dy = _spread(dy, stride)
    pad = KH - 1 - pad[0], KW - 1 - pad[1]
    _run(dy, panels, _places(KH), KW, OC, (KH, KW), (1, 1), pad, False, mask, dx, 0, C)


def _spread(dy, stride):
    """dy with stride - 1 zeros between neighbouring pixels."""
    N, OH, OW, OC = dy.shape
    wide = memory.empty((N, (OH - 1) * stride[0] + 1, (OW - 1) * stride[1] + 1, OC))
    wide[...] = 0
    wide[:, :: stride[0], :: stride[1]] = dy
    return wide


def expands_backward_input(dy, w1, w3, mask, dx):
    """As :func:`minicnn.kernels.reference.expands_backward_input`, float32.

    One product of ten runs: the nine pixels of the 3x3's half of dy, then the 1x1's half.
    """
    OC, KH, KW, C = w3.shape
    panels = packed("expands", expands_gradient_panels, w1, w3)
    places, pad = _expand_places(KH, KW, OC), (KH // 2, KW // 2)
    _run(dy, panels, places, 1, OC, (KH, KW), (1, 1), pad, False, mask, dx, 0, C)
