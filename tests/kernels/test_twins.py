"""Every fast kernel against the plain loops, on random shapes; and what no kernel may break."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minicnn import kernels
from minicnn.kernels import (
    fast_conv,
    fast_conv_weights,
    fast_dense,
    fast_optim,
    fast_pool,
    fast_stem,
    reference,
)
from minicnn.layers.window import Window

modest = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32)
# one below, at and above a vector, and panels of every width from one vector to more than four
CHANNELS = [1, 2, 3, 7, 15, 16, 17, 32, 33, 48, 64, 80]


@dataclass(frozen=True)
class Case:
    """Shapes of one convolution or pooling; the arrays follow from the seed."""

    N: int
    size: tuple[int, int]
    C: int
    OC: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: str
    before: int = 0  # channels of the output array on either side of this convolution's own
    after: int = 0
    seed: int = 0

    @property
    def geometry(self):
        """(pad, output size)."""
        window = Window(self.kernel, self.stride, self.padding)
        return window.pad(self.size), window.out_size((*self.size, self.C))

    def random(self, *shape):
        # another stream for every shape, so that x, w and dy differ
        rng = np.random.default_rng([self.seed, *shape])
        return rng.standard_normal(shape, np.float32)

    @property
    def arrays(self):
        """x, w, b, and a y (or dy) that is wider than OC channels."""
        x = self.random(self.N, *self.size, self.C)
        w = self.random(self.OC, *self.kernel, self.C)
        wide = self.random(self.N, *self.geometry[1], self.before + self.OC + self.after)
        return x, w, self.random(self.OC), wide


@st.composite
def cases(draw):
    sides = st.tuples(st.integers(1, 5), st.integers(1, 5))
    kernel, stride, padding = draw(sides), draw(sides), draw(st.sampled_from(["valid", "same"]))
    smallest = kernel if padding == "valid" else (1, 1)
    size = draw(st.tuples(*(st.integers(side, 13) for side in smallest)))
    C, OC = draw(st.sampled_from(CHANNELS[:9])), draw(st.sampled_from(CHANNELS))
    around = draw(st.sampled_from([(0, 0), (3, 0), (16, 5)]))
    return Case(draw(st.integers(1, 3)), size, C, OC, kernel, stride, padding, *around, draw(seeds))


# More images than weight-gradient blocks; more pixels than a thread takes at a time; a row that is
# longer than that by itself.
LARGE = [
    Case(19, (7, 6), 3, 5, (3, 3), (1, 1), "same"),
    Case(11, (7, 9), 17, 48, (3, 2), (2, 1), "valid", 5, 2),
    Case(1, (41, 43), 3, 64, (3, 3), (1, 1), "same"),
    Case(1, (83, 85), 3, 33, (3, 3), (2, 2), "valid"),
    Case(2, (41, 40), 32, 16, (1, 1), (1, 1), "valid", 16, 0),
    Case(1, (4, 1100), 2, 7, (2, 3), (1, 2), "same"),
]


def double(*arrays):
    return [a.astype(np.float64) for a in arrays]


def assert_close(fast, exact, size):
    """fast (float32) equals exact (float64) for sums whose absolute terms add up to ``size``."""
    assert fast.dtype == np.float32
    assert fast.shape == exact.shape == size.shape
    off = np.abs(fast - exact) - 2e-6 * size
    assert not (off > 0).any(), f"off by {np.abs(fast - exact).max()}"
    assert np.isfinite(fast).all()


def check_forward(case, relu):
    x, w, b, y = case.arrays
    pad, _ = case.geometry
    exact = y.astype(np.float64)
    size = np.abs(exact)
    rest = case.stride, pad, relu
    reference.conv2d_forward(*double(x, w, b), *rest, exact, case.before)
    reference.conv2d_forward(*np.abs(double(x)), abs(w), abs(b), *rest, size, case.before)
    outside = np.delete(y, slice(case.before, case.before + case.OC), axis=-1)
    fast_conv.conv2d_forward(x, w, b, *rest, y, case.before)
    assert_close(y, exact, size)
    left = np.delete(y, slice(case.before, case.before + case.OC), axis=-1)
    np.testing.assert_array_equal(left, outside)


def check_backward_input(case, masked):
    x, w, _, _ = case.arrays
    pad, out = case.geometry
    dy = case.random(case.N, *out, case.OC)
    mask = x if masked else np.empty((0, 0, 0, 0), np.float32)
    dx = np.full_like(x, np.nan)
    exact, size = double(dx, dx)
    reference.conv2d_backward_input(*double(dy, w), case.stride, pad, mask, exact)
    reference.conv2d_backward_input(*np.abs(double(dy)), abs(w), case.stride, pad, mask, size)
    fast_conv.conv2d_backward_input(dy, w, case.stride, pad, mask, dx)
    assert_close(dx, exact, size)
    assert not masked or (dx[x <= 0] == 0).all()


def same(case, kernel):
    """The case as the second expand of a fire module, with this kernel."""
    return replace(case, kernel=kernel, stride=(1, 1), padding="same")


def check_expands_backward_input(case, masked):
    x, w, _, _ = case.arrays
    w1 = case.random(case.OC, 1, 1, case.C)
    dy = case.random(case.N, *case.size, 2 * case.OC)
    mask = x if masked else np.empty((0, 0, 0, 0), np.float32)
    dx = np.full_like(x, np.nan)
    exact, size = double(dx, dx)
    reference.expands_backward_input(*double(dy, w1, w), mask, exact)
    reference.expands_backward_input(*(abs(a) for a in double(dy, w1, w)), mask, size)
    fast_conv.expands_backward_input(dy, w1, w, mask, dx)
    assert_close(dx, exact, size)


def check_backward_weights(case, adding):
    x, w, b, dy = case.arrays
    rest = case.before, case.stride, case.geometry[0], adding
    fast = [w.copy(), b.copy()] if adding else [np.full_like(w, np.nan), np.full_like(b, np.nan)]
    exact, size = double(*fast), [abs(a) for a in double(*fast)]
    reference.conv2d_backward_weights(*double(x, dy), *rest, *exact)
    reference.conv2d_backward_weights(*np.abs(double(x)), abs(dy), *rest, *size)
    fast_conv_weights.conv2d_backward_weights(x, dy, *rest, *fast)
    for parts in zip(fast, exact, size, strict=True):
        assert_close(*parts)


def check_conv_pool(case, pool):
    """A max-pool (kernel, stride) on top of the case's convolution."""
    x, w, b, _ = case.arrays
    pad, out = case.geometry
    kernel, stride = pool
    pooled = Window(kernel, stride, "valid").out_size((*out, case.OC))
    rest = case.stride, pad, out, kernel, stride
    y, size = (np.full((case.N, *pooled, case.OC), np.nan, np.float32) for _ in range(2))
    argmax, places, ignored = np.empty((3, *y.shape), np.uint8)
    exact, wide = double(y, size)
    fast_stem.conv_pool_forward(x, w, b, *rest, y, argmax)
    reference.conv_pool_forward(*double(x, w, b), *rest, exact, places)
    reference.conv_pool_forward(*(abs(a) for a in double(x, w, b)), *rest, wide, ignored)
    assert_close(y, exact, wide)
    # the same winner, unless float32 cannot tell two values of a window apart
    assert (argmax != places).mean() < 0.02

    dy = case.random(*y.shape)
    fast = [np.full_like(w, np.nan), np.full_like(b, np.nan)]
    exact, size = double(*fast), double(*fast)
    reference.conv_pool_backward_weights(*double(x, dy), argmax, *rest, False, *exact)
    reference.conv_pool_backward_weights(
        *(abs(a) for a in double(x, dy)), argmax, *rest, False, *size
    )
    fast_conv_weights.conv_pool_backward_weights(x, dy, argmax, *rest, False, *fast)
    for parts in zip(fast, exact, size, strict=True):
        assert_close(*parts)


