"""What a step of an int8 network is: a record of whole numbers that the compiled kernels read.

``minicnn.compress.plan`` writes the records, ``fast_int8`` does what they say.
"""

from __future__ import annotations

import numpy as np

KINDS = (
    *("input", "output", "copy", "conv", "dense"),
    *("max_pool", "average_pool", "table", "softmax", "quantize", "dequantize"),
)
INPUT, OUTPUT, COPY, CONV, DENSE, *_others = range(len(KINDS))
MAX_POOL, AVERAGE_POOL, TABLE, SOFTMAX, QUANTIZE, DEQUANTIZE = _others

# A step. Places and distances in the arena are bytes. Fields that a kind does not use are 0.
#   x, x_down, x_across       input: its first pixel, from row to row, from pixel to pixel
#   x_height, x_width, x_channels
#   y, y_down ... y_channels  output, the same
#   size                      bytes of a tensor outside of the arena, x or y
#   offset                    where it begins among all outputs, for one image
#   flip                      0x80 where bytes outside are int8, else 0
#   kernel, stride, pad ...   of a window, down and across; those of convolutions are in x
#   low, high, zero           smallest and largest byte of the output; the byte that stands for 0
#   block                     pixels of a convolution's item; an item is one panel of channels
#   panels_first              1 if neighbouring items share a panel, 0 if they share pixels
#   taps, runs, groups, w     of a product tile, places in the plan's numbers
#   numbers                   there: a block for each vector of channels
#   table                     there: 256 bytes or a softmax's exponentials; a dense layer's doubles
#   factor                    scale of floats
_WHOLE = (
    *("kind", "items", "x", "x_down", "x_across", "x_height", "x_width", "x_channels"),
    *("y", "y_down", "y_across", "y_height", "y_width", "y_channels", "size", "offset", "flip"),
    *("kernel_down", "kernel_across", "stride_down", "stride_across", "pad_down", "pad_across"),
    *("low", "high", "zero", "block", "panels_first"),
    *("taps", "runs", "groups", "w", "numbers", "table"),
)
STEP = np.dtype([*((name, np.int64) for name in _WHOLE), ("factor", np.float64)])
