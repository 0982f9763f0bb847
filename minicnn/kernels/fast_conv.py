"""Fast float32 convolution: one register tile, swept over images without an im2col matrix.

**The tile.** A convolution is a matrix product: for each output pixel, K = KH * KW * C input values
times a K x OC matrix of weights. ``_product_tile`` computes a block of it, R pixels by V vectors of
16 channels, and keeps the whole block in registers while it runs over K:

                        weights k: |  16 ch  |  16 ch  |  16 ch  |  16 ch  |   V loads
                                   +---------+---------+---------+---------+
    pixel 0: x[k], one value  -->  |  sum    |  sum    |  sum    |  sum    |
    pixel 1: x[k]             -->  |  sum    |  sum    |  sum    |  sum    |   R * V fused
      ...                          |         |         |         |         |   multiply-adds
    pixel R-1: x[k]           -->  |  sum    |  sum    |  sum    |  sum    |
                                   +---------+---------+---------+---------+

R + V loads feed R * V multiply-adds, so the loads hide behind the arithmetic. Plain Numba loops
spill these sums to memory at every step; hence a Numba intrinsic that writes the LLVM code itself.

**No im2col.** In an N H W C image the KW * C inputs under one kernel row are neighbours in memory.
So a pixel's K values are KH runs of KW * C, one image row apart: a table holds where each pixel's
window begins, and stride and row ends are only entries of that table. Where a kernel needs padding,
a few rows at a time are copied into a scratch image that has it.

**The input gradient** is a convolution too: of dy, padded and (for a stride) spread out with zeros,
with the kernel turned by 180 degrees. **The weight gradient** is a product summed over pixels; its
tile is R weights of a run by V vectors of dy channels.

Results do not depend on the number of threads: every output element is summed by one thread in one
order, and weight gradients are summed over blocks of images that depend on N alone.

Intrinsics and their callers share this file because Numba's disk cache watches only a function's
own file: edit a tile elsewhere and the old code would go on running.
"""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import config, get_num_threads, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # floats in a vector: one AVX-512 register, two of AVX2, four of Neon
BLOCKS = 8  # blocks of images whose weight gradients are summed apart, then in order
CHUNK = 512  # output pixels that are worked on at a time: their inputs fit the first caches

_features = config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()
# With 32 wide registers a tile may be 4 vectors wide; elsewhere its sums would spill to memory.
WIDEST = 4 if "+avx512f" in _features else 1

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INT = ir.IntType(64)


def _data(context, builder, signature, args, position):
    """Pointer to the first element of the array that is argument ``position``."""
    return context.make_array(signature.args[position])(context, builder, args[position]).data


def _load_vector(builder, pointer, index):
    address = builder.bitcast(builder.gep(pointer, [index]), _VECTOR.as_pointer())
    return builder.load(address, align=4)


def _store_vector(builder, value, pointer, index):
    address = builder.bitcast(builder.gep(pointer, [index]), _VECTOR.as_pointer())
    builder.store(value, address, align=4)


