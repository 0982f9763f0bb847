"""Recycled memory: taken again once its array is gone, and never before."""

import gc

import numpy as np
import pytest

from minicnn.kernels import memory

LARGE = (300, 1000)  # float32: 1.2 MB


@pytest.fixture(autouse=True)
def nothing_free():
    gc.collect()
    memory.release()


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_of_an_array_that_is_gone_serves_the_next():
    first = memory.empty(LARGE)
    where, held = address(first), memory.held()
    del first
    second = memory.empty((1000, 299))  # a little smaller: a last batch
    assert address(second) == where
    assert memory.held() == held
    assert second.shape == (1000, 299)
    assert second.dtype == np.float32
    assert second.flags.c_contiguous
    assert second.flags.writeable


def test_two_arrays_that_live_never_share():
    one, other = memory.empty(LARGE), memory.empty(LARGE)
    one[...], other[...] = 1, 2
    assert (one == 1).all()


@pytest.mark.parametrize("view", [lambda a: a[5:], lambda a: a.reshape(-1)[7:9], lambda a: a.T])
def test_a_view_keeps_the_memory(view):
    kept = view(memory.empty(LARGE))
    kept[...] = 3
    memory.empty(LARGE)[...] = 4
    assert (kept == 3).all()


def test_small_arrays_are_numpys_own():
    before = memory.held()
    assert memory.empty((3, 4), np.uint8).dtype == np.uint8
    assert memory.empty((0, 5)).size == 0
    assert memory.held() == before


def test_release_gives_back_what_nobody_uses():
    kept, gone = memory.empty(LARGE), memory.empty(LARGE)
    held = memory.held()
    del gone
    memory.release()
    assert memory.held() == held // 2
    kept[...] = 1
