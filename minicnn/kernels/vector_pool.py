"""Max-pooling of one window, and its gradient at one pixel, as LLVM vector code.

Values and places (which pixel of the window won) stay in registers for 16 channels at a time; plain
loops over channels of two types, floats and bytes, become much slower code.
"""

from __future__ import annotations

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


@intrinsic
def window_max(typing, x, x_at, offsets, places, count, vectors, y, argmax, y_at):
    """y[y_at...], argmax[y_at...] = the largest of ``count`` pixels, for ``vectors`` * 16 channels.

    x, x_at           flat input; pixel t of the window begins at x_at + offsets[t]
    places            places[t] is what argmax says when pixel t wins; the first of equals does
    y, argmax, y_at   flat outputs, float32 and uint8
    """
    whole = types.intp
    arguments = (x, whole, offsets, places, whole, whole, y, argmax, whole)

    def codegen(context, builder, signature, args):
        x_data, offset_data, place_data, y_data, argmax_data = (
            data_of(context, builder, signature, args, position) for position in (0, 2, 3, 6, 7)
        )
        x_at, count, vectors, y_at = args[1], args[4], args[5], args[8]
        best = [cgutils.alloca_once(builder, VECTOR) for _ in range(4)]
        place = [cgutils.alloca_once(builder, _PLACES) for _ in range(4)]

        def values(start, t):
            """Where pixel t's channels begin, and its place in every lane."""
            offset = builder.load(builder.gep(offset_data, [t]))
            here = _same(builder, builder.load(builder.gep(place_data, [t])))
            return builder.add(start, offset), here

        def group(c, width):
            start = builder.add(x_at, c)
            first, here = values(start, INT(0))
            for v in range(width):
                index = builder.add(first, INT(v * LANES))
                builder.store(load_vector(builder, x_data, index), best[v])
                builder.store(here, place[v])
            with cgutils.for_range(builder, count, start=INT(1)) as loop:
                at, here = values(start, loop.index)
                for v in range(width):
                    value = load_vector(builder, x_data, builder.add(at, INT(v * LANES)))
                    old = builder.load(best[v])
                    # a NaN wins ("unordered or greater") and, once it has, stays ("ordered")
                    larger = builder.fcmp_unordered(">", value, old)
                    wins = builder.and_(larger, builder.fcmp_ordered("ord", old, old))
                    builder.store(builder.select(wins, value, old), best[v])
                    builder.store(builder.select(wins, here, builder.load(place[v])), place[v])
            for v in range(width):
                to = builder.add(builder.add(y_at, c), INT(v * LANES))
                store_vector(builder, builder.load(best[v]), y_data, to)
                address = _byte_address(builder, argmax_data, to)
                builder.store(builder.trunc(builder.load(place[v]), _BYTES), address, align=1)

        _groups(builder, vectors, group)
        return context.get_dummy_value()

    return types.void(*arguments), codegen


@intrinsic
def window_gradient(typing, dy, argmax, starts, places, count, vectors, dx, dx_at):
    """dx[dx_at...] = the sum of dy over the windows that the pixel won, ``vectors`` * 16 channels.

    dy, argmax    flat; window t, one of ``count`` that cover the pixel, begins at starts[t]
    places        places[t] is the pixel's place in window t
    """
    whole = types.intp
    arguments = (dy, argmax, starts, places, whole, whole, dx, whole)

    def codegen(context, builder, signature, args):
        dy_data, argmax_data, start_data, place_data, dx_data = (
            data_of(context, builder, signature, args, position) for position in (0, 1, 2, 3, 6)
        )
        count, vectors, dx_at = args[4], args[5], args[7]
        totals = [cgutils.alloca_once(builder, VECTOR) for _ in range(4)]
        zero = ir.Constant(VECTOR, [0.0] * LANES)

        def group(c, width):
            for total in totals[:width]:
                builder.store(zero, total)
            with cgutils.for_range(builder, count) as loop:
                start = builder.add(builder.load(builder.gep(start_data, [loop.index])), c)
                here = _same(builder, builder.load(builder.gep(place_data, [loop.index])))
                for v, total in enumerate(totals[:width]):
                    at = builder.add(start, INT(v * LANES))
                    won = builder.load(_byte_address(builder, argmax_data, at), align=1)
                    mine = builder.icmp_signed("==", builder.zext(won, _PLACES), here)
                    share = builder.select(mine, load_vector(builder, dy_data, at), zero)
                    builder.store(builder.fadd(builder.load(total), share), total)
            for v, total in enumerate(totals[:width]):
                to = builder.add(builder.add(dx_at, c), INT(v * LANES))
                store_vector(builder, builder.load(total), dx_data, to)

        _groups(builder, vectors, group)
        return context.get_dummy_value()

    return types.void(*arguments), codegen
