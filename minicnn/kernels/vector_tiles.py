"""The two register tiles that do nearly all arithmetic of the fast kernels, as LLVM code.

**The product tile.** A convolution is a matrix product: for each output pixel, K = KH * KW * C
input values times a K x OC matrix of weights. The tile computes a block of it, R pixels by V
vectors of 16 channels, and keeps the whole block in registers while it runs over K:

                        weights k: |  16 ch  |  16 ch  |  16 ch  |   V loads
                                   +---------+---------+---------+
    pixel 0: x[k], one value  -->  |  sum    |  sum    |  sum    |
    pixel 1: x[k]             -->  |  sum    |  sum    |  sum    |   R * V fused multiply-adds
      ...                          |         |         |         |
    pixel R-1: x[k]           -->  |  sum    |  sum    |  sum    |
                                   +---------+---------+---------+

R + V loads feed R * V multiply-adds, so the loads hide behind the arithmetic. Plain Numba loops
spill these sums to memory at every step; hence a Numba intrinsic that writes the LLVM code itself.

**The weights tile** sums a weight gradient over pixels: R output channels of dy, one value each, by
V vectors of inputs. It is the same block, and K is replaced by the pixels.

A vector is 16 floats on every machine: LLVM makes one AVX-512 register of it, two of AVX2, four of
Neon. ``WIDEST`` says how many of them side by side leave the sums in registers.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # floats in a vector

FEATURES = config.CPU_FEATURES  # set with NUMBA_CPU_NAME, perhaps to ""
if FEATURES is None:
    FEATURES = llvm.get_host_cpu_features().flatten()
# With 32 wide registers a tile may be 4 vectors wide; elsewhere its sums would spill to memory.
WIDEST = 4 if "+avx512f" in FEATURES else 1

VECTOR = ir.VectorType(ir.FloatType(), LANES)
INT = ir.IntType(64)


def data_of(context, builder, signature, args, position):
    """Pointer to the first element of the array that is argument ``position``."""
    return context.make_array(signature.args[position])(context, builder, args[position]).data


def load_vector(builder, pointer, index):
    address = builder.bitcast(builder.gep(pointer, [index]), VECTOR.as_pointer())
    return builder.load(address, align=4)


def store_vector(builder, value, pointer, index):
    address = builder.bitcast(builder.gep(pointer, [index]), VECTOR.as_pointer())
    builder.store(value, address, align=4)


def spread(builder, value):
    """The scalar in every lane of a vector."""
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), zeros)


def _accumulate(builder, sums, scalars, vectors):
    """sums[r][v] += scalars[r] * vectors[v]: the heart of both tiles."""
    fma = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), f"llvm.fma.v{LANES}f32"
    )
    for r, scalar in enumerate(scalars):
        same = spread(builder, builder.load(scalar))
        for v, vector in enumerate(vectors):
            total = builder.call(fma, [same, vector, builder.load(sums[r][v])])
            builder.store(total, sums[r][v])


def _new_sums(builder, rows, vectors):
    """Stack slots for the sums; LLVM turns them into registers."""
    return [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(rows)]


def product_tile(rows, vectors):
    """Intrinsic: ``rows`` pixels x ``vectors`` * 16 channels of a convolution's output.

    tile(x, x_at, taps, rows, run, panel, panel_at, y, y_to, channel, first, count,
         adding, relu, mask, masked)

    x, x_at      flat input; x_at[p] is where pixel p's window begins
    taps, run    a window is len(taps) runs of ``run`` neighbouring values; taps[t] leads to run t
    panel        flat weights: from panel_at on, a row of biases, then K rows, each of this width
    rows         the weights of run t begin at row rows[t]
    y, y_to      flat output; pixel p's channels begin at y_to[p] + channel
    first        the tile's first pixel; pixels from ``count`` on repeat the last one, harmlessly
    adding       start from what y holds instead of the biases
    relu         clamp at zero
    mask         laid out as y: if ``masked``, results where it is not positive become zero
    """

    @intrinsic
    def tile(
        typing, x, x_at, taps, row_at, run, panel, panel_at, y, y_to, channel, first, count,
        adding, relu, mask, masked
    ):  # fmt: skip
        whole, truth = types.intp, types.boolean
        arguments = (x, x_at, taps, row_at, whole, panel, whole, y, y_to, whole, whole, whole)
        arguments = (*arguments, truth, truth, mask, truth)

        def codegen(context, builder, signature, args):
            x_data, at, taps_data, row_data, panel_data, y_data, to, mask_data = (
                data_of(context, builder, signature, args, position)
                for position in (0, 1, 2, 3, 5, 7, 8, 14)
            )
            runs = builder.extract_value(
                context.make_array(signature.args[2])(context, builder, args[2]).shape, 0
            )
            run, weights = args[4], args[6]
            channel, first, count, adding, relu, _, masked = args[9:]
            width = INT(vectors * LANES)
            columns = [INT(v * LANES) for v in range(vectors)]
            last = builder.sub(count, INT(1))

            inputs, outputs = [], []
            for r in range(rows):
                pixel = builder.add(first, INT(r))
                inside = builder.icmp_signed("<", pixel, count)
                pixel = builder.select(inside, pixel, last)
                inputs.append(builder.gep(x_data, [builder.load(builder.gep(at, [pixel]))]))
                outputs.append(builder.add(builder.load(builder.gep(to, [pixel])), channel))

            sums = _new_sums(builder, rows, vectors)
            # all old values are read before a new one is stored: a repeated pixel is added to once
            with builder.if_else(adding) as (going_on, starting):
                with going_on:
                    for r in range(rows):
                        for v in range(vectors):
                            index = builder.add(outputs[r], columns[v])
                            builder.store(load_vector(builder, y_data, index), sums[r][v])
                with starting:
                    for v in range(vectors):
                        bias = load_vector(builder, panel_data, builder.add(weights, columns[v]))
                        for r in range(rows):
                            builder.store(bias, sums[r][v])

            with cgutils.for_range(builder, runs) as tap:
                offset = builder.load(builder.gep(taps_data, [tap.index]))
                row_start = builder.load(builder.gep(row_data, [tap.index]))
                with cgutils.for_range(builder, run) as loop:
                    k = builder.add(builder.add(row_start, loop.index), INT(1))  # 0 is the bias
                    row = builder.add(weights, builder.mul(k, width))
                    loaded = [
                        load_vector(builder, panel_data, builder.add(row, column))
                        for column in columns
                    ]
                    place = builder.add(offset, loop.index)
                    scalars = [builder.gep(start, [place]) for start in inputs]
                    _accumulate(builder, sums, scalars, loaded)

            zero = ir.Constant(VECTOR, [0.0] * LANES)
            with builder.if_then(relu):
                for total in (total for row in sums for total in row):
                    value = builder.load(total)
                    negative = builder.fcmp_ordered("<", value, zero)  # keeps NaN
                    builder.store(builder.select(negative, zero, value), total)
            with builder.if_then(masked):
                for r in range(rows):
                    for v in range(vectors):
                        index = builder.add(outputs[r], columns[v])
                        kept = load_vector(builder, mask_data, index)
                        kept = builder.fcmp_ordered(">", kept, zero)
                        value = builder.select(kept, builder.load(sums[r][v]), zero)
                        builder.store(value, sums[r][v])
            for r in range(rows):
                for v in range(vectors):
                    index = builder.add(outputs[r], columns[v])
                    store_vector(builder, builder.load(sums[r][v]), y_data, index)
            return context.get_dummy_value()

        return types.void(*arguments), codegen

    return tile


def weights_tile(rows, vectors):
    """Intrinsic: weight gradients of ``rows`` output channels x ``vectors`` * 16 inputs.

    tile(x, x_at, shift, dy, dy_at, dy_step, d, d_at, d_step, count)

    x, x_at    flat input and where each pixel's window begins; shift leads to the first input
    dy         flat output gradient; pixel p's channels begin at dy_at + p * dy_step
    d          flat sums, added to: output channel r of the tile begins at d_at + r * d_step
    count      pixels to sum over
    """

    @intrinsic
    def tile(typing, x, x_at, shift, dy, dy_at, dy_step, d, d_at, d_step, count):
        whole = types.intp
        arguments = (x, x_at, whole, dy, whole, whole, d, whole, whole, whole)

        def codegen(context, builder, signature, args):
            x_data, at, dy_data, d_data = (
                data_of(context, builder, signature, args, position) for position in (0, 1, 3, 6)
            )
            shift, dy_at, dy_step, d_at, d_step, count = (args[i] for i in (2, 4, 5, 7, 8, 9))
            columns = [INT(v * LANES) for v in range(vectors)]
            starts = [builder.add(d_at, builder.mul(INT(r), d_step)) for r in range(rows)]
            sums = _new_sums(builder, rows, vectors)
            for r in range(rows):
                for v in range(vectors):
                    old = load_vector(builder, d_data, builder.add(starts[r], columns[v]))
                    builder.store(old, sums[r][v])
            with cgutils.for_range(builder, count) as loop:
                place = builder.add(builder.load(builder.gep(at, [loop.index])), shift)
                loaded = [
                    load_vector(builder, x_data, builder.add(place, column)) for column in columns
                ]
                pixel = builder.add(dy_at, builder.mul(loop.index, dy_step))
                scalars = [builder.gep(dy_data, [builder.add(pixel, INT(r))]) for r in range(rows)]
                _accumulate(builder, sums, scalars, loaded)
            for r in range(rows):
                for v in range(vectors):
                    index = builder.add(starts[r], columns[v])
                    store_vector(builder, builder.load(sums[r][v]), d_data, index)
            return context.get_dummy_value()

        return types.void(*arguments), codegen

    return tile


@intrinsic
def copy_vector(typing, x, i, y, j):
    """y[j:j+16] = x[i:i+16] of flat arrays; both must reach that far."""

    def codegen(context, builder, signature, args):
        source = data_of(context, builder, signature, args, 0)
        target = data_of(context, builder, signature, args, 2)
        store_vector(builder, load_vector(builder, source, args[1]), target, args[3])
        return context.get_dummy_value()

    return types.void(x, types.intp, y, types.intp), codegen


# Module-level names: Numba's cache never finds an intrinsic that lives only in a closure.
product_6x4, product_8x3, product_8x2, product_8x1, product_6x1 = (
    product_tile(*size) for size in ((6, 4), (8, 3), (8, 2), (8, 1), (6, 1))
)
weights_8x3, weights_8x2, weights_8x1, weights_6x1 = (
    weights_tile(*size) for size in ((8, 3), (8, 2), (8, 1), (6, 1))
)
weights_1x4, weights_1x3, weights_1x2, weights_1x1 = (weights_tile(1, v) for v in (4, 3, 2, 1))
