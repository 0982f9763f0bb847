"""From the int32 sums of a convolution back to bytes, as LLVM vector code.

Each sum becomes a byte by TFLite's integer arithmetic, which is gemmlowp's two roundings:

    t = round(sum * 2^left * multiplier / 2^31)     halves go up
    q = round(t / 2^shift)                          halves go away from zero

Integers wrap at 32 bits as they do in C, so results are the same bits on every machine.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minicnn.kernels.vector_tiles import INT, LANES, data_of

# What a block of 16 channels needs: rows of 16 int32, one after another.
#   bias             what sums begin with
#   left             0, or by how much a multiplier is beyond 1: sums are shifted by it
#   even, odd        multipliers of the lanes 0, 2, ... and 1, 3, ..., each in the even lanes
#   shift, half      half of 2^shift; 0 where nothing is divided
#   limit            below it t is negative and divided: then a tie goes down
#   low, high, zero  smallest and largest byte, less zero; the byte that stands for 0
ROWS = ("bias", "left", "even", "odd", "limit", "half", "shift", "low", "high", "zero")
BLOCK = len(ROWS) * LANES

BYTE, WORD = ir.IntType(8), ir.IntType(32)
BYTES, WORDS = ir.VectorType(BYTE, LANES), ir.VectorType(WORD, LANES)
_LONGS = ir.VectorType(INT, LANES // 2)


def constant(value, vector=WORDS):
    """A constant in every lane."""
    return ir.Constant(vector, [value] * vector.count)


def load(builder, pointer, index, kind):
    """A value of type ``kind`` from a byte or int32 address that is aligned to nothing."""
    address = builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer())
    return builder.load(address, align=1)


def store(builder, value, pointer, index):
    address = builder.bitcast(builder.gep(pointer, [index]), value.type.as_pointer())
    builder.store(value, address, align=1)


def _doubling_high(builder, total, even, odd):
    """round(total * multiplier / 2^31) lane by lane: 64-bit products of even and of odd lanes.

    gemmlowp's SaturatingRoundingDoublingHighMul; it saturates for a multiplier of -2^31 alone.
    """
    upper, nudge = constant(32, _LONGS), constant(1 << 30, _LONGS)

    def lower_half(value):  # its sign extended: LLVM sees a product of 32 bits, one instruction
        return builder.ashr(builder.shl(value, upper), upper)

    longs, even, odd = (builder.bitcast(v, _LONGS) for v in (total, even, odd))
    evens = builder.add(builder.mul(lower_half(longs), lower_half(even)), nudge)
    odds = builder.add(builder.mul(builder.ashr(longs, upper), lower_half(odd)), nudge)
    evens = builder.bitcast(builder.lshr(evens, constant(31, _LONGS)), WORDS)
    odds = builder.bitcast(builder.shl(odds, constant(1, _LONGS)), WORDS)
    every_other = [lane if lane % 2 == 0 else LANES + lane for lane in range(LANES)]
    return builder.shuffle_vector(evens, odds, ir.Constant(WORDS, every_other))


def _requantized(builder, total, rows):
    """16 sums as 16 bytes; ``rows`` are the channels' numbers by their names in ROWS."""
    total = builder.shl(total, rows["left"])
    t = _doubling_high(builder, total, rows["even"], rows["odd"])
    # divide by 2^shift: below ``limit`` (0, or where nothing is divided the least integer) one
    # less than a half is added, so that ties go away from zero
    below = builder.icmp_signed("<", t, rows["limit"])
    t = builder.add(builder.add(t, builder.sext(below, WORDS)), rows["half"])
    t = builder.ashr(t, rows["shift"])
    t = builder.select(builder.icmp_signed("<", t, rows["low"]), rows["low"], t)
    t = builder.select(builder.icmp_signed(">", t, rows["high"]), rows["high"], t)
    return builder.trunc(builder.add(t, rows["zero"]), BYTES)


@intrinsic
def requantize_tile(typing, sums, rows, vectors, numbers, block, y, y_at, first, channel, lanes):
    """Bytes of the sums that a product tile left, stored as y.

    sums            flat int32: [pixel][vector][channel]
    rows, vectors   how many pixels and vectors of channels
    numbers, block  as for the product tile
    y, y_at         flat uint8 output; pixel p's channels begin at y_at[first + p] + channel
    lanes           channels of the last vector that exist: what follows belongs to others
    """
    whole = types.intp
    arguments = (sums, whole, whole, numbers, whole, y, y_at, whole, whole, whole)

    def codegen(context, builder, signature, args):
        sums_data, data, y_data, to = (
            data_of(context, builder, signature, args, position) for position in (0, 3, 5, 6)
        )
        _, rows, vectors, _, block, _, _, first, channel, lanes = args
        last = builder.sub(vectors, INT(1))
        with cgutils.for_range(builder, vectors) as vector:
            numbers = {name: number(builder, data, block, vector.index, name) for name in ROWS[1:]}
            inner = builder.icmp_signed("<", vector.index, last)
            stored = builder.select(inner, INT(LANES), lanes)
            column = builder.mul(vector.index, INT(LANES))
            with cgutils.for_range(builder, rows) as row:
                place = builder.mul(builder.mul(row.index, vectors), INT(LANES))
                total = load(builder, sums_data, builder.add(place, column), WORDS)
                value = _requantized(builder, total, numbers)
                start = builder.load(builder.gep(to, [builder.add(first, row.index)]))
                index = builder.add(builder.add(start, channel), column)
                store_lanes(builder, value, y_data, index, stored)
        return context.get_dummy_value()

    return types.void(*arguments), codegen


def number(builder, numbers, block, vector, name):
    """A row of a vector's block."""
    place = builder.add(builder.mul(vector, INT(BLOCK)), INT(ROWS.index(name) * LANES))
    return load(builder, numbers, builder.add(block, place), WORDS)


def store_lanes(builder, value, pointer, index, lanes):
    """The first ``lanes`` bytes of a vector: what follows belongs to others."""
    whole = builder.icmp_signed("==", lanes, INT(value.type.count))
    with builder.if_else(whole, likely=True) as (all_of_them, some):
        with all_of_them:
            store(builder, value, pointer, index)
        with some:
            slot = cgutils.alloca_once(builder, value.type)
            builder.store(value, slot)
            source = builder.bitcast(slot, BYTE.as_pointer())
            with cgutils.for_range(builder, lanes) as loop:
                byte = builder.load(builder.gep(source, [loop.index]))
                builder.store(byte, builder.gep(pointer, [builder.add(index, loop.index)]))
