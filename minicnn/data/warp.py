"""The affine warp behind augmentation: bytes in, normalized floats out, every pixel written once.

A loop that does everything for one pixel cannot be vectorized: the compiler has to expect that a
pixel it writes is one it still has to read. So a row is made in three passes over short buffers,
and only the middle one, which picks pixels here and there, goes one by one. Rows that are only
copied or mirrored have a short cut (``_copy``, ``_scale``).

    _locate   where every pixel of the row comes from     vector
    _fetch    its four neighbours, of packed pixels       scalar
    _blend    their weighted mean, as floats              vector

Everything is serial and without the GIL: the loader's thread calls it while parallel kernels train
(two threads that enter parallel kernels at once crash Numba's workqueue layer). Rows are passed
flat: of an array (W, 3) the compiler does not know that pixels lie three apart.
"""
# mypy: disable-error-code="no-untyped-def"
# compiled: Numba reads no hints

from __future__ import annotations

import numpy as np

from minicnn.kernels.jit import jit


@jit
def warp(images, positions, matrices, factor, offset, x):
    """x[i] = image positions[i], warped, as byte * factor + offset.

    images (M, H, W, 3) uint8, positions (N,), matrices (N, 2, 2) float64 as of ``Augment.draw``,
    factor and offset (N, 3) float32, x (N, H, W, 3) float32, contiguous. Sampling is bilinear;
    beyond the border the nearest pixel repeats (Keras's fill_mode "nearest"). Mere flips are exact.
    Whatever a matrix holds, even NaN, nothing outside the image is read.
    """
    _, H, W, _ = x.shape
    # allocated once, used for every row or image
    packed = np.empty(H * W, np.uint32)
    index = np.empty(W, np.uint32)
    weights = np.empty((2, W), np.float32)
    corners = np.empty((4, W), np.uint32)
    line = np.empty(3 * W, np.uint8)
    terms = np.empty((2, W, 3), np.float32)
    for n in range(len(x)):
        image = np.ascontiguousarray(images[positions[n]])
        m = matrices[n]
        if abs(m[0, 0]) == 1 and abs(m[1, 1]) == 1 and m[0, 1] == 0 and m[1, 0] == 0:
            terms[0], terms[1] = factor[n], offset[n]
            for i in range(H):
                row = image[i if m[0, 0] > 0 else H - 1 - i].reshape(-1)
                _copy(row, m[1, 1] < 0, line)
                _scale(line, terms[0].reshape(-1), terms[1].reshape(-1), x[n, i].reshape(-1))
            continue
        _pack(image.reshape(-1), packed)
        for i in range(H):
            _locate(m, i, H, W, index, weights[0], weights[1])
            _fetch(packed, index, H, W, corners)
            _blend(corners, weights[0], weights[1], factor[n], offset[n], x[n, i].reshape(-1))


@jit
def _copy(row, mirrored, line):
    """line (3 * W,) uint8 = row, from right to left if ``mirrored``."""
    W = len(row) // 3
    if not mirrored:
        for k in range(len(row)):
            line[k] = row[k]
        return
    for j in range(W):
        here, there = np.uint64(3 * j), np.uint64(3 * (W - 1 - j))
        for c in range(np.uint64(3)):
            line[here + c] = row[there + c]


@jit
def _scale(line, factor, offset, out):
    """out (3 * W,) float32 = line * factor + offset, both repeated for every pixel."""
    for k in range(len(line)):
        out[k] = np.float32(line[k]) * factor[k] + offset[k]


@jit
def _pack(image, packed):
    """packed (H * W,) uint32: a pixel's red, green and blue in one number, to be read at once."""
    for k in range(len(packed)):
        packed[k] = image[3 * k] | image[3 * k + 1] << 8 | image[3 * k + 2] << 16


@jit
def _locate(m, i, H, W, index, down, across):
    """Where the pixels of row ``i`` are read: the upper left neighbour, and how far beyond it.

    index (W,) uint32 into an image's H * W pixels; down and across (W,) float32 in [0, 1]. There is
    always a neighbour below and to the right: in the last row and column that distance is 1.
    """
    middle_h, middle_w = (H - 1) / 2, (W - 1) / 2
    last_h, last_w = np.float64(H - 1), np.float64(W - 1)
    last_top, last_left = np.int32(max(H - 2, 0)), np.int32(max(W - 2, 0))
    row_h = m[0, 0] * (i - middle_h) + middle_h
    row_w = m[1, 0] * (i - middle_h) + middle_w
    # Numba's integers grow to 64 bits, of which a vector holds half as many: hence the casts
    width = np.int32(W)
    for j in range(len(index)):
        h = row_h + m[0, 1] * (j - middle_w)
        w = row_w + m[1, 1] * (j - middle_w)
        # written so that a NaN becomes 0: nothing may be read outside the image
        h = h if h > 0.0 else 0.0
        w = w if w > 0.0 else 0.0
        h = h if h < last_h else last_h
        w = w if w < last_w else last_w
        top, left = min(np.int32(h), last_top), min(np.int32(w), last_left)
        index[j] = np.uint32(top * width) + np.uint32(left)
        down[j] = np.float32(h - np.float64(top))
        across[j] = np.float32(w - np.float64(left))


@jit
def _fetch(packed, index, H, W, corners):
    """corners (4, W) uint32: the neighbours upper left, upper right, lower left, lower right."""
    # an image one pixel high or wide has no neighbours, and weights of 0 for them
    right = np.uint32(1 if W > 1 else 0)
    below = np.uint32(W if H > 1 else 0)
    for j in range(len(index)):
        k = index[j]
        corners[0, j] = packed[k]
        corners[1, j] = packed[k + right]
        corners[2, j] = packed[k + below]
        corners[3, j] = packed[k + below + right]


@jit
def _blend(corners, down, across, factor, offset, out):
    """out (3 * W,) float32 = the bilinear mean of the corners, as byte * factor + offset."""
    red, green, blue = factor[0], factor[1], factor[2]
    plus_red, plus_green, plus_blue = offset[0], offset[1], offset[2]
    for j in range(len(down)):
        a, b, c, d = corners[0, j], corners[1, j], corners[2, j], corners[3, j]
        out[3 * j] = _mean(a, b, c, d, 0, down[j], across[j]) * red + plus_red
        out[3 * j + 1] = _mean(a, b, c, d, 8, down[j], across[j]) * green + plus_green
        out[3 * j + 2] = _mean(a, b, c, d, 16, down[j], across[j]) * blue + plus_blue


@jit
def _mean(a, b, c, d, shift, down, across):
    """One channel's mean of the four packed pixels, float32."""
    one = np.float32(1)
    upper = _byte(a, shift) * (one - across) + _byte(b, shift) * across
    lower = _byte(c, shift) * (one - across) + _byte(d, shift) * across
    return upper * (one - down) + lower * down


@jit
def _byte(packed, shift):
    # through int32, which vector units turn into floats; not all of them know unsigned numbers
    return np.float32(np.int32((packed >> np.uint32(shift)) & np.uint32(255)))
