"""Steps of an int8 network that only move values: into the arena, within it, and out of it.

Bytes come and go as they are, but for the highest bit of int8 (``fast_int8`` says why); floats are
quantized on the way in and dequantized on the way out.
"""

from __future__ import annotations

import numpy as np

from minicnn.kernels import int8
from minicnn.kernels.int8_steps import DEQUANTIZE, INPUT, OUTPUT, QUANTIZE
from minicnn.kernels.jit import jit


@jit
def move_item(step, item, image, images, arena, outside):
    """An item of a step that copies values, within the arena or from and to the outside."""
    x_bytes, x_floats, y_bytes, y_floats = outside
    x_image, y_image = image * step.size, images * step.offset + image * step.size
    here = np.int64(0)  # a literal 0 is one more type, and _copy_item would be compiled for each
    x, x_at, y, y_at = arena, here, arena, here
    if step.kind == QUANTIZE:
        _quantize_item(step, item, x_floats, x_image // 4, arena)
    elif step.kind == DEQUANTIZE:
        _dequantize_item(step, item, arena, y_floats, y_image // 4)
    else:
        if step.kind == INPUT:
            x, x_at = x_bytes, x_image
        if step.kind == OUTPUT:
            y, y_at = y_bytes, y_image
        _copy_item(step, item, x, x_at, y, y_at)


@jit
def _copy_item(step, item, x, x_at, y, y_at):
    """A part of x (height, width, channels) to y, which may divide the same values otherwise.

    x_at, y_at   from the step's x and y to the arrays' own: an image of many
    """
    wide, deep, y_wide, y_deep = step.x_width, step.x_channels, step.y_width, step.y_channels
    total = step.x_height * wide * deep
    done, total = total * item // step.items, total * (item + 1) // step.items
    while done < total:
        row, rest = divmod(done, wide * deep)
        column, channel = divmod(rest, deep)
        y_row, y_rest = divmod(done, y_wide * y_deep)
        y_column, y_channel = divmod(y_rest, y_deep)
        count = min(deep - channel, y_deep - y_channel, total - done)
        start = step.x + x_at + row * step.x_down + column * step.x_across + channel
        to = step.y + y_at + y_row * step.y_down + y_column * step.y_across + y_channel
        _copy(x[start : start + count], y[to : to + count], np.uint8(step.flip))
        done += count


@jit
def _copy(x, y, flip):
    for i in range(len(y)):
        y[i] = x[i] ^ flip


@jit
def _quantize_item(step, item, x, x_at, arena):
    """A row of float32 values from outside. x_at: where the image begins there."""
    for j in range(step.y_width):
        at = x_at + (item * step.y_width + j) * step.y_channels
        to = step.y + item * step.y_down + j * step.y_across
        int8.quantize(
            *(x[at : at + step.y_channels], np.float32(step.factor)),
            *(step.zero, step.low, step.high, arena[to : to + step.y_channels]),
        )


@jit
def _dequantize_item(step, item, arena, y, y_at):
    """A row of float32 values for outside. y_at: where the image begins there."""
    for j in range(step.x_width):
        at = step.x + item * step.x_down + j * step.x_across
        to = y_at + (item * step.x_width + j) * step.x_channels
        int8.dequantize(
            *(arena[at : at + step.x_channels], step.factor, step.zero),
            y[to : to + step.x_channels],
        )