@modest
@given(cases(), st.booleans())
def test_conv_forward(case, relu):
    check_forward(case, relu)


@modest
@given(cases(), st.booleans())
def test_conv_backward_input(case, masked):
    check_backward_input(case, masked)


@modest
@given(cases(), st.sampled_from([(1, 1), (3, 3), (1, 3), (5, 3)]), st.booleans())
def test_expands_backward_input(case, kernel, masked):
    check_expands_backward_input(same(case, kernel), masked)


@modest
@given(cases(), st.booleans())
def test_conv_backward_weights(case, adding):
    check_backward_weights(case, adding)


sides_to_3 = st.tuples(st.integers(1, 3), st.integers(1, 3))


@modest
@given(cases(), sides_to_3, sides_to_3)
def test_conv_pool(case, kernel, stride):
    assume(all(k <= side for k, side in zip(kernel, case.geometry[1], strict=True)))
    check_conv_pool(case, (kernel, stride))


@pytest.mark.parametrize("case", LARGE, ids=lambda case: f"{case.N}-{case.size}-{case.OC}")
def test_large_convolutions(case):
    check_forward(case, relu=False)
    check_backward_input(case, masked=True)
    check_backward_weights(case, adding=True)
    check_expands_backward_input(same(case, (3, 3)), masked=True)
    if min(case.geometry[1]) >= 3:
        check_conv_pool(case, ((3, 3), (2, 2)))


