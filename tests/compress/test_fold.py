"""The deployed graph computes what the trained network computes, from raw pixels."""

import numpy as np
import pytest

import models
from minicnn.compress import float_run, fold
from minicnn.data.augment import Normalization
from minicnn.errors import UserError
from minicnn.graph import from_layer
from minicnn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Fire,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
)

MEASURED = Normalization((0.7, 0.5, 0.4), 0.2)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 13, 3), np.uint8)


def agrees(net, normalization=MEASURED, images=IMAGES):
    """Whether the graph's probabilities are the network's; also the operations and the pixels."""
    graph, pixels = fold.deployed(net, images.shape[1:], normalization)
    y = float_run.run(graph, pixels.apply(images))[graph.outputs[0]]
    np.testing.assert_allclose(y, net.predict(normalization.apply(images)), atol=2e-6)
    return [node.op for node in graph.nodes], pixels


def head(channels):
    return [("pool", GlobalAvgPool2D()), ("dense", Dense(channels, 4, rng=9))]


def test_normalization_goes_into_a_valid_convolution():
    ops, pixels = agrees(Sequential([("conv", Conv2D(3, 5, 3, 2, relu=True, rng=1)), *head(5)]))
    assert ops == ["CONV_2D", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert (pixels.scale, pixels.zero) == (1 / 255, 0)


def test_normalization_goes_into_a_dense_layer_behind_a_reshape():
    _, pixels = agrees(Sequential([("flat", Flatten()), ("dense", Dense(12 * 13 * 3, 4, rng=1))]))
    assert pixels == fold.Pixels(1 / 255, 0)


def test_normalization_goes_into_a_fire():
    agrees(Sequential([("fire", Fire(3, 2, 4, rng=1)), *head(8)]))


@pytest.mark.parametrize("first", [Conv2D(3, 5, 3, padding="same", rng=1), MaxPool2D(2)])
def test_before_padding_the_zero_point_holds_one_mean_of_whole_steps(first):
    channels = 5 if isinstance(first, Conv2D) else 3
    net = Sequential([("first", first), *head(channels)])
    _, pixels = agrees(net, Normalization((0.4, 0.4, 0.4), 0.25))  # 0.4 is 102 / 255
    assert (pixels.scale, pixels.zero) == (1 / (255 * 0.25), 102)
    _, pixels = agrees(net, Normalization())
    assert (pixels.scale, pixels.zero) == (1 / 255, 0)


@pytest.mark.parametrize("mean", [(0.4, 0.4, 0.6), (0.41, 0.41, 0.41)])
def test_what_cannot_be_exact_is_refused(mean):
    net = Sequential([("conv1", Conv2D(3, 5, 3, padding="same", rng=1)), *head(5)])
    with pytest.raises(UserError, match=r"^conv1: .* cannot be folded exactly .*'valid'"):
        fold.deployed(net, (12, 13, 3), Normalization(mean, 0.25))


def test_the_network_itself_is_not_changed():
    net = Sequential([("conv", Conv2D(3, 5, 3, rng=1)), *head(5)])
    before = {path: param.value.copy() for path, param in net.named_params().items()}
    fold.deployed(net, (12, 13, 3), MEASURED)
    for path, param in net.named_params().items():
        np.testing.assert_array_equal(param.value, before[path])


def test_a_relu_of_its_own_is_fused_and_dropout_is_gone():
    layers = [("conv", Conv2D(3, 5, 3, rng=1)), ("relu", ReLU()), ("dropout", Dropout(0.5))]
    ops, _ = agrees(Sequential([*layers, *head(5)]))
    assert ops == ["CONV_2D", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    graph, _ = fold.deployed(Sequential([*layers, *head(5)]), (12, 13, 3), MEASURED)
    assert graph.nodes[0].attrs["activation"] == "RELU"
    assert "conv" not in [t.name for t in graph.tensors]  # the RELU's output took its place


def test_a_relu_behind_a_pool_stays():
    layers = [("conv", Conv2D(3, 5, 3, rng=1)), ("average", AvgPool2D(2)), ("relu", ReLU())]
    ops, _ = agrees(Sequential([*layers, *head(5)]))
    assert ops[:3] == ["CONV_2D", "AVERAGE_POOL_2D", "RELU"]


def test_a_convolution_that_others_read_keeps_its_values():
    graph = from_layer(Sequential([("conv", Conv2D(3, 5, 3, rng=1)), ("relu", ReLU())]), (6, 6, 3))
    conv, relu = graph.nodes[0].output, graph.nodes[1].output
    graph.outputs = [graph.add("CONCATENATION", [conv, relu], (4, 4, 10), "both")]
    assert [n.op for n in fold.fuse_relus(graph).nodes] == ["CONV_2D", "RELU", "CONCATENATION"]


def test_a_softmax_at_the_end_is_not_doubled():
    net = Sequential([("flat", Flatten()), ("dense", Dense(468, 4, rng=1)), ("soft", Softmax())])
    graph, _ = fold.deployed(net, (12, 13, 3), MEASURED)
    assert [n.op for n in graph.nodes] == ["RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]


@pytest.mark.parametrize("name", models.NAMES)
def test_the_four_networks(name):
    side = 64 if name == "squeezenet" else 255
    images = np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)
    agrees(models.build(name, images.shape[1:]), images=images)


def test_sigmoid_is_for_training_only():
    net = Sequential([("conv", Conv2D(3, 5, 3, rng=1)), ("sigmoid", Sigmoid()), *head(5)])
    graph, pixels = fold.deployed(net, (12, 13, 3), MEASURED)
    with pytest.raises(LookupError, match="^sigmoid: no row for LOGISTIC to run in floats"):
        float_run.run(graph, pixels.apply(IMAGES))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(value):
    net = Sequential([("conv", Conv2D(3, 5, 3, rng=1)), *head(5)])
    net.named_params()["conv/w"].value[1, 2, 0, 1] = value
    with pytest.raises(UserError, match="^conv/w holds NaN or infinite values"):
        fold.deployed(net, (12, 13, 3), MEASURED)


def test_outputs_that_are_no_classes():
    with pytest.raises(UserError, match=r"shape \(10, 11, 5\), wanted \(classes,\)"):
        fold.deployed(Sequential([("conv", Conv2D(3, 5, 3, rng=1))]), (12, 13, 3), MEASURED)
    many = Sequential([("pool", GlobalAvgPool2D()), ("dense", Dense(3, 16_001, rng=1))])
    with pytest.raises(UserError, match="16001 classes"):
        fold.deployed(many, (12, 13, 3), Normalization())
