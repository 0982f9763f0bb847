"""Heat maps against what is known of them by hand."""

import numpy as np
import pytest

import models
from exporters.read import read
from minicnn import data, explain, trained
from minicnn.layers import Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, MaxPool2D, Sequential


def small(*head):
    rng = np.random.default_rng(0)
    return Sequential(
        [
            ("conv1", Conv2D(3, 5, 3, relu=True, rng=rng)),
            ("pool1", MaxPool2D(2)),
            ("conv2", Conv2D(5, 4, 3, rng=rng)),
            *head,
        ]
    )


def averaged(*before):
    return small(*before, ("conv3", Conv2D(4, 3, 1, rng=np.random.default_rng(1))), *MEAN)


MEAN = [("mean", GlobalAvgPool2D())]


@pytest.fixture
def x():
    return np.random.default_rng(2).random((2, 12, 14, 3), np.float32)


@pytest.fixture(scope="module")
def released():
    network = trained.load("squeezenet")
    images = data.load(None, network.size).images[:3]
    return network, images, network.normalization.apply(images)


def test_activations_are_the_layers_outputs(x):
    net = averaged()
    seen = explain.activations(net, x)
    assert list(seen) == ["conv1", "pool1", "conv2", "conv3", "mean"]
    np.testing.assert_array_equal(seen["mean"], net.forward(x))


def test_grad_cam_of_the_last_convolution_is_its_own_channel(x):
    # logit c is the mean of channel c: its gradient is 1 / places there, and 0 elsewhere
    net = averaged()
    y = explain.activations(net, x)["conv3"]
    places = y.shape[1] * y.shape[2]
    heat = explain.grad_cam(net, x, np.array([2, 0]), layer="conv3")
    wanted = np.stack([y[0, ..., 2], y[1, ..., 0]]).clip(0) / places
    np.testing.assert_allclose(heat, wanted, rtol=1e-5, atol=1e-8)


def test_grad_cam_weights_channels_by_the_slope_of_the_logit(x):
    # behind conv2 all is linear: the slope of logit c along channel k is w[c, k] / places
    net = averaged()
    y = explain.activations(net, x)["conv2"]
    w = net.layers["conv3"].params["w"].value[:, 0, 0, :]
    places = y.shape[1] * y.shape[2]
    wanted = np.stack([y[n] @ w[c] for n, c in enumerate((1, 2))]).clip(0) / places
    heat = explain.grad_cam(net, x, np.array([1, 2]))  # conv2: the last but the classes' layer
    np.testing.assert_allclose(heat, wanted, rtol=1e-4, atol=1e-7)
    assert heat.max() > 0


def test_grad_cam_works_through_dense_layers_and_finds_the_last_layer_with_places(x):
    rng = np.random.default_rng(3)
    net = small(("flat", Flatten()), ("dense", Dense(4 * 3 * 4, 3, rng=rng)))
    seen = explain.activations(net, x)["conv2"]
    slopes = net.layers["dense"].params["w"].value[1].reshape(seen.shape[1:]).mean(axis=(0, 1))
    heat = explain.grad_cam(net, x, np.array([1, 1]))
    np.testing.assert_allclose(heat, (seen @ slopes).clip(0), rtol=1e-4, atol=1e-6)


def test_dropout_does_nothing_and_keeps_its_rate(x):
    net = averaged(("dropout", Dropout(0.5)))
    heats = [explain.grad_cam(net, x, np.array([0, 1])) for _ in range(2)]
    np.testing.assert_array_equal(*heats)
    np.testing.assert_array_equal(heats[0], explain.grad_cam(averaged(), x, np.array([0, 1])))
    assert net.layers["dropout"].rate == 0.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"layer": "conv9"}, "no layer is called 'conv9'.*conv3"),
        ({"layer": "mean"}, r"mean gives \(2, 3\)"),
        ({"classes": np.array([1])}, r"shape \(1,\), wanted \(2,\)"),
        ({"classes": np.array([0, 3])}, "0 to 2"),
        ({"classes": np.array([-1, 0])}, "0 to 2"),
    ],
)
def test_grad_cam_refuses(x, arguments, says):
    with pytest.raises(ValueError, match=says):
        explain.grad_cam(averaged(), x, **{"classes": np.array([0, 1]), **arguments})


def test_the_mean_of_a_class_map_is_the_logit(released):
    network, _, x = released
    maps = explain.class_maps(network.net, x)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), network.net.forward(x), atol=1e-5)


def test_class_maps_need_a_network_that_ends_in_a_mean(x):
    with pytest.raises(ValueError, match="ends in Dense: use grad_cam"):
        explain.class_maps(small(("f", Flatten()), ("d", Dense(48, 3))), x)


def test_integer_maps_are_the_float_maps_within_a_few_steps(released):
    network, images, x = released
    graph = read(models.released("squeezenet_int8.tflite")).graph
    integers, scale, zero_point = explain.integer_class_maps(graph, images)
    assert integers.dtype == np.int8
    difference = scale * (integers.astype(np.float32) - zero_point) - explain.class_maps(
        network.net, x
    )
    assert np.abs(difference).max() < 4 * scale
    assert integers.max() > zero_point + 20  # or the comparison would say nothing


def test_integer_maps_refuse_other_graphs(x):
    from minicnn.graph import from_layer

    with pytest.raises(ValueError, match="without a scale"):
        explain.integer_class_maps(from_layer(averaged(), x.shape[1:]), x)
    with pytest.raises(ValueError, match="ends in CONV_2D"):
        explain.integer_class_maps(from_layer(small(), x.shape[1:]), x)


def test_an_overlay_is_brightest_where_the_heat_is():
    image = np.full((20, 30, 3), 128, np.uint8)
    heat = np.zeros((4, 6), np.float32)
    heat[0, 0] = 3
    shown = explain.overlay(image, heat, strength=1.0)
    assert shown.shape == image.shape and shown.dtype == np.uint8
    assert shown[0, 0].sum() > 2 * shown[-1, -1].sum()
    grey = explain.overlay(image, np.ones((4, 6)), strength=0.0)  # a flat map divides by nothing
    np.testing.assert_array_equal(grey, image)


def test_enlarging_keeps_values_and_directions():
    large = explain.enlarge(np.array([[0.0, 1.0], [0.0, 1.0]]), (3, 8))
    assert large.shape == (3, 8)
    assert (np.diff(large, axis=1) >= 0).all() and (np.diff(large, axis=0) == 0).all()
    assert (large.min(), large.max()) == (0, 1)


def test_a_sheet_holds_every_map_stretched_with_gaps_between():
    maps = np.arange(3 * 2 * 4, dtype=np.float32).reshape(3, 2, 4)
    paper = explain.sheet(maps, columns=2)
    assert paper.shape == (2 * 3 - 1, 2 * 5 - 1)
    np.testing.assert_allclose(paper[:2, :4], maps[0] / 7)
    np.testing.assert_allclose(paper[3:, :4], (maps[2] - 16) / 7)
    assert (paper[2] == 1).all() and (paper[:, 4] == 1).all() and (paper[3:, 5:] == 1).all()
    assert explain.sheet(np.zeros((1, 2, 2, 3))).shape == (2, 2, 3)
