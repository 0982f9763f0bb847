"""Max-pooling of one window, and its gradient at one pixel, as LLVM vector code.

Values and places (which pixel of the window won) stay in registers for 16 channels at a time; plain
loops over channels of two types, floats and bytes, become much slower code.
"""

from __future__ import annotations

from contextlib import contextmanager

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.kernels.vector_tiles import INT, LANES, VECTOR, data_of, load_vector, store_vector

_PLACES = ir.VectorType(ir.IntType(32), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)


def _same(builder, value):
    """The integer (of any width) as 32 bits in every lane."""
    value = builder.trunc(value, ir.IntType(32))
    one = builder.insert_element(ir.Constant(_PLACES, ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.Constant(_PLACES, [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(_PLACES, ir.Undefined), zeros)


def _byte_address(builder, pointer, index):
    return builder.bitcast(builder.gep(pointer, [index]), _BYTES.as_pointer())


def _groups(builder, vectors, body):
    """body(channel, width) for all vectors, 4 at a time and then one by one.

    Four at a time share the loop over the window: its few turns cost less than their bookkeeping.
    """
    fours = builder.sdiv(vectors, INT(4))
    with cgutils.for_range(builder, fours) as loop:
        body(builder.mul(loop.index, INT(4 * LANES)), 4)
    with cgutils.for_range(builder, vectors, start=builder.mul(fours, INT(4))) as loop:
        body(builder.mul(loop.index, INT(LANES)), 1)


@contextmanager
def _window(builder, rows, columns):
    """The body of two loops, over (first, one past the last) rows and columns."""
    with (
        cgutils.for_range(builder, rows[1], start=rows[0]) as row,
        cgutils.for_range(builder, columns[1], start=columns[0]) as column,
    ):
        yield row.index, column.index


@intrinsic
def window_max(typing, x, x_at, down, across, rows, columns, width, vectors, y, argmax, y_at):
    """y[y_at...], argmax[y_at...] = the largest pixel of a window, for ``vectors`` * 16 channels.

    x, x_at           flat input; pixel (kh, kw) begins at x_at + kh * down + kw * across
    rows, columns     (first, one past the last) kh and kw that lie in the image
    width             KW: argmax says kh * KW + kw; the first of equal pixels wins
    y, argmax, y_at   flat outputs, float32 and uint8
    """
    whole, pair = types.intp, types.UniTuple(types.intp, 2)
    arguments = (x, whole, whole, whole, pair, pair, whole, whole, y, argmax, whole)

    def codegen(context, builder, signature, args):
        x_data, y_data, argmax_data = (
            data_of(context, builder, signature, args, position) for position in (0, 8, 9)
        )
        x_at, down, across, _, _, width, vectors, _, _, y_at = args[1:]
        rows, columns = (cgutils.unpack_tuple(builder, args[position]) for position in (4, 5))
        best = [cgutils.alloca_once(builder, VECTOR) for _ in range(4)]
        place = [cgutils.alloca_once(builder, _PLACES) for _ in range(4)]
        none = ir.Constant(VECTOR, [float("-inf")] * LANES)

        def group(c, wide):
            start = builder.add(x_at, c)
            first = builder.add(builder.mul(rows[0], width), columns[0])
            for v in range(wide):
                # what a window of nothing but -inf answers
                builder.store(none, best[v])
                builder.store(_same(builder, first), place[v])
            with _window(builder, rows, columns) as (kh, kw):
                offset = builder.add(builder.mul(kh, down), builder.mul(kw, across))
                at = builder.add(start, offset)
                here = _same(builder, builder.add(builder.mul(kh, width), kw))
                for v in range(wide):
                    value = load_vector(builder, x_data, builder.add(at, INT(v * LANES)))
                    old = builder.load(best[v])
                    # a NaN wins ("unordered or greater") and, once it has, stays ("ordered")
                    larger = builder.fcmp_unordered(">", value, old)
                    wins = builder.and_(larger, builder.fcmp_ordered("ord", old, old))
                    builder.store(builder.select(wins, value, old), best[v])
                    builder.store(builder.select(wins, here, builder.load(place[v])), place[v])
            for v in range(wide):
                to = builder.add(builder.add(y_at, c), INT(v * LANES))
                store_vector(builder, builder.load(best[v]), y_data, to)
                address = _byte_address(builder, argmax_data, to)
                builder.store(builder.trunc(builder.load(place[v]), _BYTES), address, align=1)

        _groups(builder, vectors, group)
        return context.get_dummy_value()

    return types.void(*arguments), codegen


@intrinsic
def window_gradient(
    typing, dy, argmax, at, down, across, rows, columns, place, steps, vectors, dx, dx_at
):
    """dx[dx_at...] = the sum of dy over the windows that a pixel won, ``vectors`` * 16 channels.

    dy, argmax, at    flat; window (i, j) begins at at + i * down + j * across
    rows, columns     (first, one past the last) i and j of the windows that cover the pixel
    place, steps      the pixel's place in window (i, j) is place - i * steps[0] - j * steps[1]
    """
    whole, pair = types.intp, types.UniTuple(types.intp, 2)
    arguments = (dy, argmax, whole, whole, whole, pair, pair, whole, pair, whole, dx, whole)

    def codegen(context, builder, signature, args):
        dy_data, argmax_data, dx_data = (
            data_of(context, builder, signature, args, position) for position in (0, 1, 10)
        )
        at, down, across, _, _, place, _, vectors, _, dx_at = args[2:]
        rows, columns, steps = (cgutils.unpack_tuple(builder, args[i]) for i in (5, 6, 8))
        totals = [cgutils.alloca_once(builder, VECTOR) for _ in range(4)]
        zero = ir.Constant(VECTOR, [0.0] * LANES)

        def group(c, wide):
            for total in totals[:wide]:
                builder.store(zero, total)
            with _window(builder, rows, columns) as (i, j):
                offset = builder.add(builder.mul(i, down), builder.mul(j, across))
                start = builder.add(builder.add(at, c), offset)
                back = builder.add(builder.mul(i, steps[0]), builder.mul(j, steps[1]))
                here = _same(builder, builder.sub(place, back))
                for v, total in enumerate(totals[:wide]):
                    index = builder.add(start, INT(v * LANES))
                    won = builder.load(_byte_address(builder, argmax_data, index), align=1)
                    mine = builder.icmp_signed("==", builder.zext(won, _PLACES), here)
                    part = builder.select(mine, load_vector(builder, dy_data, index), zero)
                    builder.store(builder.fadd(builder.load(total), part), total)
            for v, total in enumerate(totals[:wide]):
                to = builder.add(builder.add(dx_at, c), INT(v * LANES))
                store_vector(builder, builder.load(total), dx_data, to)

        _groups(builder, vectors, group)
        return context.get_dummy_value()

    return types.void(*arguments), codegen
