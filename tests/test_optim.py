"""The optimizers' first steps and the schedules by hand (against Keras: see tensorflow_parity)."""

import math

import numpy as np
import pytest

from minicnn.layers import Dense, Param, Sequential
from minicnn.optim import SGD, Adam, Muon, constant, orthogonal, step_decay, warmup_cosine


def param(value, grad=None, **settings):
    grad = None if grad is None else np.array(grad, np.float32)
    return Param(np.array(value, np.float32), grad=grad, **settings)


def values_after(optimizer, value, grads, **settings):
    p = param([value], **settings)
    values = []
    for grad in grads:
        p.grad = np.array([grad], np.float32)
        optimizer.step({"w": p})
        values.append(p.value.item())
    return values


def test_plain_descent():
    assert values_after(SGD(0.5), 1.0, [1, 1, -4]) == [0.5, 0, 2]


def test_momentum():
    # v: -0.5, -0.25 - 0.5 = -0.75, -0.375 + 0 = -0.375
    assert values_after(SGD(0.5, momentum=0.5), 2.0, [1, 1, 0]) == [1.5, 0.75, 0.375]


def test_nesterov():
    # the same v; each step adds 0.5 * v - 0.5 * grad: -0.75, -0.875, -0.1875
    steps = values_after(SGD(0.5, momentum=0.5, nesterov=True), 2.0, [1, 1, 0])
    assert steps == [1.25, 0.375, 0.1875]


def test_weight_decay_is_decoupled_and_spares_biases():
    # first 1 - 0.5 * 0.5 of the value, then the plain step; momentum knows nothing of it
    assert values_after(SGD(0.5, weight_decay=0.5), 4.0, [1, 0]) == [2.5, 1.875]
    assert values_after(SGD(0.5, weight_decay=0.5), 4.0, [1, 0], decay=False) == [3.5, 3.5]
    optimizer = SGD(0.5, momentum=0.5, weight_decay=0.5)
    values_after(optimizer, 4.0, [1])
    assert optimizer.state["momentum"]["w"].item() == -0.5


def test_adam():
    # bias correction makes the first step lr * sign(grad) ...
    for grad in (0.5, 7.0):
        first = values_after(Adam(0.1), 1.0, [grad])
        assert first == pytest.approx([0.9], rel=1e-4)
    # ... and the second, by hand: m = 0.9 * 0.1 * 1 - 0.1 * 2, v = 0.999 * 0.001 + 0.001 * 4
    m, v = 0.09 - 0.2, 0.000999 + 0.004
    step = 0.1 * (m / (1 - 0.81)) / math.sqrt(v / (1 - 0.999**2))
    assert values_after(Adam(0.1), 1.0, [1, -2])[1] == pytest.approx(0.9 - step, rel=1e-5)


def test_epsilon_stands_outside_the_root():
    # m = 0.1 and sqrt(v) = s: lr corrected is s / 0.1, so s + epsilon = 10 s leaves a tenth
    optimizer = Adam(1.0, epsilon=9 * math.sqrt(0.001))
    assert values_after(optimizer, 0.0, [1]) == pytest.approx([-0.1], rel=1e-5)


def test_pruned_weights_stay_zero():
    p = param([1, 2], [1, 1], mask=np.array([1, 0], np.float32))
    for _ in range(3):
        SGD(0.25, momentum=0.9).step({"w": p})
        assert p.value[1] == 0
    assert p.value[0] == 0.25


MAKERS = [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.1), lambda: Muon(0.1)]


@pytest.mark.parametrize("make", MAKERS)
def test_state_is_kept_by_path_and_can_be_restored(make):
    def params():
        rng = np.random.default_rng(0)
        shapes = {"a/w": (2, 3), "b/w": (3,)}
        return {path: param(rng.random(s), rng.random(s)) for path, s in shapes.items()}

    through, optimizer = params(), make()
    for _ in range(2):
        optimizer.step(through)
    halfway = {path: Param(p.value.copy(), grad=p.grad) for path, p in through.items()}
    resumed = make()
    resumed.steps = optimizer.steps
    for slot, arrays in optimizer.state.items():
        assert list(arrays) == ["a/w", "b/w"]
        assert all(array.dtype == np.float32 for array in arrays.values())
        resumed.state[slot] = {path: array.copy() for path, array in arrays.items()}
    optimizer.step(through)
    resumed.step(halfway)
    for path in through:
        assert through[path].value.tobytes() == halfway[path].value.tobytes()
        assert not np.shares_memory(through[path].value, optimizer.state["momentum"][path])