@modest
@given(cases(), st.booleans())
def test_max_pool(case, ties):
    x, _, _, _ = case.arrays
    if ties:
        x = np.round(x)
    pad, out = case.geometry
    window = case.kernel, case.stride, pad
    results = []
    for module in (reference, fast_pool):
        y = np.empty((case.N, *out, case.C), np.float32)
        argmax, dx = np.empty(y.shape, np.uint8), np.full_like(x, np.nan)
        module.maxpool_forward(x, *window, y, argmax)
        # whole numbers: their sums are exact in any order
        module.maxpool_backward(np.round(9 * case.random(*y.shape)), argmax, *window, dx)
        results.append((y, argmax, dx))
    for plain, fast in zip(*results, strict=True):
        np.testing.assert_array_equal(fast, plain)


@modest
@given(cases())
def test_average_pool(case):
    x, _, _, _ = case.arrays
    pad, out = case.geometry
    window = case.kernel, case.stride, pad
    dy = case.random(case.N, *out, case.C)
    y, dx = np.full_like(dy, np.nan), np.full_like(x, np.nan)
    fast_pool.avgpool_forward(x, *window, y)
    fast_pool.avgpool_backward(dy, *window, dx)
    for terms, (fast, run) in ((x, (y, "avgpool_forward")), (dy, (dx, "avgpool_backward"))):
        exact, size = double(fast, fast)
        getattr(reference, run)(*double(terms), *window, exact)
        getattr(reference, run)(*np.abs(double(terms)), *window, size)
        assert_close(fast, exact, size)


# IN beyond one part of the input gradient's columns as well
dense_shapes = (st.integers(1, 9), st.sampled_from([1, 3, 16, 100, 1025, 2100]), st.integers(1, 20))


