"""The steps of an int8 network that compute, at the machine's speed.

All activations of an image lie in one array of bytes, the arena. A byte there is the integer plus
128 for an int8 tensor, the integer itself for a uint8 one: so products are of unsigned by signed
bytes, as ``int8_tiles`` wants them. ``minicnn.compress.plan`` decides what lies where, a step
(``int8_steps``) says it in numbers, and ``fast_int8_run`` runs the steps. The work of a step is
divided into items, which may run on several threads.

Each function does one item. Results are those of the loops in ``int8``, bit for bit.
"""

from __future__ import annotations

import numpy as np

from minicnn.kernels.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    divide_by_power_of_two,
    high_mul,
    leading_zeros,
    reciprocal,
    round_half_away,
    saturate,
)
from minicnn.kernels.int8_requantize import BLOCK, requantize_tile
from minicnn.kernels.int8_steps import CONV
from minicnn.kernels.int8_tiles import (
    WIDE,
    largest_tile,
    product_1x4,
    product_6x1,
    product_6x4,
    product_8x1,
    product_8x2,
    product_8x3,
)
from minicnn.kernels.jit import jit
from minicnn.kernels.panels import panel_width
from minicnn.kernels.vector_tiles import LANES, WIDEST


@jit
def panel_at(panel, vectors):
    """First vector and width of a panel, of ``vectors`` in all."""
    first, width = 0, panel_width(vectors)
    for _ in range(panel):
        first += width
        width = panel_width(vectors - first)
    return first, width


@jit
def product_item(step, item, arena, numbers, doubles, x_at, y_at, sums):
    """A block of pixels for a panel of channels.

    x_at, y_at, sums   scratch for a block's places and for a tile's sums
    """
    pixels = step.y_height * step.y_width
    vectors = (step.y_channels + LANES - 1) // LANES
    panels, blocks = (vectors + WIDEST - 1) // WIDEST, (pixels + step.block - 1) // step.block
    if step.panels_first:
        panel, block = divmod(item, blocks)
    else:
        block, panel = divmod(item, panels)
    count = min(step.block, pixels - block * step.block)
    _places(step, block * step.block, count, x_at, y_at)
    first, width = panel_at(panel, vectors)
    channel, n = first * LANES, step.numbers + first * BLOCK
    w = step.w + channel * step.runs * step.groups
    lanes = min(step.y_channels - channel - (width - 1) * LANES, LANES)
    p = np.int64(0)  # a literal 0 is one more type, and _product would be compiled for each
    while p < count:
        rows = _product(step, width, arena, x_at, numbers, w, n, p, count, sums)
        if step.kind == CONV:
            requantize_tile(sums, rows, width, numbers, n, arena, y_at, p, channel, lanes)
        else:
            channels = (width - 1) * LANES + lanes
            _dense_row(step, sums, doubles, channel, channels, arena, y_at[p] + channel)
        p += rows


# The arguments stand there plainly: of ``*(x, y)`` Numba makes a tuple and counts references, for
# every tile, in counters that all threads share.
@jit
def _product(step, width, x, x_at, numbers, w, n, p, count, sums):
    """The sums of a tile of ``width`` vectors from pixel p on; how many of its pixels there are."""
    taps, runs, groups = step.taps, step.runs, step.groups
    if width == 4 and count == 1:
        product_1x4(x, x_at, numbers, taps, runs, groups, w, n, p, count, sums)
        return 1
    if width == 4:
        product_6x4(x, x_at, numbers, taps, runs, groups, w, n, p, count, sums)
        return min(6, count - p)
    if WIDEST == 1:
        product_6x1(x, x_at, numbers, taps, runs, groups, w, n, p, count, sums)
        return min(6, count - p)
    if width == 3:
        product_8x3(x, x_at, numbers, taps, runs, groups, w, n, p, count, sums)
    elif width == 2:
        product_8x2(x, x_at, numbers, taps, runs, groups, w, n, p, count, sums)
    else:
        product_8x1(x, x_at, numbers, taps, runs, groups, w, n, p, count, sums)
    return min(8, count - p)


