"""The switch between the two implementations, and what both promise: threads, NaN, dtypes."""

import inspect
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from minicnn import kernels
from minicnn.kernels import fast_conv, fast_pool, reference

both = pytest.mark.parametrize("name", kernels.NAMES)


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


def run_all(N, side, C, OC):
    """Every output of every kernel that sums, for one 'same' convolution, pools and a dense."""
    x, w, b = normal(N, side, side, C), normal(OC, 3, 3, C), normal(OC)
    y, dx = np.empty((N, side, side, OC), np.float32), np.empty_like(x)
    kernels.conv2d_forward(x, w, b, (1, 1), (1, 1), True, y, 0)
    kernels.conv2d_backward_input(y, w, (1, 1), (1, 1), x, dx)
    dw, db = np.empty_like(w), np.empty_like(b)
    kernels.conv2d_backward_weights(x, y, 0, (1, 1), (1, 1), False, dw, db)
    ds = np.empty_like(x)
    both = np.concatenate([y, y], axis=3)
    kernels.expands_backward_input(both, normal(OC, 1, 1, C), w, x, ds)

    window = (3, 3), (2, 2), (0, 0)
    out = (side - 3) // 2 + 1
    most, mean = np.empty((2, N, out, out, C), np.float32)
    argmax, dmost, dmean = np.empty(most.shape, np.uint8), np.empty_like(x), np.empty_like(x)
    kernels.maxpool_forward(x, *window, most, argmax)
    kernels.maxpool_backward(most, argmax, *window, dmost)
    kernels.avgpool_forward(x, *window, mean)
    kernels.avgpool_backward(mean, *window, dmean)

    flat, v = x.reshape(N, -1), normal(7, side * side * C)
    z, dflat, dv = np.empty((N, 7), np.float32), np.empty_like(flat), np.empty_like(v)
    kernels.dense_forward(flat, v, normal(7), False, z)
    kernels.dense_backward_input(z, v, flat, dflat)
    kernels.dense_backward_weights(flat, z, False, dv, dc := np.empty(7, np.float32))
    p, dz = np.empty_like(z), np.empty_like(z)
    kernels.softmax_forward(z, p)
    kernels.softmax_backward(z, p, dz)
    geometry = (1, 1), (1, 1), (side, side), (3, 3), (2, 2)
    stem, places = np.empty((N, out, out, OC), np.float32), np.empty((N, out, out, OC), np.uint8)
    dw_stem, db_stem = np.empty_like(w), np.empty_like(b)
    kernels.conv_pool_forward(x, w, b, *geometry, stem, places)
    kernels.conv_pool_backward_weights(x, stem, places, *geometry, False, dw_stem, db_stem)
    kernels.dropout(y, 0.5, np.uint64(3), 7, dropped := np.empty_like(y))
    kernels.sgd_update(v.reshape(-1), dv.reshape(-1), dv.reshape(-1).copy(), 0.1, 0.9, False, 1.0)
    convolution = [y, dx, dw, db, ds, stem, places, dw_stem, db_stem, dropped]
    return [*convolution, most, argmax, mean, dmost, dmean, z, dflat, v, dv, dc, p, dz]


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only on this machine")
@pytest.mark.parametrize("shape", [(1, 33, 3, 64), (5, 14, 17, 20), (19, 9, 16, 33)])
def test_results_do_not_depend_on_the_threads(shape):
    before = numba.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            numba.set_num_threads(threads)
            results.append(run_all(*shape))
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        assert one.tobytes() == two.tobytes()


@both
def test_a_nan_stays_visible_through_convolution_and_relu(name):
    x, w = normal(1, 4, 4, 2), normal(3, 3, 3, 2)
    x[0, 0, 0, 1] = np.nan
    y = np.empty((1, 4, 4, 3), np.float32)
    with kernels.using(name):
        kernels.conv2d_forward(x, w, np.zeros(3, np.float32), (1, 1), (1, 1), True, y, 0)
    assert np.isnan(y[0, :2, :2]).all()
    assert not np.isnan(y[0, 2:, 2:]).any()


@both
def test_a_nan_stays_visible_through_dense_and_relu(name):
    x, y = np.array([[1, np.nan], [1, 1]], np.float32), np.empty((2, 3), np.float32)
    with kernels.using(name):
        kernels.dense_forward(x, np.ones((3, 2), np.float32), np.ones(3, np.float32), True, y)
    assert np.isnan(y[0]).all()
    assert (y[1] == 3).all()


@both
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_nan_stays_visible_through_max_pool_wherever_it_stands(name, place):
    x = np.array([4, 3, 2, 1], np.float32)
    x[place] = np.nan
    y, argmax = np.empty((1, 1, 1, 1), np.float32), np.empty((1, 1, 1, 1), np.uint8)
    with kernels.using(name):
        kernels.maxpool_forward(x.reshape(1, 2, 2, 1), (2, 2), (2, 2), (0, 0), y, argmax)
    assert np.isnan(y).all()
    assert argmax[0, 0, 0, 0] == place


