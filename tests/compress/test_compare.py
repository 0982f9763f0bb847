"""Errors of int8 layer by layer, and paired differences with their intervals."""

import math

import numpy as np
import pytest

from minicnn.compress import compare
from minicnn.compress.calibrate import calibrate
from minicnn.compress.fold import deployed
from minicnn.compress.quantize import quantize
from minicnn.data.augment import Normalization
from minicnn.layers import Conv2D, GlobalAvgPool2D, Sequential

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 12, 13, 3), np.uint8)


def forms(io="uint8", squeeze=1.0):
    """Float and int8 graph of a small network; ``squeeze`` narrows the range of its convolution."""
    net = Sequential([("conv", Conv2D(3, 4, 3, relu=True, rng=0)), ("pool", GlobalAvgPool2D())])
    graph, pixels = deployed(net, (12, 13, 3), Normalization())
    ranges = calibrate(graph, pixels, IMAGES)
    narrow = {t: (low * squeeze, high * squeeze) for t, (low, high) in ranges.items()}
    return graph, quantize(graph, narrow, pixels, io), pixels


@pytest.mark.parametrize("io", ["uint8", "int8", "float32"])
def test_errors_are_those_of_rounding(io):
    graph, int8, pixels = forms(io)
    rows = compare.layer_errors(graph, int8, pixels, IMAGES)
    assert [(row.path, row.op) for row in rows] == [
        ("conv", "CONV_2D"),
        ("pool", "AVERAGE_POOL_2D"),
        ("pool", "RESHAPE"),
        ("probabilities", "SOFTMAX"),
    ]
    # 8 bits give about 6 dB each against a full-scale signal; the weights' rounding takes its part
    assert all(28 < row.sqnr_db < 60 for row in rows)
    assert rows[1].sqnr_db == rows[2].sqnr_db
    assert rows[0].saturated < 0.001


def test_a_range_that_is_too_narrow_saturates():
    graph, int8, pixels = forms(squeeze=0.25)
    conv = compare.layer_errors(graph, int8, pixels, IMAGES)[0]
    real = compare.float_run.run(graph, pixels.apply(IMAGES))[graph.nodes[0].output]
    beyond = np.mean(real > conv.scale * 254.5)
    assert conv.saturated == pytest.approx(beyond, abs=0.01)
    assert conv.saturated > 0.1
    assert conv.sqnr_db < 20


def test_signal_to_noise_by_hand():
    graph, int8, pixels = forms()
    row = compare.layer_errors(graph, int8, pixels, IMAGES[:1])[0]
    t = graph.nodes[0].output
    real = compare.float_run.run(graph, pixels.apply(IMAGES[:1]))[t].astype(float)
    steps = compare.Simulator(int8).tensors(IMAGES[:1])[t].astype(float)
    error = real - (steps + 128) * row.scale
    assert row.sqnr_db == pytest.approx(10 * math.log10((real**2).sum() / (error**2).sum()))


def output(graph):
    return graph.tensors[graph.outputs[0]]


def test_inputs_and_outputs_of_each_type():
    images = np.array([[[[0, 128, 255]]]], np.uint8)
    _, uint8, pixels = forms("uint8")
    assert compare.input_of(uint8, pixels, images) is images
    _, int8, _ = forms("int8")
    assert compare.input_of(int8, pixels, images).tolist() == [[[[-128, 0, 127]]]]
    _, real, _ = forms("float32")
    np.testing.assert_allclose(compare.input_of(real, pixels, images).ravel(), [0, 128 / 255, 1])
    assert output(uint8).real(np.uint8([0, 64, 255])).tolist() == [0, 0.25, 255 / 256]
    assert output(int8).real(np.int8([-128, -64, 127])).tolist() == [0, 0.25, 255 / 256]
    assert output(real).real(np.float32([0.5])).tolist() == [0.5]


def test_paired_differences():
    labels = np.array([0] * 80 + [1] * 20)
    first = labels.copy()
    second = labels.copy()
    second[:8] = 1  # 8 of class 0 lost
    second[80:85] = 0  # 5 of class 1 lost
    found = compare.paired(first, second, labels, np.arange(100))
    assert found.agreement == 0.87
    assert found.top1[0] == pytest.approx(-0.13)
    assert found.balanced_accuracy[0] == pytest.approx(-(8 / 80 + 5 / 20) / 2)
    # a binomial share of 0.13 of 100 images: its standard deviation is 0.034
    low, high = found.top1[1:]
    assert low == pytest.approx(-0.13 - 1.96 * 0.034, abs=0.012)
    assert high == pytest.approx(-0.13 + 1.96 * 0.034, abs=0.012)
    assert compare.paired(first, second, labels, np.arange(100)) == found


def test_images_of_a_group_are_drawn_together():
    labels = np.zeros(100, int)
    second = np.repeat([0, 1, 0, 0, 0], 20)
    apart = compare.paired(labels, second, labels, np.arange(100)).top1
    together = compare.paired(labels, second, labels, np.repeat(np.arange(5), 20)).top1
    assert apart[0] == together[0] == pytest.approx(-0.2)
    assert together[2] - together[1] > 2 * (apart[2] - apart[1])


def test_the_same_answers_differ_by_nothing():
    labels = np.array([0, 1, 2, 1])
    found = compare.paired(labels, labels, labels, labels)
    assert found == compare.Paired(1.0, (0, 0, 0), (0, 0, 0))