@modest
@given(*dense_shapes, st.booleans(), seeds)
def test_dense(N, IN, OUT, flag, seed):
    rng = np.random.default_rng(seed)
    shapes = (N, IN), (OUT, IN), (OUT,), (N, OUT)
    x, w, b, dy = (rng.standard_normal(shape, np.float32) for shape in shapes)
    calls = {
        "dense_forward": ((x, w, b), (flag,), [(N, OUT)]),
        "dense_backward_input": ((dy, w), (x if flag else np.empty((0, 0), x.dtype),), [(N, IN)]),
        "dense_backward_weights": ((x, dy), (flag,), [(OUT, IN), (OUT,)]),
    }
    for name, (inputs, rest, outputs) in calls.items():
        # what the weights' gradients are added to, or what must be overwritten
        adding = flag and name == "dense_backward_weights"
        fast = [np.full(shape, 1 if adding else np.nan, np.float32) for shape in outputs]
        exact, size = double(*fast), double(*fast)
        getattr(fast_dense, name)(*inputs, *rest, *fast)
        getattr(reference, name)(*double(*inputs), *rest, *exact)
        getattr(reference, name)(*(abs(a) for a in double(*inputs)), *rest, *size)
        for parts in zip(fast, exact, size, strict=True):
            assert_close(*parts)


@modest
@given(st.integers(1, 5), st.integers(1, 40), seeds)
def test_softmax_and_relu_gradient(N, C, seed):
    rng = np.random.default_rng(seed)
    x, dy = 5 * rng.standard_normal((2, N, C), np.float32)
    y, dx, masked, plain = np.full((4, N, C), np.nan, np.float32)
    exact, dx_exact = np.empty((2, N, C))
    fast_dense.softmax_forward(x, y)
    reference.softmax_forward(*double(x), exact)
    np.testing.assert_allclose(y, exact, rtol=1e-5, atol=1e-7)
    fast_dense.softmax_backward(dy, y, dx)
    reference.softmax_backward(*double(dy, y), dx_exact)
    np.testing.assert_allclose(dx, dx_exact, atol=1e-5)
    positive = np.maximum(x, 0)
    fast_dense.relu_backward(dy, positive, masked)
    reference.relu_backward(dy, positive, plain)
    np.testing.assert_array_equal(masked, plain)
    np.testing.assert_array_equal(masked, np.where(x > 0, dy, 0))


@modest
@given(st.integers(0, 200), st.sampled_from([0.0, 0.25, 0.5, 0.9]), st.integers(0, 2**40), seeds)
def test_dropout(size, rate, first, seed):
    x = np.random.default_rng(seed).standard_normal(size, np.float32)
    key = np.uint64(seed * 2**31)
    fast, plain, longer = np.empty_like(x), np.empty_like(x), np.empty(size + 9, np.float32)
    fast_dense.dropout(x, rate, key, first, fast)
    reference.dropout(x, rate, key, first, plain)
    np.testing.assert_allclose(fast, plain, rtol=1e-6)
    # an element goes or stays by its number in the stream, whatever is asked with it
    fast_dense.dropout(np.ones_like(longer), rate, key, first, longer)
    np.testing.assert_array_equal(longer[:size] == 0, (fast == 0) & (x != 0))


@modest
@given(st.integers(1, 100), st.booleans(), st.sampled_from([1.0, 0.99]), seeds)
def test_optimizer_updates(size, nesterov, decay, seed):
    w, m, grad = np.random.default_rng(seed).standard_normal((3, size), np.float32)
    v = m**2
    for name, state, settings_ in [
        ("sgd_update", (w, m), (0.1, 0.9, nesterov, decay)),
        ("adam_update", (w, m, v), (0.01, 0.9, 0.999, 1e-7, decay)),
    ]:
        fast, exact = [a.copy() for a in state], double(*state)
        getattr(fast_optim, name)(*fast, grad, *settings_)
        getattr(reference, name)(*exact, *double(grad), *settings_)
        for one, other in zip(fast, exact, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_every_kernel_has_a_twin():
    modules = fast_conv, fast_conv_weights, fast_dense, fast_optim, fast_pool, fast_stem
    fast = [name for m in modules for name in vars(m)]
    for name in vars(reference):
        if name.endswith(("_forward", "_backward", "_input", "_weights", "_update", "dropout")):
            assert name in fast
            assert hasattr(kernels, name)