def test_max_pool_windows_of_more_than_256_places():
    x = np.zeros((1, 17, 18, 2), np.float32)
    x[0, 16, 17, :] = 1
    for module in (reference, fast_pool):
        y, argmax = np.empty((1, 1, 1, 2), np.float32), np.empty((1, 1, 1, 2), np.int32)
        module.maxpool_forward(x, (17, 18), (1, 1), (0, 0), y, argmax)
        assert (argmax == 17 * 18 - 1).all()
        dx = np.empty_like(x)
        module.maxpool_backward(y, argmax, (17, 18), (1, 1), (0, 0), dx)
        np.testing.assert_array_equal(dx, x)


@both
def test_float64_takes_the_reference_and_keeps_its_digits(name):
    x, w = np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 2))
    x[..., 1] = 1e-12  # float32 would lose it
    y = np.empty((1, 1, 1, 1))
    with kernels.using(name):
        kernels.conv2d_forward(x, w, np.zeros(1), (1, 1), (0, 0), False, y, 0)
        assert kernels.current() == name
    assert y.dtype == np.float64
    assert y.item() == 1 + 1e-12


def test_the_switch(monkeypatch):
    called = []
    monkeypatch.setattr(reference, "relu_backward", lambda *args: called.append("reference"))
    monkeypatch.setattr(fast_conv, "conv2d_forward", lambda *args: called.append("fast"))
    kernel = kernels._twin("relu_backward", fast_conv.conv2d_forward)
    wide, narrow = normal(2, dtype=np.float64), normal(2)
    for name in kernels.NAMES:
        with kernels.using(name):
            assert kernels.current() == name
            kernel(narrow, narrow)
            kernel(narrow, wide)
    assert called == ["reference", "reference", "fast", "reference"]


def test_the_switch_is_restored_also_after_an_error():
    before = kernels.current()
    with pytest.raises(KeyError), kernels.using("reference"):
        raise KeyError
    assert kernels.current() == before


def test_an_unknown_implementation_is_refused():
    before = kernels.current()
    with pytest.raises(ValueError, match=r"'quick'.*reference, fast"):
        kernels.use("quick")
    assert kernels.current() == before


SSE = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt"

# A small network's forward and backward pass: prints what the checks below compare.
SCRIPT = """
import inspect, json, numpy as np
from minicnn import kernels
from minicnn.kernels import reference, vector_tiles
from minicnn.layers import Conv2D
from minicnn.layers import Fire, MaxPool2D, Sequential
layer = Conv2D(2, 17, (3, 2), stride=2, padding="same", relu=True, rng=0)
net = Sequential([Conv2D(2, 20, 2, relu=True, rng=1), MaxPool2D(2), Fire(20, 3, 16, rng=2)])
x = np.random.default_rng(1).standard_normal((2, 5, 7, 2), np.float32)
y = layer.forward(x, train=True)
dx = layer.backward(y)
z = net.forward(x, train=True)
dz = net.backward(z)
more = [z, dz, *(param.grad for param in net.named_params().values())]
print(json.dumps({
    "widest": vector_tiles.WIDEST,
    "current": kernels.current(),
    "plain": inspect.isfunction(reference.conv2d_forward),
    "arrays": [a.tolist() for a in (y, dx, *(p.grad for p in layer.params.values()), *more)],
}))
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


@pytest.fixture(scope="module")
def here():
    return run_script()


def test_without_the_compiler_the_source_itself_runs(here):
    """NUMBA_DISABLE_JIT=1: a debugger can step through the reference."""
    plain = run_script(NUMBA_DISABLE_JIT="1")
    assert plain["current"] == "reference"
    assert plain["plain"]
    assert not inspect.isfunction(reference.conv2d_forward)
    for uncompiled, fast in zip(plain["arrays"], here["arrays"], strict=True):
        np.testing.assert_allclose(uncompiled, fast, rtol=1e-5, atol=1e-5)


def test_without_the_compiler_fast_is_refused(monkeypatch):
    monkeypatch.setattr(kernels.config, "DISABLE_JIT", 1)
    with pytest.raises(ValueError, match="NUMBA_DISABLE_JIT"):
        kernels.use("fast")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="an x86 machine's tile")
@pytest.mark.parametrize(
    ("cpu", "features"),
    [("haswell", f"{SSE},+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt"), ("generic", "")],
)
def test_on_a_machine_without_avx512_the_tile_is_narrow(here, pytestconfig, cpu, features):
    """AVX2, and what every machine has: the choice that Arm and others get too."""
    narrow = run_script(
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES=features,
        NUMBA_CACHE_DIR=str(pytestconfig.cache.mkdir(f"numba-{cpu}")),
    )
    assert narrow["widest"] == 1
    assert narrow["current"] == "fast"
    for one, other in zip(narrow["arrays"], here["arrays"], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
