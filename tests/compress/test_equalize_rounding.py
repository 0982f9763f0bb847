"""What makes int8 more exact: channels of one range, weights whose errors cancel."""

import copy

import numpy as np
import pytest

from minicnn.compress import float_run, rounding
from minicnn.compress.calibrate import calibrate
from minicnn.compress.equalize import equalize
from minicnn.compress.fold import Pixels, deployed
from minicnn.compress.quantize import groups, quantize
from minicnn.data.augment import Normalization
from minicnn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Fire,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    ReLU,
    Sequential,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 16, 15, 3), np.uint8)
PIXELS = Pixels(1 / 255, 0)


def graph_of(*layers):
    net = Sequential(copy.deepcopy([(f"layer{n}", layer) for n, layer in enumerate(layers)]))
    rng = np.random.default_rng(1)
    for param in net.named_params().values():
        # channels of very different sizes, as training makes them
        wide = np.exp(rng.normal(0, 1.5, len(param.value))).astype(np.float32)
        param.value *= wide.reshape(-1, *[1] * (param.value.ndim - 1))
        if param.value.ndim == 1:
            param.value += 0.1 * rng.standard_normal(param.value.shape, np.float32)
    return deployed(net, IMAGES.shape[1:], Normalization())[0]


def run(graph, images=IMAGES):
    return float_run.run(graph, PIXELS.apply(images))


NETS = {
    "fires": [Conv2D(3, 8, 3, 2, relu=True, rng=0), Fire(8, 3, 4, rng=1), MaxPool2D(2)]
    + [Fire(8, 4, 5, rng=2), Conv2D(10, 4, 1, rng=3), GlobalAvgPool2D()],
    "relu and average": [Conv2D(3, 6, 3, relu=True, rng=0), AvgPool2D(2), ReLU()]
    + [Conv2D(6, 5, 3, rng=1), ReLU(), Conv2D(5, 4, 1, relu=True, rng=2), GlobalAvgPool2D()],
    "dense": [Conv2D(3, 6, 3, relu=True, rng=0), Conv2D(6, 4, 3, 2, relu=True, rng=1), Flatten()]
    + [Dense(4 * 6 * 6, 7, relu=True, rng=2), Dense(7, 4, rng=3)],
}


@pytest.mark.parametrize("name", NETS)
def test_an_equalized_graph_computes_the_same(name):
    graph = graph_of(*NETS[name])
    before = [t.data.copy() for t in graph.tensors if t.data is not None]
    even = equalize(graph, PIXELS, IMAGES)
    fresh = np.random.default_rng(5).integers(0, 256, (4, 16, 15, 3), np.uint8)
    end = graph.nodes[-2].output  # logits: a softmax may hide a difference
    wanted = run(graph, fresh)[end]
    np.testing.assert_allclose(run(even, fresh)[end], wanted, atol=1e-5 * np.abs(wanted).max())
    after = [t.data for t in graph.tensors if t.data is not None]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)  # of the graph that was given


@pytest.mark.parametrize("name", NETS)
def test_every_channel_between_convolutions_has_the_range_of_its_group(name):
    graph = equalize(graph_of(*NETS[name]), PIXELS, IMAGES)
    values = run(graph)
    readers = {t: node.op for node in graph.nodes for t in node.inputs}
    convolved = [n.output for n in graph.nodes if n.op == "CONV_2D"]
    evened = [t for t in convolved if readers[t] in ("CONV_2D", "CONCATENATION", "MAX_POOL_2D")]
    assert evened
    for t in evened:
        group = next(g for g in groups(graph) if t in g)
        top = max(values[m].max() for m in group)
        channels = np.abs(values[t]).reshape(-1, values[t].shape[-1]).max(axis=0)
        np.testing.assert_allclose(channels[channels > 0], top, rtol=1e-4)


def test_what_others_than_convolutions_read_stays():
    graph = graph_of(*NETS["dense"])
    even = equalize(graph, PIXELS, IMAGES)
    before, after = run(graph), run(even)
    second = graph.nodes[1].output  # the dense layer reads it
    np.testing.assert_allclose(after[second], before[second], rtol=1e-3, atol=1e-5)
    first = graph.nodes[0].output
    assert np.abs(after[first] - before[first]).max() > 0.1


def test_dead_channels_stay_dead():
    conv = Conv2D(3, 4, 3, relu=True, rng=0)
    conv.params["w"].value[2] = 0
    net = Sequential([("a", conv), ("b", Conv2D(4, 3, 1, rng=1)), ("pool", GlobalAvgPool2D())])
    graph, pixels = deployed(net, IMAGES.shape[1:], Normalization())
    even = equalize(graph, pixels, IMAGES)
    assert all(np.isfinite(t.data).all() for t in even.tensors if t.data is not None)
    np.testing.assert_allclose(run(even)[graph.outputs[0]], run(graph)[graph.outputs[0]], atol=1e-5)


def test_windows_are_what_a_convolution_multiplies():
    """Of all windows of a small image, each input's sum is that of the image's shifted copies."""
    for padding, stride in (
        ("valid", (1, 1)),
        ("same", (1, 1)),
        ("same", (2, 3)),
        ("valid", (2, 1)),
    ):
        net = [Conv2D(3, 2, (3, 2), stride, padding, rng=0), GlobalAvgPool2D()]
        graph = graph_of(*net)
        inputs = rounding.inputs_of_weights(graph, PIXELS, IMAGES)[graph.nodes[0].inputs[1]]
        w, b = (graph.data(t) for t in graph.nodes[0].inputs[1:])
        y = run(graph)[graph.nodes[0].output]
        predicted = w.reshape(2, -1) @ inputs.mean + b
        spread = y.std(axis=(0, 1, 2)) / np.sqrt(inputs.count)
        assert (np.abs(predicted - y.mean(axis=(0, 1, 2))) < 5 * spread).all()