@jit
def _places(step, first, count, x_at, y_at):
    """Fill in where the windows of ``count`` pixels begin, and where the pixels are stored."""
    row, column = divmod(first, step.y_width)
    for p in range(count):
        x_at[p] = step.x + row * step.x_down + column * step.x_across
        y_at[p] = step.y + row * step.y_down + column * step.y_across
        column += 1
        if column == step.y_width:
            row, column = row + 1, 0


@jit
def _dense_row(step, sums, doubles, first, channels, arena, to):
    """Bytes of a pixel's sums by LiteRT 2.3's rule: times doubles, rounded once."""
    low, high = step.low - step.zero, step.high - step.zero
    for c in range(channels):
        scaled = sums[c] * doubles[step.table + first + c]
        scaled = round_half_away(saturate(scaled, float(INT32_MIN), float(INT32_MAX)))
        arena[to + c] = saturate(scaled, low, high) + step.zero


@jit
def _inside(i, stride, pad, kernel, size):
    """First and one past the last input of output i's window, along one axis."""
    start = i * stride - pad
    return max(start, 0), min(start + kernel, size)


@jit
def max_pool_item(step, item, arena):
    """A row of output."""
    top, bottom = _inside(item, step.stride_down, step.pad_down, step.kernel_down, step.x_height)
    C = step.y_channels
    for j in range(step.y_width):
        left, right = _inside(
            j, step.stride_across, step.pad_across, step.kernel_across, step.x_width
        )
        at = step.x + top * step.x_down + left * step.x_across
        to = step.y + item * step.y_down + j * step.y_across
        rows, columns, lanes = bottom - top, right - left, min(C, WIDE)
        for part in range(0, C, WIDE):
            c = max(min(part, C - WIDE), 0)  # the last ones overlap
            x = at + c
            largest_tile(arena, x, step.x_down, step.x_across, rows, columns, arena, to + c, lanes)


@jit
def average_pool_item(step, item, arena):
    """A row of output."""
    top, bottom = _inside(item, step.stride_down, step.pad_down, step.kernel_down, step.x_height)
    for j in range(step.y_width):
        left, right = _inside(
            j, step.stride_across, step.pad_across, step.kernel_across, step.x_width
        )
        count = (bottom - top) * (right - left)
        to = step.y + item * step.y_down + j * step.y_across
        for c in range(step.y_channels):
            total = -step.zero * count  # of the integers themselves, not of their bytes
            for h in range(top, bottom):
                for v in range(left, right):
                    total += np.int64(arena[step.x + h * step.x_down + v * step.x_across + c])
            size = (abs(total) + count // 2) // count
            mean = size if total > 0 else -size
            arena[to + c] = saturate(mean + step.zero, step.low, step.high)


@jit
def table_item(step, item, arena, numbers):
    """A row of output: each byte's entry of a table."""
    for j in range(step.y_width):
        x = step.x + item * step.x_down + j * step.x_across
        y = step.y + item * step.y_down + j * step.y_across
        for c in range(step.y_channels):
            arena[y + c] = numbers[step.table + arena[x + c]]


@jit
def softmax_item(step, item, arena, numbers):
    """A row of output, as ``int8.softmax``; exponentials come out of a table, [largest - x]."""
    exps = step.table
    for j in range(step.y_width):
        at = step.x + item * step.x_down + j * step.x_across
        to = step.y + item * step.y_down + j * step.y_across
        largest, total = np.int64(0), np.int64(0)
        for c in range(step.y_channels):
            largest = max(largest, np.int64(arena[at + c]))
        for c in range(step.y_channels):
            total += divide_by_power_of_two(np.int64(numbers[exps + largest - arena[at + c]]), 12)
        zeros = leading_zeros(total)
        scale = reciprocal((total << zeros) - (1 << 31))
        for c in range(step.y_channels):
            share = high_mul(scale, np.int64(numbers[exps + largest - arena[at + c]]))
            arena[to + c] = min(divide_by_power_of_two(share, 12 - zeros + 31 - 8), 255)