@pytest.mark.parametrize("shape", [(64, 27), (7, 512), (16, 16), (48, 200), (1, 5)])
def test_orthogonal_keeps_directions_and_levels_their_lengths(shape):
    rng = np.random.default_rng(1)
    spread = np.logspace(0, -1.5, shape[1]).astype(np.float32)  # as gradients are: a few lead
    a = rng.standard_normal(shape, np.float32) * spread
    found = orthogonal(a)
    assert found.shape == shape and found.dtype == np.float32
    lengths = np.linalg.svd(found, compute_uv=False)
    assert lengths.min() > 0.4 and lengths.max() < 1.25
    u, _, v = np.linalg.svd(a.astype(np.float64), full_matrices=False)
    assert (found * (u @ v)).sum() / min(shape) == pytest.approx(lengths.mean(), rel=1e-3)


def test_muon_steps_on_weights_are_orthogonal_and_on_biases_adams():
    rng = np.random.default_rng(2)
    grad, bias = rng.standard_normal((8, 3, 3, 2), np.float32), np.array([3, -1], np.float32)
    w = Param(np.zeros_like(grad), grad=grad)
    b = Param(np.ones(2, np.float32), grad=bias, decay=False)
    Muon(0.01, weight_decay=0.5, bias_lr=0.1).step({"conv/w": w, "conv/b": b})
    wanted = -0.01 * orthogonal(grad.reshape(8, 18))
    np.testing.assert_allclose(w.value.reshape(8, 18), wanted, atol=1e-7)
    np.testing.assert_allclose(b.value, 1 - 0.001 * np.sign(bias), rtol=1e-5)
    grad = rng.standard_normal((72, 2), np.float32)
    tall = Param(rng.standard_normal((72, 2), np.float32), grad=grad)
    start = tall.value.copy()
    Muon(0.01, weight_decay=0.5).step({"dense/w": tall})  # rows more than columns: a longer step
    wanted = 0.995 * start - 0.01 * 6 * orthogonal(tall.grad)
    np.testing.assert_allclose(tall.value, wanted, rtol=1e-5, atol=1e-7)


def test_muon_has_the_same_bits_with_any_number_of_threads():
    from numba import get_num_threads, set_num_threads

    a = np.random.default_rng(3).standard_normal((96, 200), np.float32)
    threads = get_num_threads()
    whole = orthogonal(a)
    try:
        set_num_threads(1)
        assert orthogonal(a).tobytes() == whole.tobytes()
    finally:
        set_num_threads(threads)


def test_a_missing_gradient_is_an_error_that_names_the_path():
    net = Sequential([("head", Dense(2, 2))])
    with pytest.raises(RuntimeError, match="head/w has no gradient"):
        SGD(0.1).step(net.named_params())


def test_warmup_cosine():
    rate = warmup_cosine(0.8, warmup=4, total=12)
    assert [rate(step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert rate(8) == pytest.approx(0.4)  # halfway
    assert rate(6) == pytest.approx(0.4 * (1 + math.sqrt(0.5)))
    assert rate(12) == pytest.approx(0, abs=1e-15)
    assert rate(99) == pytest.approx(0, abs=1e-15)
    assert warmup_cosine(0.8, warmup=0, total=2)(0) == 0.8


def test_the_other_schedules():
    assert [constant(0.3)(step) for step in (0, 9)] == [0.3, 0.3]
    rates = [step_decay(1.0, 0.5, every=3)(step) for step in range(7)]
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_an_optimizer_follows_its_schedule():
    optimizer = SGD(step_decay(1.0, 0.5, every=1))
    rates = []
    p = param([0.0], [1.0])
    for _ in range(3):
        rates.append(optimizer.lr)
        optimizer.step({"w": p})
    assert rates == [1, 0.5, 0.25]
    assert p.value.item() == -1.75
    assert optimizer.steps == 3


@pytest.mark.parametrize("optimizer", MAKERS)
def test_parameters_that_are_not_contiguous_learn_too(optimizer):
    start = np.arange(6, dtype=np.float32).reshape(2, 3)
    grad = np.ones((2, 3), np.float32)
    plain, turned = Param(start.copy(), grad=grad), Param(start.T.copy().T, grad=grad)
    assert not turned.value.flags.c_contiguous
    for param in (plain, turned):
        steps = optimizer()
        for _ in range(2):
            steps.step({"w": param})
    assert (plain.value != start).all()
    np.testing.assert_array_equal(turned.value, plain.value)
