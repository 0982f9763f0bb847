"""The fast twin of the int8 simulator: the same bits as the loops, whatever runs it, and how."""

import json
import os
import platform
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from random import Random

import int8_graphs
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from int8_graphs import Builder

from minicnn import kernels
from minicnn.compress.plan import Plan
from minicnn.compress.simulate import RULES, Loops


@pytest.fixture(autouse=True)
def threads():
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


def check(graph, rules="litert-2.3", N=3):
    """Plan and loops agree on every tensor; one image alone and all tensors' plan say the same."""
    x = int8_graphs.images(graph, N)
    plan, wanted = Plan(graph, rules), Loops(graph, rules).tensors(x)
    found = plan.tensors(x)
    assert set(found) == set(wanted)
    for number, values in wanted.items():
        assert found[number].dtype == values.dtype
        np.testing.assert_array_equal(found[number], values, graph.tensors[number].name)
    for some in (x, x[1:2]):
        for number, output in zip(graph.outputs, plan.run(some), strict=True):
            rows = wanted[number] if len(some) == N else wanted[number][1:2]
            np.testing.assert_array_equal(output, rows)
    return plan


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from(RULES), st.sampled_from([1, 2]))
def test_any_graph(random, rules, count):
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    check(int8_graphs.random_graph(random), rules)


@pytest.mark.parametrize("channels", [16, 24, 32, 48, 64, 80, 130])
@pytest.mark.parametrize("size", [(13, 13), (1, 1), (40, 37)])
def test_every_width_of_the_tile(channels, size):
    """One to four vectors, whole and not; panels of channels, blocks of pixels."""
    build = Builder(Random(channels))
    x = build.conv(build.input((*size, 5)), channels, (3, 3))
    x = build.conv(build.conv(x, channels, (1, 1)), 3, (2, 3), (2, 1))
    build.graph.outputs = [x]
    check(build.graph, N=2)


