"""Roundings of the integer kernels, one by one; whole graphs are in compress/test_simulate.py."""

import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minicnn.kernels import int8
from minicnn.kernels.fixed_point import (
    divide_by_power_of_two,
    exp_of_negative,
    high_mul,
    multiply,
    quantize_multiplier,
    reciprocal,
    round_half_away,
    wrap,
)

INT32 = st.integers(-(2**31), 2**31 - 1)
modest = settings(max_examples=200, deadline=None, derandomize=True)


def half_away(x: Fraction) -> int:
    whole = math.floor(abs(x) + Fraction(1, 2))
    return whole if x >= 0 else -whole


@pytest.mark.parametrize(
    "scale, multiplier, shift",
    [
        (0.0, 0, 0),
        (0.5, 2**30, 0),
        (1.0, 2**30, 1),
        (0.75, 3 * 2**29, 0),
        (math.nextafter(1.0, 0.0), 2**30, 1),  # the fraction rounds up to 1
        (0.5 + 2.0**-32, 2**30 + 1, 0),  # a tie, away from zero
        (2.0**-32, 2**30, -31),
        (math.nextafter(2.0**-32, 0.0), 2**30, -31),  # rounded up before it is judged
        (2.0**-33, 0, 0),
        (100.0, 100 * 2**24, 7),
    ],
)
def test_multiplier_and_shift_of_a_scale(scale, multiplier, shift):
    assert quantize_multiplier(scale) == (multiplier, shift)


@pytest.mark.parametrize(
    "x, nearest", [(0.5, 1), (-0.5, -1), (2.5, 3), (-1.49, -1), (0.0, 0), (-7.0, -7)]
)
def test_ties_of_a_float_go_away_from_zero(x, nearest):
    assert round_half_away(x) == nearest


def test_the_float_below_a_half_is_no_tie():
    assert round_half_away(math.nextafter(0.5, 0.0)) == 0


@modest
@given(INT32, st.integers(0, 31))
@example(-1, 1)
@example(-3, 1)
@example(2**31 - 1, 31)
def test_division_sends_ties_away_from_zero(x, exponent):
    assert divide_by_power_of_two(x, exponent) == half_away(Fraction(x, 2**exponent))


@modest
@given(INT32, INT32)
@example(1, 2**30)
@example(-1, 2**30)
def test_the_high_product_sends_ties_up(a, b):
    assert high_mul(a, b) == min(math.floor(Fraction(a * b, 2**31) + Fraction(1, 2)), 2**31 - 1)


@modest
@given(INT32, st.integers(2**30, 2**31 - 1), st.integers(-31, 7))
def test_multiplication_rounds_twice(x, multiplier, shift):
    product = wrap(x * 2 ** max(shift, 0)) * multiplier
    first = math.floor(Fraction(product, 2**31) + Fraction(1, 2))
    assert multiply(x, multiplier, shift) == half_away(Fraction(first, 2 ** max(-shift, 0)))


def test_rounding_twice_is_not_rounding_once():
    # 384 * 0.0013 = 0.4992 = 255.6 / 512: rounded to 256 / 512 first, which is a tie
    scale = quantize_multiplier(0.0013)
    assert [multiply(x, *scale) for x in (384, -384)] == [1, -1]


@modest
@given(st.integers(-(31 << 26), 0))
@example(0)
@example(-1)
@example(-(1 << 24))
def test_exp_in_fixed_point_is_near_exp(x):
    assert abs(exp_of_negative(x) / 2**31 - math.exp(x / 2**26)) < 3e-7


@modest
@given(st.integers(0, 2**31 - 1))
@example(0)
def test_reciprocal_in_fixed_point_is_near_one_over_one_plus_x(x):
    assert reciprocal(x) < 2**31  # at 0 it is held within int32
    assert abs(reciprocal(x) / 2**31 - 1 / (1 + x / 2**31)) < 4e-9


def pooled(kernel, rows, window, **keywords):
    x = np.array(rows, np.int8)[None, :, :, None]
    y = np.empty((1, len(rows) // window[0], len(rows[0]) // window[1], 1), np.int8)
    kernel(x, window, window, (0, 0), -128, 127, y)
    return y.ravel().tolist()


def test_average_pool_sends_ties_away_from_the_integer_zero():
    assert pooled(int8.average_pool, [[1, 2, -1, -2, 0, 1, 0, -1]], (1, 2)) == [2, -2, 1, -1]


def test_average_pool_counts_the_pixels_inside_only():
    x = np.array([[9, 3, 5]], np.int8).reshape(1, 1, 3, 1)
    y = np.empty((1, 1, 2, 1), np.int8)
    int8.average_pool(x, (3, 2), (1, 2), (1, 0), -128, 127, y)
    assert y.ravel().tolist() == [6, 5]


def test_softmax_of_equal_inputs_shares_equally():
    y = np.empty((1, 4), np.int8)
    int8.softmax(np.full((1, 4), 17, np.int8), 2**30, 20, -100, y)
    assert y.ravel().tolist() == [-64] * 4  # a quarter in steps of 1/256


def test_plain_python_gives_what_the_compiled_loops_give():
    tests = Path(__file__).resolve().parents[1]
    code = (
        "import random, hashlib, int8_graphs\n"
        "from minicnn import kernels\n"
        "from minicnn.compress.simulate import Simulator\n"
        "kernels.use('reference')\n"
        "digest = hashlib.sha256()\n"
        "for seed in range(6):\n"
        "    graph = int8_graphs.random_graph(random.Random(seed))\n"
        "    for value in Simulator(graph).tensors(int8_graphs.images(graph, 1)).values():\n"
        "        digest.update(value.tobytes())\n"
        "print(digest.hexdigest())\n"
    )
    paths = os.pathsep.join([str(tests.parent), str(tests)])
    digests = set()
    for disabled in ("0", "1"):
        environment = os.environ | {"NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": paths}
        command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1
