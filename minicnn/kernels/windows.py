"""Where the windows of a convolution's output pixels begin in memory.

In an N H W C image the KW * C inputs under one kernel row are neighbours in memory. So a pixel's K
values are KH runs of KW * C, one image row apart, and no im2col matrix is needed: a table says
where each pixel's window begins, and stride and row ends are only entries of that table. Where
windows reach over the border, the rows they need are copied into a scratch image with the padding.
"""

from __future__ import annotations

from minicnn.kernels import memory
from minicnn.kernels.jit import jit


def scratch_rows(count, rows, OW, kernel, stride, C):
    """Scratch for ``count`` workers, each of which looks at ``rows`` output rows at a time."""
    tall, wide = ((n - 1) * s + k for n, s, k in zip((rows, OW), stride, kernel, strict=True))
    return memory.empty((count, tall * wide * C))


@jit
def inside(size, kernel, stride, pad, out):
    """First and one-past-last output whose window lies wholly in the image, along one axis."""
    first = min((pad + stride - 1) // stride, out)
    return first, max(min((size + pad - kernel) // stride + 1, out), first)


@jit
def windows(x, n, rectangle, direct, kernel, stride, pad, scratch, at):
    """Fill ``at`` for a rectangle of output pixels; (flat input, its pixels in a row).

    rectangle   (first row, rows, first column, columns) of the output
    direct      all windows lie in the image: no copy is needed
    """
    _, H, W, C = x.shape
    first, rows, left, columns = rectangle
    top, edge = first * stride[0] - pad[0], left * stride[1] - pad[1]
    if direct:
        flat, wide = x.reshape(-1), W
        start = ((n * H + top) * W + edge) * C
    else:
        flat, wide, start = scratch, (columns - 1) * stride[1] + kernel[1], 0
        copy_padded(x, n, top, (rows - 1) * stride[0] + kernel[0], edge, wide, scratch)
    pixels(at, rows, columns, start, stride[0] * wide * C, stride[1] * C)
    return flat, wide


@jit
def pixels(table, rows, columns, start, down, across):
    """Fill the table, row by row: a pixel of the rectangle at start + row * down + column * across.

    A view that begins at 0 again: an index that could be negative keeps LLVM from vector code.
    """
    for i in range(rows):
        row, first = table[i * columns : (i + 1) * columns], start + i * down
        for j in range(len(row)):
            row[j] = first + j * across


@jit
def copy(x, y):
    """y = x, both flat: on views that begin at 0, LLVM makes vector code of it."""
    for i in range(len(y)):
        y[i] = x[i]


@jit
def clear(x):
    """x = 0, flat. (In a parallel function ``x[:] = 0`` becomes parallel too: slow to compile.)"""
    for i in range(len(x)):
        x[i] = 0.0


@jit
def copy_padded(x, n, top, rows, left, columns, scratch):
    """Rows top... and columns left... of image n into a flat image; zeros beyond the border.

    top and left count from the image's first pixel and may be negative.
    """
    _, H, W, C = x.shape
    for p in range(rows):
        line = scratch[p * columns * C : (p + 1) * columns * C]
        h = top + p
        if h < 0 or h >= H:
            line[:] = 0.0
            continue
        # the row's pixels from ``left`` on: zeros, a run of the image, zeros
        start, stop = max(left, 0), min(left + columns, W)
        before, inside = (start - left) * C, (stop - start) * C
        line[:before] = 0.0
        copy(x[n, h].reshape(-1)[start * C : stop * C], line[before : before + inside])
        line[before + inside :] = 0.0