@pytest.mark.parametrize("op", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
@pytest.mark.parametrize("channels", [1, 63, 64, 100])
@pytest.mark.parametrize("activation", ["NONE", "RELU6"])
def test_pools(op, channels, activation):
    build = Builder(Random(1))
    x = build.input((6, 7, channels))
    attrs = {"kernel": (3, 2), "stride": (2, 2), "padding": "same", "activation": activation}
    build.graph.outputs = [build.like(op, (x,), (3, 4, channels), **attrs)]
    check(build.graph)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize(("rows", "columns"), [(300, 200), (7, 64), (1000, 1)])
def test_dense_layers(rules, rows, columns):
    build = Builder(Random(rows))
    build.graph.outputs = [build.dense(build.input((rows,)), columns)]
    check(build.graph, rules)


def joined(build, parts, shape, axis):
    return build.like("CONCATENATION", parts, shape, axis=axis)


def test_what_is_concatenated_is_written_in_place_or_copied():
    """An input, a tensor twice, a part of two results, along each axis; with windows across it."""
    build = Builder(Random(4))
    x = build.input((5, 5, 4))
    pooled = build.like(
        "MAX_POOL_2D", (x,), (5, 5, 4), kernel=(1, 1), stride=(1, 1), padding="valid"
    )
    deep = joined(build, (x, pooled), (5, 5, 8), 3)
    twice = joined(build, (pooled, deep, pooled), (5, 5, 16), -1)
    tall = joined(build, (twice, twice), (10, 5, 16), 1)
    wide = joined(build, (tall, tall), (10, 10, 16), 2)
    first = build.conv(pooled, 3, (3, 3))  # reads a part of a wider tensor, with a rim
    build.graph.outputs = [build.conv(wide, 7, (3, 2)), build.flat(first), x]
    check(build.graph)


def test_flattened_pixels_that_do_not_lie_together_are_copied():
    build = Builder(Random(5))
    x = build.input((4, 4, 3))
    near = build.conv(x, 2, (3, 3))  # x has a rim: its pixels do not lie in one row
    build.graph.outputs = [build.dense(build.flat(x), 5), build.dense(build.flat(near), 5)]
    check(build.graph)


def test_many_threads_may_ask():
    build = Builder(Random(6))
    x = build.conv(build.input((20, 20, 3)), 40, (3, 3))
    build.graph.outputs = [build.conv(x, 8, (3, 3))]
    plan, x = Plan(build.graph), int8_graphs.images(build.graph, 8)
    wanted, found = plan.run(x)[0], {}

    def ask(n):
        for _ in range(20):
            found[n] = plan.run(x[n : n + 1])[0]

    asking = [threading.Thread(target=ask, args=(n,)) for n in range(len(x))]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    for n, output in found.items():
        np.testing.assert_array_equal(output, wanted[n : n + 1])


def test_no_images():
    build = Builder(Random(7))
    build.graph.outputs = [build.conv(build.input((4, 4, 3)), 2, (3, 3))]
    assert Plan(build.graph).run(np.zeros((0, 4, 4, 3), np.int8))[0].shape == (0, 4, 4, 2)


def test_what_the_tile_cannot_do_exactly_is_left_to_the_loops():
    build = Builder(Random(8))
    x = build.input((4, 4, 3))
    build.graph.outputs = [build.conv(x, 2, (3, 3))]
    bias = build.graph.tensors[build.graph.nodes[0].inputs[2]]
    bias.data = np.full(2, 2**31 - 1, np.int32)
    with pytest.raises(LookupError, match="conv_2d0: sums near"):
        Plan(build.graph)


def test_an_operation_without_a_row():
    build = Builder(Random(9))
    build.graph.outputs = [build.relu(build.input((4, 4, 3)))]
    build.graph.nodes[0] = replace(build.graph.nodes[0], op="TANH")
    with pytest.raises(LookupError, match="no row for TANH to run fast"):
        Plan(build.graph)


def test_other_rules():
    build = Builder(Random(10))
    build.graph.outputs = [build.relu(build.input((4, 4, 3)))]
    with pytest.raises(ValueError, match="choose one of"):
        Plan(build.graph, "tflite-runtime-1.0")


SCRIPT = """
import json
import numpy as np
from minicnn.kernels import int8_requantize, int8_tiles
from minicnn.kernels.jit import jit

@jit
def tile(x, x_at, numbers, w, y, y_at, sums):
    int8_tiles.product_6x1(x, x_at, numbers, 0, 2, 5, w, 16, 0, 6, sums)
    int8_requantize.requantize_tile(sums, 6, 1, numbers, 16, y, y_at, 0, 0, 16)

rng = np.random.default_rng(0)
block = rng.integers(-(2**20), 2**20, (len(int8_requantize.ROWS), 16))
rows = dict(zip(int8_requantize.ROWS, block))
rows["even"][:] = rows["odd"][:] = rng.integers(2**30, 2**31, 16)
rows["left"][:], rows["shift"][:] = 0, rng.integers(0, 16, 16)
rows["half"][:], rows["limit"][:] = (1 << rows["shift"]) >> 1, np.minimum(0, rows["shift"] - 1)
rows["limit"][rows["shift"] == 0] = -(2**31)
rows["low"][:], rows["high"][:], rows["zero"][:] = -100, 155, 100
w = rng.integers(-128, 128, 2 * 5 * 16 * 4).astype(np.int8).view(np.int32)
numbers = np.concatenate([[0, 40], np.zeros(14), block.ravel(), w]).astype(np.int32)
x, y, sums = rng.integers(0, 256, 200).astype(np.uint8), np.zeros(96, np.uint8), np.zeros(96, "i4")
tile(x, np.arange(6) * 20, numbers, 16 + block.size, y, np.arange(6) * 16, sums)
code = "".join(tile.inspect_llvm().values())
print(json.dumps([sums.tolist(), y.tolist(), "vpdpbusd" in code]))
"""


def run_script(**environment):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(Path(kernels.__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 machines' tiles")
def test_the_tile_without_vnni_gives_the_same_bits(tmp_path):
    plain = run_script(
        NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", NUMBA_CACHE_DIR=str(tmp_path)
    )
    sums, y, vnni = run_script(NUMBA_CACHE_DIR=str(tmp_path))
    assert plain == [sums, y, False]
    assert len(set(y)) > 20
    features = "+sse2,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+avxvnni"
    if vnni and "avx_vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        half = run_script(
            NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES=features, NUMBA_CACHE_DIR=str(tmp_path)
        )
        assert half == [sums, y, True]
