"""Work shared out to threads: each has a range of items, and helps the others when its own ends.

A fixed share would make all threads wait for one that something else disturbed, such as the loader
or another program. Which thread does an item never changes the item's result.

    for worker in prange(shares):
        item = next_item(counters, worker, items)
        while item >= 0:
            ...
            item = next_item(counters, worker, items)
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, types
from numba.extending import intrinsic

from minicnn.kernels.jit import jit
from minicnn.kernels.vector_tiles import INT, data_of

APART = 8  # counters are a cache line apart


def workers(items):
    """How many loops share the items."""
    return max(1, min(get_num_threads(), items))


@intrinsic
def _count_up(typing, counters, place):
    """counters[place] += 1 in one indivisible step; the value before."""

    def codegen(context, builder, signature, args):
        pointer = builder.gep(data_of(context, builder, signature, args, 0), [args[1]])
        return builder.atomic_rmw("add", pointer, INT(1), "monotonic")

    return types.int64(counters, types.intp), codegen


@jit
def first_items(items, shares):
    """A counter for each of ``shares`` workers: where its range begins."""
    counters = np.zeros(shares * APART, np.int64)
    for worker in range(shares):
        counters[worker * APART] = worker * items // shares
    return counters


@jit
def next_item(counters, worker, items):
    """An item that nobody has taken, of the worker's own range if there is one; -1 at the end."""
    shares = len(counters) // APART
    for turn in range(shares):
        owner = (worker + turn) % shares
        if counters[owner * APART] < (owner + 1) * items // shares:
            item = _count_up(counters, owner * APART)
            if item < (owner + 1) * items // shares:
                return item
    return -1
