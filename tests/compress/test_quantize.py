"""From float graphs to int8 graphs: scales, zero points, weights, biases, ends."""

import numpy as np
import pytest

import models
from minicnn.compress.calibrate import calibrate
from minicnn.compress.fold import Pixels, deployed
from minicnn.compress.quantize import quantize, quantize_weights
from minicnn.data.augment import Normalization
from minicnn.graph import Graph, Tensor
from minicnn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Fire,
    GlobalAvgPool2D,
    MaxPool2D,
    Sequential,
    Sigmoid,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 12, 13, 3), np.uint8)


def quantized(layers, io="int8", ranges=None, images=IMAGES, normalization=None):
    net = layers if isinstance(layers, Sequential) else Sequential(layers)
    normalization = normalization or Normalization((0.7, 0.5, 0.4), 0.2)
    graph, pixels = deployed(net, images.shape[1:], normalization)
    measured = calibrate(graph, pixels, images)
    measured |= {} if ranges is None else ranges(graph)
    return quantize(graph, measured, pixels, io), measured


def tensor(graph, name):
    (found,) = [t for t in graph.tensors if t.name == name]
    return found


def parameters(graph, name):
    found = tensor(graph, name)
    return found.scale.tolist(), found.zero_point.tolist()


HEAD = [("conv", Conv2D(3, 4, 3, relu=True, rng=0)), ("pool", GlobalAvgPool2D())]


def test_ranges_become_scales_and_zero_points():
    graph, ranges = quantized([("conv0", Conv2D(3, 3, 1, rng=3)), *HEAD])
    low, high = ranges[graph.nodes[0].output]  # no ReLU: both sides of zero
    assert low < 0 < high
    scale, zero_point = parameters(graph, "conv0")
    assert scale == [np.float32((high - low) / 255)]
    assert zero_point == [round(-128 - low / scale[0])]
    scale, zero_point = parameters(graph, "conv")  # with one
    assert scale == [np.float32(ranges[graph.nodes[1].output][1] / 255)]
    assert zero_point == [-128]


def test_the_ends_that_are_given():
    graph, _ = quantized(HEAD)
    assert parameters(graph, "input") == ([np.float32(1 / 255)], [-128])
    assert parameters(graph, "probabilities") == ([1 / 256], [-128])
    graph, _ = quantized(
        [("same", Conv2D(3, 3, 3, padding="same", rng=0)), *HEAD],
        normalization=Normalization((0.4, 0.4, 0.4), 0.25),
    )
    assert parameters(graph, "input") == ([np.float32(1 / (255 * 0.25))], [102 - 128])


def test_what_moves_values_keeps_their_scale():
    layers = [
        ("fire", Fire(3, 2, 4, rng=1)),
        ("max", MaxPool2D(2)),
        ("average", AvgPool2D(2)),
        ("pool", GlobalAvgPool2D()),
    ]
    graph, ranges = quantized(layers)
    highest = max(ranges[n.output][1] for n in graph.nodes if "expand" in n.path)
    for name in ("fire/expand1", "fire/expand3", "fire", "max", "average", "pool", "pool.2"):
        assert parameters(graph, name) == ([np.float32(highest / 255)], [-128])
    assert parameters(graph, "fire/squeeze") != parameters(graph, "fire")


def test_a_pool_on_the_input_keeps_the_input_s_scale():
    graph, _ = quantized([("max", MaxPool2D(2)), *HEAD], normalization=Normalization())
    assert parameters(graph, "max") == parameters(graph, "input")


def test_weights_per_channel_and_biases():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((4, 3, 3, 2)).astype(np.float32) * np.float32([[[[1]]], [[[9]]]] * 2)
    b = rng.standard_normal(4).astype(np.float32)
    (steps, scale), (b_steps, b_scale) = quantize_weights(w, b, np.float32(0.02), True)
    assert (steps.dtype, b_steps.dtype, scale.dtype) == (np.int8, np.int32, np.float32)
    np.testing.assert_allclose(scale, np.abs(w).max(axis=(1, 2, 3)) / 127, rtol=1e-6)
    assert np.abs(steps.astype(int)).reshape(4, -1).max(axis=1).tolist() == [127] * 4
    assert (np.abs(steps * scale[:, None, None, None] - w) <= 0.5001 * scale.max()).all()
    np.testing.assert_array_equal(b_scale, np.float32(0.02) * scale)
    np.testing.assert_allclose(b_steps * b_scale, b, atol=b_scale.max())


def test_dense_weights_have_one_scale():
    w = np.array([[1.0, -2.0], [0.5, 0.25]], np.float32)
    (steps, scale), (_, b_scale) = quantize_weights(
        w, np.zeros(2, np.float32), np.float32(1), False
    )
    assert scale.tolist() == b_scale.tolist() == [np.float32(2 / 127)]
    assert steps.tolist() == [[64, -127], [32, 16]]  # 63.5 and 31.75, away from zero