def test_windows_lie_in_memory_as_weights_do():
    """Stripes that repeat with the stride: every window is the same, and known."""
    pattern = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    images = np.tile(pattern, (4, 8, 5, 1))  # 16 rows, 15 columns
    graph = graph_of(Conv2D(3, 2, (2, 3), (2, 3), rng=0), GlobalAvgPool2D())
    inputs = rounding.inputs_of_weights(graph, PIXELS, images)[graph.nodes[0].inputs[1]]
    np.testing.assert_allclose(inputs.mean, pattern.ravel() / 255, rtol=1e-5)


def test_products_by_hand():
    inputs = rounding.Inputs()
    windows = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    inputs.add(windows[:20])
    inputs.add(windows[20:])
    np.testing.assert_allclose(inputs.mean, windows.mean(axis=0), rtol=1e-5)
    damping = rounding.DAMPING * np.mean(windows.astype(float) ** 2) * np.eye(4)
    wanted = np.cov(windows.T.astype(float), bias=True) + damping
    np.testing.assert_allclose(inputs.covariance(), wanted, atol=1e-5)


def correlated(count=400, K=32):
    """Windows whose values rise and fall together, as neighbouring pixels do."""
    rng = np.random.default_rng(0)
    return (rng.random((count, 3)) @ rng.random((3, K)) + 0.05 * rng.random((count, K))).astype(
        "f4"
    )


def test_rounded_together_errors_cancel():
    windows, rng = correlated(), np.random.default_rng(1)
    w = rng.standard_normal((8, 32))
    scale = np.abs(w).max(axis=1) / 127
    inputs = rounding.Inputs()
    inputs.add(windows)
    together = rounding.round_together(w, scale, inputs, 127)
    nearest = np.rint(w / scale[:, None])
    assert together.dtype == np.int8
    assert np.abs(together.astype(int) - nearest).max() >= 1

    def noise(steps):
        error = windows @ (steps * scale[:, None] - w).T
        return error.std(axis=0)

    assert noise(together).mean() < noise(nearest).mean() / 3


def test_the_order_of_the_inputs_does_not_matter():
    windows, rng = correlated() * np.linspace(1, 5, 32, dtype=np.float32), np.random.default_rng(1)
    w, order = rng.standard_normal((8, 32)), rng.permutation(32)
    scale = np.abs(w).max(axis=1) / 127
    steps = []
    for places in (np.arange(32), order):
        inputs = rounding.Inputs()
        inputs.add(windows[:, places])
        steps.append(rounding.round_together(w[:, places], scale, inputs, 127))
    np.testing.assert_array_equal(steps[0][:, order], steps[1])


def test_what_is_zero_stays_zero():
    windows, rng = correlated(), np.random.default_rng(1)
    w = rng.standard_normal((8, 32)) * (rng.random((8, 32)) < 0.3)
    inputs = rounding.Inputs()
    inputs.add(windows)
    steps = rounding.round_together(w, np.abs(w).max(axis=1) / 127, inputs, 127)
    assert (steps[w == 0] == 0).all()
    assert (steps != 0).mean() > 0.2


def test_inputs_that_have_nothing_to_do_with_each_other_change_nothing():
    rng = np.random.default_rng(1)
    w = rng.standard_normal((4, 6))
    scale = np.abs(w).max(axis=1) / 127
    inputs = rounding.Inputs(100, np.zeros(6), 100 * np.eye(6))
    steps = rounding.round_together(w, scale, inputs, 127)
    np.testing.assert_array_equal(steps, np.rint(w / scale[:, None]))


def test_the_bias_takes_what_is_left():
    """A graph whose weights are rounded together has less noise, and none on average."""
    graph = graph_of(Conv2D(3, 8, 3, rng=0), GlobalAvgPool2D())
    pixels, x = PIXELS, IMAGES
    ranges = calibrate(graph, pixels, x)
    inputs = rounding.inputs_of_weights(graph, pixels, x)
    conv = graph.nodes[0]

    def error(int8):
        w, b = (int8.tensors[t] for t in conv.inputs[1:])
        real = w.data * w.scale.astype(float)[:, None, None, None] - graph.data(conv.inputs[1])
        offset = b.data * b.scale.astype(float) - graph.data(conv.inputs[2])
        return real.reshape(8, -1) @ inputs[conv.inputs[1]].mean + offset

    plain, refined = (quantize(graph, ranges, pixels, inputs=i) for i in (None, inputs))
    steps = refined.tensors[conv.inputs[2]].scale
    assert (np.abs(error(refined)) <= 0.51 * steps).all()
    assert np.abs(error(plain)).max() > 5 * steps.max()


def test_layers_with_too_many_inputs_are_left_out():
    graph = graph_of(Conv2D(3, 4, 3, rng=0), Flatten(), Dense(4 * 14 * 13, 4, rng=1))
    everything = rounding.inputs_of_weights(graph, PIXELS, IMAGES)
    assert len(everything) == 2
    wide = graph_of(Flatten(), Dense(720, 3000, rng=0), Dense(3000, 4, rng=1))
    found = rounding.inputs_of_weights(wide, PIXELS, IMAGES)
    assert list(found) == [wide.nodes[1].inputs[1]]
    assert found[wide.nodes[1].inputs[1]].mean.shape == (720,)
