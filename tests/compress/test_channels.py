"""Channels taken out: the function that is left, widths by hand, files that do not fit."""

import numpy as np
import pytest

import models
from minicnn.compress import channels
from minicnn.errors import UserError
from minicnn.graph import from_layer
from minicnn.layers import (
    Conv2D,
    Dense,
    Dropout,
    Fire,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    Sequential,
    Sigmoid,
)
from minicnn.loss import CrossEntropy

SHAPE = (12, 10, 3)


def fires():
    """Fire modules between convolutions, as in SqueezeNet."""
    layers = [Conv2D(3, 16, 3, relu=True, rng=1), MaxPool2D(2), Fire(16, 16, 32, rng=2)]
    layers += [Fire(64, 16, 24, rng=3), Dropout(0.5), Conv2D(48, 5, 1, rng=4)]
    return Sequential([*layers, GlobalAvgPool2D()])


def flattened():
    """A dense layer that reads a convolution's pixels, as in AlexNet."""
    layers = [Conv2D(3, 24, 3, relu=True, rng=1), MaxPool2D(2), Flatten()]
    return Sequential([*layers, Dense(5 * 4 * 24, 16, relu=True, rng=2), Dense(16, 5, rng=3)])


def silenced(net, share):
    """The weights of the channels that are to go, set to zero; nothing cut."""
    convs = [layer for layer in net.walk() if isinstance(layer, Conv2D)]
    last = [layer for layer in net.walk() if layer.params][-1]
    for conv in convs:
        w, b = conv.params["w"].value, conv.params["b"].value
        stays = 8 * max(1, round(len(w) * (1 - share) / 8))
        order = np.argsort([np.abs(one).sum() for one in w])
        if conv is not last:
            w[order[: len(w) - stays]], b[order[: len(w) - stays]] = 0, 0
    return net


@pytest.mark.parametrize("make", [fires, flattened])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99])
def test_what_is_left_computes_what_the_whole_does_without_those_channels(make, share):
    net, whole = make(), silenced(make(), share)
    channels.remove(net, SHAPE, share)
    x = np.random.default_rng(0).standard_normal((3, *SHAPE), np.float32)
    assert net.out_shape(SHAPE) == whole.out_shape(SHAPE) == (5,)
    assert np.allclose(net.forward(x), whole.forward(x), atol=1e-5)
    assert (net.count_params() < whole.count_params()) == (share > 0)


def test_widths_are_those_worked_out_by_hand():
    net = fires()
    channels.remove(net, SHAPE, 0.3)
    shapes = {path: param.value.shape for path, param in net.named_params().items()}
    # 16 * 0.7 = 11.2, nearest to 8; 32 * 0.7 = 22.4 to 24; 24 * 0.7 = 16.8 to 16
    assert shapes["conv2d1/w"] == (8, 3, 3, 3) and shapes["conv2d1/b"] == (8,)
    assert shapes["fire1/squeeze/w"] == (8, 1, 1, 8)
    assert shapes["fire1/expand1/w"] == (24, 1, 1, 8)
    assert shapes["fire1/expand3/w"] == (24, 3, 3, 8)
    assert shapes["fire2/squeeze/w"] == (8, 1, 1, 48)
    assert shapes["fire2/expand3/w"] == (16, 3, 3, 8)
    assert shapes["conv2d2/w"] == (5, 1, 1, 32)  # the classes all stay


def test_the_smallest_filters_go_and_the_order_stays():
    conv = Conv2D(1, 24, 1, rng=0)
    conv.params["w"].value[:] = np.arange(24, 0, -1).reshape(24, 1, 1, 1)
    conv.params["w"].value[::3] *= -100  # magnitudes count
    wanted = np.sort(np.concatenate([np.arange(0, 24, 3), np.arange(1, 12, 3), [2, 5, 8, 11]]))
    net = Sequential([("one", conv), ("two", Conv2D(24, 2, 1, rng=1))])
    before = conv.params["w"].value.copy()
    channels.remove(net, (4, 4, 1), 1 / 3)
    assert np.array_equal(conv.params["w"].value, before[wanted])


def test_all_classes_stay_even_where_they_are_many():
    net = Sequential([Conv2D(3, 16, 3, rng=1), Conv2D(16, 20, 1, rng=2), GlobalAvgPool2D()])
    channels.remove(net, SHAPE, 0.5)
    shapes = [param.value.shape for param in net.named_params().values()]
    assert shapes == [(8, 3, 3, 3), (8,), (20, 1, 1, 8), (20,)]


def test_gradients_of_the_whole_network_are_dropped():
    net = fires()
    x = np.random.default_rng(0).standard_normal((2, *SHAPE), np.float32)
    net.gradients(x, np.arange(2), CrossEntropy())
    channels.remove(net, SHAPE, 0.5)
    assert all(param.grad is None for param in net.named_params().values())


@pytest.mark.parametrize("name", models.NAMES[:1])
def test_a_narrow_network_trains_and_describes_itself(name):
    net = models.build(name, (32, 32, 3), 7)
    channels.remove(net, (32, 32, 3), 0.5)
    x = np.random.default_rng(0).standard_normal((4, 32, 32, 3), np.float32)
    net.gradients(x, np.arange(4), CrossEntropy())
    for path, param in net.named_params().items():
        assert param.grad.shape == param.value.shape and np.isfinite(param.grad).all(), path
    graph = from_layer(net, (32, 32, 3))
    assert graph.tensors[graph.outputs[0]].shape == (1, 7)


@pytest.mark.parametrize("make", [fires, flattened])
def test_a_fresh_network_takes_the_widths_of_stored_weights(make):
    narrow, fresh = make(), make()
    channels.remove(narrow, SHAPE, 0.5)
    values = {path: param.value for path, param in narrow.named_params().items()}
    channels.resize(fresh, SHAPE, values)
    assert {path: p.value.shape for path, p in fresh.named_params().items()} == {
        path: value.shape for path, value in values.items()
    }
    whole = make()
    channels.resize(whole, SHAPE, {path: p.value for path, p in make().named_params().items()})
    for path, param in make().named_params().items():
        assert np.array_equal(param.value, whole.named_params()[path].value)


def test_expands_of_unequal_width_are_refused():
    values = {path: param.value for path, param in fires().named_params().items()}
    values["fire2/expand3/w"] = values["fire2/expand3/w"][:8]
    with pytest.raises(UserError, match="fire2 has expands of 24 and 8 channels"):
        channels.resize(fires(), SHAPE, values)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="wanted at least 0 and below 1"):
        channels.remove(fires(), SHAPE, share)


def test_a_layer_without_a_row_is_named():
    net = Sequential([Conv2D(3, 8, 1), ("odd", Sigmoid()), Conv2D(8, 2, 1)])
    with pytest.raises(LookupError, match="odd: no row for Sigmoid"):
        channels.remove(net, SHAPE, 0.5)
