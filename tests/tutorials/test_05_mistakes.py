"""What students get wrong in tutorial 5, and what its checks then say."""

import numpy as np
import pytest

from checks import training as check
from lesson import Wrong
from minicnn.layers import Param
from minicnn.layers.base import he_normal
from minicnn.optim import SGD


def root(variance):
    return lambda oc, kh, kw, c: np.sqrt(variance(oc, kh, kw, c))


@pytest.mark.parametrize(
    ("he_scale", "says"),
    [
        (lambda oc, kh, kw, c: 2 / (kh * kw * c), "its square root"),
        (root(lambda oc, kh, kw, c: 2 / (kh * kw * oc)), "This is the fan-out"),
        (lambda oc, kh, kw, c: 2 / (kh * kw * oc), "of the fan-out; see C"),
        (root(lambda oc, kh, kw, c: 1 / (kh * kw * c)), "the 2 makes good"),
        (lambda oc, kh, kw, c: 1 / (kh * kw * c), "And the scale"),
        (root(lambda oc, kh, kw, c: 2 / (kh * kw * (c + oc))), "Glorot"),
        (root(lambda oc, kh, kw, c: 2 / c), r"KH \* KW is missing"),
        (root(lambda oc, kh, kw, c: 2 / (kh * kw)), "C is missing"),
        (root(lambda oc, kh, kw, c: 2 / oc), "A sum has"),
        (root(lambda oc, kh, kw, c: 2 / (oc * kh * kw * c)), "all weights"),
        (lambda oc, kh, kw, c: np.sqrt(2) / (kh * kw * c), "whole fraction"),
        (lambda oc, kh, kw, c: 2 / np.sqrt(kh * kw * c), "whole fraction"),
        (root(lambda oc, kh, kw, c: 6 / (kh * kw * c)), "uniform"),
        (root(lambda oc, kh, kw, c: kh * kw * c / 2), "Upside down"),
        (lambda oc, kh, kw, c: np.full((oc, kh, kw, c), 0.1), "has the shape"),
        (lambda oc, kh, kw, c: 0.3, "wanted 0.1666"),
    ],
)
def test_scales(he_scale, says):
    with pytest.raises(Wrong, match=says):
        check.he_scale(he_scale)


def adding(w, dw, v, lr, m):
    v = m * v + lr * dw
    return w + v, v


def adding_to_w_alone(w, dw, v, lr, m):
    return w + lr * dw, m * v - lr * dw


def flipped(w, dw, v, lr, m):
    v = m * v + lr * dw
    return w - v, v


def subtracting_v(w, dw, v, lr, m):
    v = m * v - lr * dw
    return w - v, v


def forgetting(w, dw, v, lr, m):
    return w + m * v - lr * dw, v


def plain(w, dw, v, lr, m):
    return w - lr * dw, v


def not_moving_by_v(w, dw, v, lr, m):
    return w - lr * dw, m * v - lr * dw


def without_memory(w, dw, v, lr, m):
    v = -lr * dw
    return w + v, v


def old_velocity(w, dw, v, lr, m):
    return w + v, m * v - lr * dw


def rate_twice(w, dw, v, lr, m):
    v = m * v - lr * dw
    return w + lr * v, v


def rate_later(w, dw, v, lr, m):
    v = m * v - dw
    return w + lr * v, v


def pytorch(w, dw, v, lr, m):
    v = m * v + dw
    return w - lr * v, v


def no_rate(w, dw, v, lr, m):
    v = m * v - dw
    return w + v, v


def momentum_turned(w, dw, v, lr, m):
    v = -m * v - lr * dw
    return w + v, v


def mean(w, dw, v, lr, m):
    v = m * v - (1 - m) * lr * dw
    return w + v, v


def momentum_on_both(w, dw, v, lr, m):
    v = m * (v - lr * dw)
    return w + v, v


def nesterov(w, dw, v, lr, m):
    v = m * v - lr * dw
    return w + m * v - lr * dw, v


def unfading(w, dw, v, lr, m):
    v = v - lr * dw
    return w + v, v


def right(w, dw, v, lr, m):
    v = m * v - lr * dw
    return w + v, v


def in_place(w, dw, v, lr, m):
    v *= m
    v -= lr * dw
    w += v
    return w, v


@pytest.mark.parametrize(
    ("sgd_step", "says"),
    [
        (adding, "uphill"),
        (adding_to_w_alone, "uphill"),
        (flipped, "change signs"),
        (subtracting_v, "downhill already"),
        (forgetting, "has to be returned"),
        (plain, "gradient alone. The new velocity"),
        (not_moving_by_v, r"gradient alone\.$"),
        (without_memory, r"momentum \* velocity is missing"),
        (old_velocity, "old velocity"),
        (rate_twice, "twice"),
        (rate_later, "goes into the velocity"),
        (pytorch, "So does PyTorch"),
        (no_rate, "Where is the learning rate"),
        (momentum_turned, "not turned around"),
        (mean, "1 - momentum"),
        (momentum_on_both, "gradient too"),
        (nesterov, "Nesterov"),
        (unfading, "Where is the momentum"),
        (lambda *a: right(*a)[::-1], "weights come first"),
        (lambda *a: (right(*a)[1], right(*a)[1]), "Return the weights"),
        (lambda *a: right(*a)[0], "wanted two arrays"),
        (lambda *a: (right(*a)[0][0], right(*a)[1]), "has the shape"),
        (lambda *a: (right(*a)[0] * 1.01, right(*a)[1]), "w is off"),
        (lambda *a: tuple(y.astype(np.float64) for y in right(*a)), "float32"),
    ],
)
def test_steps(sgd_step, says):
    with pytest.raises(Wrong, match=says):
        check.sgd_step(sgd_step)


def test_the_right_answers_pass():
    check.he_scale(root(lambda oc, kh, kw, c: 2 / (kh * kw * c)))
    check.sgd_step(right)
    check.sgd_step(in_place)


def test_minicnns_own_weights_and_optimizer_pass():
    def he_scale(*shape):
        drawn = np.random.default_rng(0).standard_normal(shape, np.float32)
        return np.median(he_normal(np.random.default_rng(0), shape) / drawn)

    def sgd_step(w, dw, velocity, lr, momentum):
        optimizer, param = SGD(lr, momentum), Param(w)
        param.grad = dw
        optimizer.state["momentum"]["w"] = velocity
        optimizer.step({"w": param})
        return param.value, velocity

    check.he_scale(he_scale)
    check.sgd_step(sgd_step)
