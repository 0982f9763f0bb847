"""Runs the steps of ``fast_int8``: all threads on one image, or each on images of its own.

**Together.** A step's items are dealt out (``sharing``), and the next step begins when the last
item is done. Threads do not sleep between steps. A thread waits only for items that others have
begun: so little is lost when a thread starts late, and nothing hangs if it never does.

**Apart.** Each thread takes images one by one through all steps, in an arena of its own.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import prange, types
from numba.extending import intrinsic

from minicnn.kernels.fast_int8 import (
    average_pool_item,
    max_pool_item,
    product_item,
    softmax_item,
    table_item,
)
from minicnn.kernels.fast_int8_moves import move_item
from minicnn.kernels.int8_steps import AVERAGE_POOL, CONV, DENSE, MAX_POOL, SOFTMAX, TABLE
from minicnn.kernels.jit import jit
from minicnn.kernels.sharing import APART, next_item
from minicnn.kernels.vector_tiles import data_of

inner = partial(jit, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # less to compile


@intrinsic
def _finished(typing, counters, place, items):
    """counters[place] += items; what this thread wrote before is seen by who waits for it."""

    def codegen(context, builder, signature, args):
        pointer = builder.gep(data_of(context, builder, signature, args, 0), [args[1]])
        builder.atomic_rmw("add", pointer, args[2], "acq_rel")
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.intp), codegen


@intrinsic
def _done(typing, counters, place):
    """counters[place], and with it what others wrote before they counted."""

    def codegen(context, builder, signature, args):
        pointer = builder.gep(data_of(context, builder, signature, args, 0), [args[1]])
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(counters, types.intp), codegen


@inner
def _run_item(step, item, image, images, numbers, doubles, arena, outside, x_at, y_at, sums):
    """One item of one step for one image of ``images``; the rest as for ``run``."""
    kind = step.kind
    if kind in (CONV, DENSE):
        product_item(step, item, arena, numbers, doubles, x_at, y_at, sums)
    elif kind == MAX_POOL:
        max_pool_item(step, item, arena)
    elif kind == AVERAGE_POOL:
        average_pool_item(step, item, arena)
    elif kind == TABLE:
        table_item(step, item, arena, numbers)
    elif kind == SOFTMAX:
        softmax_item(step, item, arena, numbers)
    else:
        move_item(step, item, image, images, arena, outside)


@inner
def _run_part(
    steps, worker, line, dealt, done, image, images, apart, numbers, doubles, arena, outside,
    places, sums
):  # fmt: skip
    """A thread's part of ``images``, or of one image: all items of a step, or those dealt to it."""
    x_at, y_at = places[0], places[1]
    number = next_item(line[0], worker, images) if apart else image
    while number >= 0:
        for s in range(len(steps)):
            step, row, count = steps[s], dealt[s], 0
            item = 0 if apart else next_item(row, worker, step.items)
            while 0 <= item < step.items:
                _run_item(
                    step, item, number, images, numbers, doubles, arena, outside, x_at, y_at, sums
                )
                count += 1
                item = item + 1 if apart else next_item(row, worker, step.items)
            if not apart:
                _finished(done, s * APART, count)
                while _done(done, s * APART) < step.items:
                    pass
        number = next_item(line[0], worker, images) if apart else -1


def dealt_items(items, shares):
    """(len(items), ...) int64: a row for each count of items, for ``sharing`` to deal them out."""
    dealt = np.zeros((len(items), shares, APART), np.int64)
    dealt[..., 0] = np.arange(shares) * items[:, None] // shares
    return dealt.reshape(len(items), shares * APART)


@jit(parallel=True)
def run(
    steps, line, dealt, done, image, images, apart, numbers, doubles, arenas, outside, places, sums
):  # fmt: skip
    """Run one image (number ``image``), or all ``images`` if ``apart``.

    steps             (steps,) of STEP
    line, dealt       of dealt_items, for [images] and for the steps' items; counted on here
    done              (steps * APART,) int64 zeros: counts the items that are done
    numbers, doubles  what steps point to: int32, float64
    arenas            (threads, bytes) uint8; together only the first is used
    outside           x as bytes and as floats, y as bytes and as floats
    places, sums      scratch: (threads, 2, pixels of the largest block) int64,
                      (threads, LARGEST_TILE) int32
    """
    for unsigned in prange(len(sums)):
        worker = np.int64(unsigned)  # prange counts unsigned
        arena = arenas[worker if apart else 0]
        own = places[worker], sums[worker]
        _run_part(
            *(steps, worker, line, dealt, done, image, images, apart),
            *(numbers, doubles, arena, outside, *own),
        )
