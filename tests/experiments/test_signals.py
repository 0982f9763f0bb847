"""What is measured of a network's layers, where it can be worked out."""

import numpy as np
import pytest

import models
from minicnn.experiments import signals, trials
from minicnn.experiments.signals import logit_spread, measure
from minicnn.experiments.trials import blind_logits
from minicnn.layers import Dense, Flatten, ReLU, Sequential
from minicnn.loss import CrossEntropy
from minicnn.optim import SGD

RATE = 0.01


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.standard_normal((8, 2, 2, 1)).astype(np.float32), np.arange(8) % 3


def test_a_step_of_sgd_is_rate_times_gradient(batch):
    net = Sequential([("flatten", Flatten()), ("dense", Dense(4, 3, rng=0))])
    loss = CrossEntropy()
    net.gradients(*batch, loss)
    w = net.named_params()["dense/w"]
    wanted = RATE * np.linalg.norm(w.grad) / np.linalg.norm(w.value)
    before = w.value.copy()
    (row,) = measure(net, *batch, loss, SGD(RATE))
    assert row.update == pytest.approx(wanted, rel=1e-5)
    assert np.allclose(w.value, before - RATE * w.grad, atol=1e-7)
    assert row.changed == 1.0 and row.depth == 1
    logits = net.forward(batch[0])  # after the step, which is short
    assert row.activation == pytest.approx(logits.std(), rel=0.1)


def test_steps_below_a_float32_change_nothing(batch):
    net = Sequential([("flatten", Flatten()), ("dense", Dense(4, 3, rng=0))])
    before = net.named_params()["dense/w"].value.copy()
    (row,) = measure(net, *batch, CrossEntropy(), SGD(1e-12))
    assert 0 < row.update < 1e-9  # told all the same
    assert row.changed == 0.0
    assert np.array_equal(net.named_params()["dense/w"].value, before)


def test_equal_images_and_dead_channels(batch):
    x, labels = batch
    dense = Dense(4, 3, relu=True, rng=0)
    dense.params["b"].value[:] = [-1000, 1, 1]
    net = Sequential([("flatten", Flatten()), ("dense", dense), ("relu", ReLU())])
    (row,) = measure(net, np.repeat(x[:1], 8, axis=0), labels, CrossEntropy(), SGD(RATE))
    assert row.between == 0 and row.dead >= 1 / 3


def test_a_dead_channel_is_zero_for_every_image():
    y = np.array([[0.0, 0, 1, 0], [0, 2, 1, 3]]).reshape(2, 1, 1, 4)
    assert signals._dead(y) == 1 / 4


def test_a_network_is_free_below_the_loss_of_one_answer():
    rest = {"name": "", "excess": [], "spreads": [], "spread": 0.0, "top1": 0.0, "balanced": 0.0}
    rest |= {"answers": 1, "shut": 0, "blind": 2.0}
    assert [trials.Trial(loss=loss, **rest).free for loss in (1.9, 1.98, 1.99, 2.0)] == [
        *(True, True, False, False)
    ]


def test_fire_modules_count_two_layers():
    net = models.build("squeezenet", (40, 40, 3))
    x = np.random.default_rng(0).random((2, 40, 40, 3), np.float32)
    rows = measure(net, x, np.array([0, 1]), CrossEntropy(), SGD(RATE))
    assert [row.layer for row in rows] == ["conv1", *(f"fire{n}" for n in range(2, 10)), "conv10"]
    assert [row.depth for row in rows] == [1, 3, 5, 7, 9, 11, 13, 15, 17, 18]


def test_logits_that_differ_by_a_constant_are_the_same_answer():
    logits = np.array([[1.0, 2, 3], [11, 12, 13]])
    assert logit_spread(logits) == pytest.approx(0, abs=1e-12)
    assert logit_spread(np.array([[1.0, 0], [0, 1]])) == pytest.approx(0.5)


def test_no_single_answer_beats_the_blind_one():
    counts, weights = np.array([30, 5, 1]), np.array([0.2, 2.0, 3.5], np.float32)
    labels, loss = np.repeat(np.arange(3), counts), CrossEntropy(weights)
    blind = blind_logits(counts, weights)

    def value(logits):
        return loss(np.tile(logits, (len(labels), 1)), labels)[0]

    rng = np.random.default_rng(0)
    assert all(value(blind + rng.normal(0, 0.1, 3)) > value(blind) for _ in range(20))
