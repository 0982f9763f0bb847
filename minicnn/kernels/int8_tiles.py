"""The register tile of int8 convolutions and dense layers, and a window's maximum, as LLVM code.

The tile is the product tile of ``vector_tiles`` (the drawing there) for bytes: x is uint8, weights
are int8, sums are int32, and K goes by groups of four. Many processors do a whole group at once:

    sum[channel] += x[0] * w[channel][0] + ... + x[3] * w[channel][3]      for 16 channels

Intel and AMD call it VNNI. ``_dot`` is that instruction or, elsewhere, the same in plain LLVM code:
both are exact. What becomes of the sums is in ``int8_requantize``.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.kernels.int8_requantize import (
    BYTE,
    WORD,
    WORDS,
    constant,
    load,
    number,
    store,
    store_lanes,
)
from minicnn.kernels.vector_tiles import FEATURES, INT, LANES, WIDEST, data_of

GROUP = 4  # bytes of x and of a channel's weights that are multiplied at a time
LARGEST_TILE = 24 * LANES  # sums
WIDE = 64  # bytes that a pool looks at together


def spread(builder, value):
    """The int32 in every lane."""
    one = builder.insert_element(ir.Constant(WORDS, ir.Undefined), value, WORD(0))
    return builder.shuffle_vector(one, ir.Constant(WORDS, ir.Undefined), constant(0))


def _dot_instruction(builder, total, x, w, name, lanes):
    """The processor's own, on as many lanes as it has."""
    part = ir.VectorType(WORD, lanes)
    kind = ir.FunctionType(part, [part] * 3)
    dot = cgutils.get_or_insert_function(builder.module, kind, name)
    if lanes == LANES:
        return builder.call(dot, [total, x, w])
    halves = []
    for first in (0, lanes):
        lane = ir.Constant(part, list(range(first, first + lanes)))
        pieces = [builder.shuffle_vector(v, v, lane) for v in (total, x, w)]
        halves.append(builder.call(dot, pieces))
    return builder.shuffle_vector(*halves, ir.Constant(WORDS, list(range(LANES))))


def _dot_plain(builder, total, x, w):
    """Byte by byte: x's are unsigned, w's are signed."""
    for byte in range(GROUP):
        up, down = constant(8 * (GROUP - 1 - byte)), constant(8 * (GROUP - 1))
        left = builder.lshr(builder.shl(x, up), down)
        right = builder.ashr(builder.shl(w, up), down)
        total = builder.add(total, builder.mul(left, right))
    return total


def _dot(builder, total, x, w):
    """total + the products of four bytes each of x and w, as 16 int32."""
    if "+avx512vnni" in FEATURES and WIDEST > 1:
        return _dot_instruction(builder, total, x, w, "llvm.x86.avx512.vpdpbusd.512", 16)
    if "+avxvnni" in FEATURES or ("+avx512vnni" in FEATURES and "+avx512vl" in FEATURES):
        return _dot_instruction(builder, total, x, w, "llvm.x86.avx512.vpdpbusd.256", 8)
    return _dot_plain(builder, total, x, w)