def _spread(builder, value):
    """The scalar in every lane of a vector."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _accumulate(builder, sums, scalars, vectors):
    """sums[r][v] += scalars[r] * vectors[v]: the heart of both tiles."""
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )
    for r, scalar in enumerate(scalars):
        spread = _spread(builder, builder.load(scalar))
        for v, vector in enumerate(vectors):
            total = builder.call(fma, [spread, vector, builder.load(sums[r][v])])
            builder.store(total, sums[r][v])


def _new_sums(builder, rows, vectors):
    """Stack slots for the sums; LLVM turns them into registers."""
    return [[cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)] for _ in range(rows)]


def _product_tile(rows, vectors):
    """Intrinsic: ``rows`` pixels x ``vectors`` * 16 channels of a convolution's output.

    tile(x, x_at, step, runs, run, panel, panel_at, y, y_at, y_step, first, count, add, relu)

    x, x_at      flat input; x_at[p] is where pixel p's window begins
    step         from one run (kernel row) of a window to the next
    runs, run    KH runs of KW * C values
    panel        flat weights: from panel_at on, a row of biases, then K rows, each of this width
    y            flat output; pixel p's channels begin at y_at + p * y_step
    first        the tile's first pixel; pixels from ``count`` on repeat the last one, harmlessly
    add, relu    start from what y holds instead of the biases; clamp at zero
    """

    @intrinsic
    def tile(
        typing, x, x_at, step, runs, run, panel, panel_at, y, y_at, y_step, first, count, add, relu
    ):
        arguments = (
            *(x, x_at, types.intp, types.intp, types.intp, panel, types.intp),
            *(y, types.intp, types.intp, types.intp, types.intp, types.boolean, types.boolean),
        )

        def codegen(context, builder, signature, args):
            x_data, at, panel_data, y_data = (
                _data(context, builder, signature, args, position) for position in (0, 1, 5, 7)
            )
            step, runs, run, weights = args[2], args[3], args[4], args[6]
            y_at, y_step, first, count, add, relu = args[8:14]
            width = _INT(vectors * LANES)
            columns = [_INT(v * LANES) for v in range(vectors)]
            last = builder.sub(count, _INT(1))

            inputs, outputs = [], []
            for r in range(rows):
                pixel = builder.add(first, _INT(r))
                inside = builder.icmp_signed("<", pixel, count)
                pixel = builder.select(inside, pixel, last)
                inputs.append(builder.gep(x_data, [builder.load(builder.gep(at, [pixel]))]))
                outputs.append(builder.add(y_at, builder.mul(pixel, y_step)))

            sums = _new_sums(builder, rows, vectors)
            # All old values are read before any new one is stored: a repeated pixel is added once.
            with builder.if_else(add) as (adding, starting):
                with adding:
                    for r in range(rows):
                        for v in range(vectors):
                            index = builder.add(outputs[r], columns[v])
                            builder.store(_load_vector(builder, y_data, index), sums[r][v])
                with starting:
                    for v in range(vectors):
                        index = builder.add(weights, columns[v])
                        bias = _load_vector(builder, panel_data, index)
                        for r in range(rows):
                            builder.store(bias, sums[r][v])

            with cgutils.for_range(builder, runs) as kernel_row:
                offset = builder.mul(kernel_row.index, step)
                row_start = builder.mul(kernel_row.index, run)
                with cgutils.for_range(builder, run) as loop:
                    k = builder.add(builder.add(row_start, loop.index), _INT(1))  # 0 is the bias
                    row = builder.add(weights, builder.mul(k, width))
                    loaded = [
                        _load_vector(builder, panel_data, builder.add(row, column))
                        for column in columns
                    ]
                    place = builder.add(offset, loop.index)
                    scalars = [builder.gep(start, [place]) for start in inputs]
                    _accumulate(builder, sums, scalars, loaded)

            zero = ir.Constant(_VECTOR, [0.0] * LANES)
            for r in range(rows):
                for v in range(vectors):
                    total = builder.load(sums[r][v])
                    negative = builder.fcmp_ordered("<", total, zero)  # keeps NaN
                    clamped = builder.select(negative, zero, total)
                    total = builder.select(relu, clamped, total)
                    _store_vector(builder, total, y_data, builder.add(outputs[r], columns[v]))
            return context.get_dummy_value()

        return types.void(*arguments), codegen

    return tile


def _weights_tile(rows, vectors):
    """Intrinsic: add to ``rows`` x ``vectors`` * 16 weight gradients the sum over ``count`` pixels.

    tile(x, x_at, shift, dy, dy_at, dy_step, d, d_at, d_step, count)

    x, x_at    flat input and where each pixel's window begins; shift leads to the first weight
    dy         flat output gradient; pixel p's channels begin at dy_at + p * dy_step
    d          flat sums: row r of the tile begins at d_at + r * d_step
    """

    @intrinsic
    def tile(typing, x, x_at, shift, dy, dy_at, dy_step, d, d_at, d_step, count):
        arguments = (
            *(x, x_at, types.intp, dy, types.intp, types.intp),
            *(d, types.intp, types.intp, types.intp),
        )

        def codegen(context, builder, signature, args):
            x_data, at, dy_data, d_data = (
                _data(context, builder, signature, args, position) for position in (0, 1, 3, 6)
            )
            shift, dy_at, dy_step, d_at, d_step, count = (args[i] for i in (2, 4, 5, 7, 8, 9))
            columns = [_INT(v * LANES) for v in range(vectors)]
            starts = [builder.add(d_at, builder.mul(_INT(r), d_step)) for r in range(rows)]
            sums = _new_sums(builder, rows, vectors)
            for r in range(rows):
                for v in range(vectors):
                    old = _load_vector(builder, d_data, builder.add(starts[r], columns[v]))
                    builder.store(old, sums[r][v])
            with cgutils.for_range(builder, count) as loop:
                place = builder.add(builder.load(builder.gep(at, [loop.index])), shift)
                row = builder.add(dy_at, builder.mul(loop.index, dy_step))
                loaded = [
                    _load_vector(builder, dy_data, builder.add(row, column)) for column in columns
                ]
                scalars = [builder.gep(x_data, [builder.add(place, _INT(r))]) for r in range(rows)]
                _accumulate(builder, sums, scalars, loaded)
            for r in range(rows):
                for v in range(vectors):
                    index = builder.add(starts[r], columns[v])
                    _store_vector(builder, builder.load(sums[r][v]), d_data, index)
            return context.get_dummy_value()

        return types.void(*arguments), codegen

    return tile


# Module-level names: Numba's cache never finds an intrinsic that lives only in a closure.
_product_6x4 = _product_tile(6, 4)
_product_8x3 = _product_tile(8, 3)
_product_8x2 = _product_tile(8, 2)
_product_6x1 = _product_tile(6, 1)
_product_8x1 = _product_tile(8, 1)
_weights_6x4, _weights_3x4, _weights_1x4 = (_weights_tile(r, 4) for r in (6, 3, 1))
_weights_8x3, _weights_1x3 = (_weights_tile(r, 3) for r in (8, 1))
_weights_8x2, _weights_1x2 = (_weights_tile(r, 2) for r in (8, 1))
_weights_6x1, _weights_1x1 = (_weights_tile(r, 1) for r in (6, 1))


@njit(cache=True, nogil=True)
def _panel_width(left):
    """How many vectors wide the next panel of channels is, with ``left`` vectors to go."""
    return min(left, WIDEST)


@njit(cache=True, nogil=True)
def _product(width, x, x_at, step, runs, run, panel, panel_at, y, y_at, y_step, count, add, relu):
    """One panel of channels for ``count`` pixels, tile after tile."""
    p, where = 0, panel_at
    while p < count:
        if width == 4:
            _product_6x4(
                x, x_at, step, runs, run, panel, where, y, y_at, y_step, p, count, add, relu
            )
            p += 6
        elif width == 3:
            _product_8x3(
                x, x_at, step, runs, run, panel, where, y, y_at, y_step, p, count, add, relu
            )
            p += 8
        elif width == 2:
            _product_8x2(
                x, x_at, step, runs, run, panel, where, y, y_at, y_step, p, count, add, relu
            )
            p += 8
        elif WIDEST == 1:
            _product_6x1(
                x, x_at, step, runs, run, panel, where, y, y_at, y_step, p, count, add, relu
            )
            p += 6
        else:
            _product_8x1(
                x, x_at, step, runs, run, panel, where, y, y_at, y_step, p, count, add, relu
            )
            p += 8


@njit(cache=True, nogil=True)
def _weight_sums(width, x, x_at, shift, rows, dy, dy_at, step, d, d_at, d_step, count):
    """``rows`` rows of weight gradients, one panel of channels wide, for ``count`` pixels."""
    r = 0
    while r < rows:
        left, x_r, d_r = rows - r, shift + r, d_at + r * d_step
        if width == 4:
            if left >= 6:
                _weights_6x4(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
                r += 6
            elif left >= 3:
                _weights_3x4(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
                r += 3
            else:
                _weights_1x4(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
                r += 1
        elif width == 3:
            if left >= 8:
                _weights_8x3(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
                r += 8
            else:
                _weights_1x3(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
                r += 1
        elif width == 2:
            if left >= 8:
                _weights_8x2(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
                r += 8
            else:
                _weights_1x2(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
                r += 1
        elif left >= 6:
            _weights_6x1(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
            r += 6
        else:
            _weights_1x1(x, x_at, x_r, dy, dy_at, step, d, d_r, d_step, count)
            r += 1


@njit(cache=True, nogil=True)
def _copy_padded(x, n, channel, C, top, rows, left, columns, spread):
    """Rows top... of image n as a flat (rows, columns, C) scratch image, zeros where there is none.

    top and left count from the image's first pixel and may be negative. spread > 1 puts spread - 1
    zeros between neighbouring pixels (the gradient of a convolution with a stride).
    """
    _, H, W, _ = x.shape
    scratch = np.zeros(rows * columns * C, np.float32)
    for p in range(rows):
        h, between = divmod(top + p, spread[0])
        if between != 0 or h < 0 or h >= H:
            continue
        for q in range(columns):
            v, between = divmod(left + q, spread[1])
            if between == 0 and 0 <= v < W:
                at = (p * columns + q) * C
                for c in range(C):
                    scratch[at + c] = x[n, h, v, channel + c]
    return scratch


@njit(cache=True, nogil=True)
def _widened(dy, n, channel, OC, first, rows, rounded):
    """Rows first... of dy[n] with its OC channels rounded up to whole vectors, flat."""
    OW = dy.shape[2]
    scratch = np.zeros(rows * OW * rounded, np.float32)
    for i in range(rows):
        for j in range(OW):
            for o in range(OC):
                scratch[(i * OW + j) * rounded + o] = dy[n, first + i, j, channel + o]
    return scratch


@njit(cache=True, nogil=True)
def _windows(x, n, channel, C, first, rows, OW, kernel, stride, pad, spread):
    """Where the windows of output rows first... begin: (flat input, table, step between runs)."""
    _, H, W, across = x.shape
    whole = pad[0] == 0 and pad[1] == 0 and spread[0] == 1 and spread[1] == 1
    whole = whole and (first + rows - 1) * stride[0] + kernel[0] <= H
    whole = whole and (OW - 1) * stride[1] + kernel[1] <= W
    if whole and (across == C or kernel[1] == 1):
        flat, columns = x.reshape(-1), W
        start = (n * H + first * stride[0]) * W * across + channel
    else:
        columns = (OW - 1) * stride[1] + kernel[1]
        tall = (rows - 1) * stride[0] + kernel[0]
        top = first * stride[0] - pad[0]
        flat = _copy_padded(x, n, channel, C, top, tall, -pad[1], columns, spread)
        across, start = C, 0
    at = np.empty(rows * OW, np.int64)
    for i in range(rows):
        for j in range(OW):
            at[i * OW + j] = start + (i * stride[0] * columns + j * stride[1]) * across
    return flat, at, columns * across


@njit(cache=True, nogil=True)
def _pack(w, b):
    """Weights (OC, KH, KW, C) and biases as panels: (K + 1, 16 * width) each, one after another.

    Channels are rounded up to whole vectors with zeros. The panel of channel o begins at
    o * (K + 1).
    """
    OC = w.shape[0]
    flat = w.reshape(OC, -1)
    K = flat.shape[1]
    vectors = (OC + LANES - 1) // LANES
    packed = np.zeros((K + 1) * vectors * LANES, np.float32)
    done = 0
    while done < vectors:
        width = _panel_width(vectors - done)
        start = (K + 1) * done * LANES
        for o in range(done * LANES, min((done + width) * LANES, OC)):
            column = start + o - done * LANES
            packed[column] = b[o]
            for k in range(K):
                packed[column + (k + 1) * width * LANES] = flat[o, k]
        done += width
    return packed


@njit(parallel=True, cache=True, nogil=True)
def _correlate(x, channel, w, b, stride, pad, spread, relu, add, y, y_channel, rows):
    """The one driver behind forward and input gradient; ``rows`` output rows at a time."""
    OC, KH, KW, C = w.shape
    N, OH, OW, y_across = y.shape
    packed = _pack(w, b)
    vectors = (OC + LANES - 1) // LANES
    panel_rows = KH * KW * C + 1
    ragged = OC % LANES != 0
    parts = (OH + rows - 1) // rows
    y_flat = y.reshape(-1)
    for item in prange(N * parts):
        n, part = divmod(np.int64(item), parts)  # prange counts unsigned: mixed in, it turns float
        first = part * rows
        here = min(rows, OH - first)
        count = here * OW
        flat, at, step = _windows(x, n, channel, C, first, here, OW, (KH, KW), stride, pad, spread)
        if ragged:
            # whole vectors go to a scratch, the real channels from there to y
            target, y_at, y_step = np.empty(count * vectors * LANES, np.float32), 0, vectors * LANES
        else:
            target, y_step = y_flat, y_across
            y_at = (n * OH + first) * OW * y_across + y_channel
        done = 0
        while done < vectors:
            width = _panel_width(vectors - done)
            column = done * LANES
            place, onto = y_at + column, add and not ragged
            _product(
                width,
                flat,
                at,
                step,
                KH,
                KW * C,
                packed,
                panel_rows * column,
                target,
                place,
                y_step,
                count,
                onto,
                relu,
            )
            done += width
        if ragged:
            for p in range(count):
                i, j = divmod(p, OW)
                for o in range(OC):
                    value = target[p * y_step + o]
                    if add:
                        value += y[n, first + i, j, y_channel + o]
                    y[n, first + i, j, y_channel + o] = value


def _rows_at_a_time(N, OH, OW):
    """Output rows a thread takes at a time: CHUNK pixels, less where threads would idle."""
    shares = -(-2 * get_num_threads() // max(N, 1))
    return max(1, min(CHUNK // OW, -(-OH // shares)))


def conv2d_forward(x, w, b, stride, pad, relu, y, channel):
    """As :func:`minicnn.kernels.reference.conv2d_forward`, float32."""
    rows = _rows_at_a_time(*y.shape[:3])
    _correlate(x, 0, w, b, stride, pad, (1, 1), relu, False, y, channel, rows)


def conv2d_backward_input(dy, channel, w, stride, pad, dx, add):
    """As :func:`minicnn.kernels.reference.conv2d_backward_input`, float32."""
    _, KH, KW, C = w.shape
    turned = np.ascontiguousarray(w[:, ::-1, ::-1, :].transpose(3, 1, 2, 0))
    outer = (KH - 1 - pad[0], KW - 1 - pad[1])
    rows = _rows_at_a_time(*dx.shape[:3])
    no_bias = np.zeros(C, w.dtype)
    _correlate(dy, channel, turned, no_bias, (1, 1), outer, stride, False, add, dx, 0, rows)


@njit(parallel=True, cache=True, nogil=True)
def _weight_blocks(x, dy, channel, kernel, stride, pad, OC, d):
    """d (blocks, 1 + KH * KW * C, OC rounded up): bias and weight sums over blocks of images."""
    N, _, _, C = x.shape
    _, OH, OW, across = dy.shape
    blocks, _, rounded = d.shape
    run = kernel[1] * C
    rows = max(1, CHUNK // 2 // OW)
    dy_flat = dy.reshape(-1)
    # a bias is a weight whose input is 1 at every pixel
    one, nowhere = np.ones(1, np.float32), np.zeros(rows * OW, np.int64)
    for unsigned in prange(blocks):
        block = np.int64(unsigned)
        sums = d[block].reshape(-1)
        for n in range(block * N // blocks, (block + 1) * N // blocks):
            for top in range(0, OH, rows):
                here = min(rows, OH - top)
                count = here * OW
                flat, at, down = _windows(x, n, 0, C, top, here, OW, kernel, stride, pad, (1, 1))
                if rounded == OC:
                    source, step = dy_flat, across
                    start = (n * OH + top) * OW * across + channel
                else:
                    source = _widened(dy, n, channel, OC, top, here, rounded)
                    start, step = 0, rounded
                done = 0
                while done * LANES < rounded:
                    width = _panel_width(rounded // LANES - done)
                    to = done * LANES  # the panel's first column, in dy as in the sums
                    dy_at = start + to
                    _weight_sums(
                        width, one, nowhere, 0, 1, source, dy_at, step, sums, to, rounded, count
                    )
                    to += rounded
                    for kh in range(kernel[0]):
                        row = kh * down
                        _weight_sums(
                            width, flat, at, row, run, source, dy_at, step, sums, to, rounded, count
                        )
                        to += run * rounded
                    done += width


def conv2d_backward_weights(x, dy, channel, stride, pad, dw, db):
    """As :func:`minicnn.kernels.reference.conv2d_backward_weights`, float32."""
    OC, KH, KW, C = dw.shape
    blocks = min(BLOCKS, x.shape[0])
    d = np.zeros((blocks, 1 + KH * KW * C, -(-OC // LANES) * LANES), np.float32)
    _weight_blocks(x, dy, channel, (KH, KW), stride, pad, OC, d)
    total = d.sum(axis=0)[:, :OC]  # block after block: the same bits whichever thread summed which
    db[...] = total[0]
    dw[...] = total[1:].T.reshape(dw.shape)