def test_halves_round_away_from_zero():
    w = np.array([[127, 2.5, -2.5, 0.5, -0.5]], np.float32)
    (steps, scale), _ = quantize_weights(w, np.zeros(1, np.float32), np.float32(1), True)
    assert scale.tolist() == [1]
    assert steps.tolist() == [[127, 3, -3, 1, -1]]


def test_convolutions_per_channel_and_dense_layers_per_tensor():
    graph, _ = quantized([*HEAD, ("dense", Dense(4, 5, rng=0))])
    assert len(tensor(graph, "conv/w").scale) == len(tensor(graph, "conv/b").scale) == 4
    assert len(tensor(graph, "dense/w").scale) == len(tensor(graph, "dense/b").scale) == 1


@pytest.mark.parametrize("layer", [MaxPool2D(2), AvgPool2D(2)])
def test_a_pool_has_its_input_s_scale_whatever_was_measured(layer):
    def ranges(graph):
        return {graph.nodes[1].output: (0.0, 123.0)}

    layers = [("conv", Conv2D(3, 4, 3, relu=True, rng=0)), ("small", layer)]
    graph, _ = quantized([*layers, ("pool", GlobalAvgPool2D())], ranges=ranges)
    assert parameters(graph, "conv") == parameters(graph, "small")
    assert parameters(graph, "conv") == ([np.float32(123 / 255)], [-128])


def test_dead_channels_and_large_biases_stay_in_32_bits():
    w = np.zeros((3, 1, 1, 2), np.float32)
    w[1], w[2] = 1e-30, 1e-3
    b = np.array([0.0, 5.0, 1e6], np.float32)
    (steps, scale), (b_steps, b_scale) = quantize_weights(w, b, np.float32(0.01), True)
    assert (scale > 0).all()
    assert np.abs(b_steps.astype(np.int64)).max() <= 2**30
    np.testing.assert_allclose(b_steps * b_scale, b, rtol=1e-6)
    assert steps[1].max() == 0


def test_a_tensor_that_is_always_zero_has_a_usable_scale():
    def zero(graph):
        return {node.output: (0.0, 0.0) for node in graph.nodes}

    graph, _ = quantized(HEAD, ranges=zero)
    scale, zero_point = parameters(graph, "conv")
    assert scale == [np.float32(1e-3 / 255)]
    assert zero_point == [-128]


@pytest.mark.parametrize(
    ("io", "ops", "ends"),
    [
        ("int8", (None, None), [("int8", -128), ("int8", -128)]),
        ("uint8", ("QUANTIZE", "QUANTIZE"), [("uint8", 0), ("uint8", 0)]),
        ("float32", ("QUANTIZE", "DEQUANTIZE"), [("float32", None), ("float32", None)]),
    ],
)
def test_ends(io, ops, ends):
    graph, _ = quantized(HEAD, io)
    first, last = graph.nodes[0], graph.nodes[-1]
    assert (first.op if ops[0] else None, last.op if ops[1] else None) == ops
    found = [graph.tensors[t] for t in (graph.inputs[0], graph.outputs[0])]
    assert [t.name for t in found] == ["input", "probabilities"]
    assert [(t.dtype, None if t.scale is None else t.zero_point[0]) for t in found] == ends
    assert len({t.name for t in graph.tensors}) == len(graph.tensors)


def test_tensors_keep_their_numbers():
    net = models.build("squeezenet", (32, 32, 3))
    images = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    graph, pixels = deployed(net, (32, 32, 3), Normalization())
    int8 = quantize(graph, calibrate(graph, pixels, images), pixels)
    for before, after in zip(graph.tensors, int8.tensors, strict=False):
        assert after.name in (before.name, f"{before.name}/int8")
        assert after.shape == before.shape
    assert {t.dtype for t in graph.tensors if t.data is None} == {"float32"}


def test_an_operation_without_a_row():
    net = Sequential([*HEAD, ("dense", Dense(4, 4, rng=0)), ("sigmoid", Sigmoid())])
    graph, pixels = deployed(net, (12, 13, 3), Normalization())
    ranges = {node.output: (0.0, 1.0) for node in graph.nodes}
    with pytest.raises(LookupError, match="^sigmoid: no row for LOGISTIC to quantize"):
        quantize(graph, ranges, pixels)


def test_fixed_scales_that_meet():
    graph = Graph([Tensor("input", (1, 4))], inputs=[0])
    soft = graph.add("SOFTMAX", [0], (4,), "soft", beta=1.0)
    graph.outputs = [graph.add("CONCATENATION", [0, soft], (8,), "both")]
    with pytest.raises(ValueError, match="input, soft have fixed scales that differ"):
        quantize(graph, dict.fromkeys(range(3), (0.0, 1.0)), Pixels(1 / 255, 0))


def test_an_unknown_type_of_the_ends():
    with pytest.raises(ValueError, match="'int4', wanted one of uint8, int8, float32"):
        quantized(HEAD, "int4")