def product_tile(rows, vectors):
    """Intrinsic: the sums of ``rows`` pixels x ``vectors`` * 16 channels of an int8 convolution.

    tile(x, x_at, numbers, taps, runs, groups, w, block, first, count, sums)

    x, x_at       flat uint8 input; x_at[p] is where pixel p's window begins
    numbers       flat int32, in which begin:
    taps, runs    how far it is from a window's first byte to each of its runs
    groups, w     a run is ``groups`` * 4 bytes; weights, [group][channel] of 4 int8 each
    block         the channels' blocks, of which this tile adds the biases
    first, count  the tile's first pixel; pixels from ``count`` on repeat the last one
    sums          flat int32: [pixel][vector][channel]
    """

    @intrinsic
    def tile(typing, x, x_at, numbers, taps, runs, groups, w, block, first, count, sums):
        arguments = (x, x_at, numbers, *[types.intp] * 7, sums)

        def codegen(context, builder, signature, args):
            x_data, at, data, sums_data = (
                data_of(context, builder, signature, args, position) for position in (0, 1, 2, 10)
            )
            taps, runs, groups, w, block, first, count = args[3:10]
            last, inputs = builder.sub(count, INT(1)), []
            for r in range(rows):
                pixel = builder.add(first, INT(r))
                inside = builder.icmp_signed("<", pixel, count)
                pixel = builder.select(inside, pixel, last)
                inputs.append(builder.gep(x_data, [builder.load(builder.gep(at, [pixel]))]))

            totals = [
                [cgutils.alloca_once(builder, WORDS) for _ in range(vectors)] for _ in range(rows)
            ]
            for v in range(vectors):
                bias = number(builder, data, block, INT(v), "bias")
                for r in range(rows):
                    builder.store(bias, totals[r][v])

            width = INT(vectors * LANES)
            with cgutils.for_range(builder, runs) as tap:
                offset = builder.load(builder.gep(data, [builder.add(taps, tap.index)]))
                offset = builder.sext(offset, INT)
                run = builder.add(w, builder.mul(builder.mul(tap.index, groups), width))
                with cgutils.for_range(builder, groups) as loop:
                    start = builder.add(run, builder.mul(loop.index, width))
                    loaded = [
                        load(builder, data, builder.add(start, INT(v * LANES)), WORDS)
                        for v in range(vectors)
                    ]
                    place = builder.add(offset, builder.mul(loop.index, INT(GROUP)))
                    for r in range(rows):
                        same = spread(builder, load(builder, inputs[r], place, WORD))
                        for v in range(vectors):
                            total = _dot(builder, builder.load(totals[r][v]), same, loaded[v])
                            builder.store(total, totals[r][v])

            for r in range(rows):
                for v in range(vectors):
                    place = INT((r * vectors + v) * LANES)
                    store(builder, builder.load(totals[r][v]), sums_data, place)
            return context.get_dummy_value()

        return types.void(*arguments), codegen

    return tile


@intrinsic
def largest_tile(typing, x, x_at, down, across, rows, columns, y, y_at, lanes):
    """The largest bytes of a window, for up to 64 channels.

    x, x_at        flat uint8 input; pixel (kh, kw) begins at x_at + kh * down + kw * across, and
                   64 bytes from there can be read
    rows, columns  how many pixels the window has each way
    y, y_at        flat uint8 output
    lanes          channels that are stored
    """
    whole, vector = types.intp, ir.VectorType(BYTE, WIDE)

    def codegen(context, builder, signature, args):
        x_data, y_data = (data_of(context, builder, signature, args, n) for n in (0, 6))
        _, x_at, down, across, rows, columns, _, y_at, lanes = args
        best = cgutils.alloca_once_value(builder, ir.Constant(vector, [0] * WIDE))
        with (
            cgutils.for_range(builder, rows) as kh,
            cgutils.for_range(builder, columns) as kw,
        ):
            place = builder.add(x_at, builder.mul(kh.index, down))
            place = builder.add(place, builder.mul(kw.index, across))
            value, old = load(builder, x_data, place, vector), builder.load(best)
            larger = builder.icmp_unsigned(">", value, old)
            builder.store(builder.select(larger, value, old), best)
        store_lanes(builder, builder.load(best), y_data, y_at, lanes)
        return context.get_dummy_value()

    return types.void(x, *[whole] * 5, y, whole, whole), codegen


# Module-level names: Numba's cache never finds an intrinsic that lives only in a closure.
product_6x4, product_8x3, product_8x2, product_8x1, product_6x1, product_1x4 = (
    product_tile(*size) for size in ((6, 4), (8, 3), (8, 2), (8, 1), (6, 1), (1, 4))
)
