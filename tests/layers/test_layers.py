"""What every layer promises, held by one table, and the traps of single layers."""

import numpy as np
import pytest

from minicnn import kernels
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

IMAGE = (7, 8, 3)
LAYERS = {
    "conv": (lambda: Conv2D(3, 5, (2, 3), (1, 2), rng=0), IMAGE, (6, 3, 5)),
    "conv_same": (lambda: Conv2D(3, 5, 3, 2, "same", relu=True, rng=0), IMAGE, (4, 4, 5)),
    "max": (lambda: MaxPool2D(3, 2), IMAGE, (3, 3, 3)),
    "max_same": (lambda: MaxPool2D(2, padding="same"), IMAGE, (4, 4, 3)),
    "average": (lambda: AvgPool2D(2), IMAGE, (3, 4, 3)),
    "average_same": (lambda: AvgPool2D(3, 1, "same"), IMAGE, IMAGE),
    "global": (GlobalAvgPool2D, IMAGE, (3,)),
    "dense": (lambda: Dense(6, 4, rng=0), (6,), (4,)),
    "dense_relu": (lambda: Dense(6, 4, relu=True, rng=0), (6,), (4,)),
    "flatten": (Flatten, IMAGE, (168,)),
    "relu": (ReLU, IMAGE, IMAGE),
    "sigmoid": (Sigmoid, IMAGE, IMAGE),
    "softmax": (Softmax, (7,), (7,)),
    "dropout": (lambda: Dropout(0.4), IMAGE, IMAGE),
    "fire": (lambda: Fire(3, 2, 4, rng=0), IMAGE, (7, 8, 8)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


def image(rows):
    """One image with one channel."""
    return np.array(rows, np.float32)[None, :, :, None]


def placed(name):
    """A layer of the table at the path ``block/NAME``; its input and output shape."""
    make, shape, out = LAYERS[name]
    layer = make()
    Sequential([("block", Sequential([(name, layer)]))])
    return layer, shape, out


@every_layer
def test_shapes_and_dtypes(name):
    layer, shape, out = placed(name)
    assert layer.out_shape(shape) == out
    for dtype in (np.float32, np.float64):
        layer.astype(dtype)
        for N in (0, 1, 3):
            x = normal(N, *shape, dtype=dtype)
            y = layer.forward(x, train=True)
            dx = layer.backward(np.ones_like(y))
            assert (y.shape, y.dtype) == ((N, *out), dtype)
            assert (dx.shape, dx.dtype) == (x.shape, dtype)
            for param in layer.named_params().values():
                assert (param.grad.shape, param.grad.dtype) == (param.value.shape, dtype)


@every_layer
def test_backward_needs_a_training_forward(name):
    layer, shape, out = placed(name)
    x, dy = normal(2, *shape), normal(2, *out)
    layer.forward(x)
    with pytest.raises(RuntimeError, match=rf"^block/{name}.*train=True"):
        layer.backward(dy)
    layer.forward(x, train=True)
    layer.backward(dy)
    with pytest.raises(RuntimeError, match=rf"^block/{name}"):
        layer.backward(dy)  # once for each forward


@pytest.mark.parametrize("name", ["conv", "conv_same", "dense", "dense_relu", "fire"])
def test_backward_writes_and_does_not_add(name):
    layer, shape, out = placed(name)
    rounds = []
    for _ in range(2):
        layer.forward(normal(2, *shape), train=True)
        layer.backward(normal(2, *out))
        rounds.append([param.grad.copy() for param in layer.named_params().values()])
    for first, second in zip(*rounds, strict=True):
        assert np.abs(first).max() > 0
        np.testing.assert_array_equal(first, second)


@every_layer
def test_arrays_that_are_not_contiguous_are_accepted(name):
    layer, shape, out = placed(name)
    x, dy = normal(2, *shape), normal(2, *out)
    results = []
    for a, b in ((x, dy), (np.repeat(x, 2, axis=1)[:, ::2], np.asfortranarray(dy))):
        layer.seed_dropout(0)
        results.append((layer.forward(a, train=True), layer.backward(b)))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@every_layer
def test_whole_numbers_are_refused(name):
    layer, shape, _ = placed(name)
    with pytest.raises(ValueError, match=rf"^block/{name}.*int64.*float32"):
        layer.forward(np.zeros((2, *shape), np.int64))


@pytest.mark.parametrize("name", ["conv", "conv_same", "dense", "dense_relu", "fire"])
def test_a_dtype_other_than_the_weights_is_refused(name):
    layer, shape, _ = placed(name)
    with pytest.raises(ValueError, match=rf"^block/{name}.*float64.*float32"):
        layer.forward(normal(2, *shape, dtype=np.float64))


@pytest.mark.parametrize(
    ("name", "shape", "problem"),
    [
        ("conv", (7, 8, 4), "wanted 3 channels, got 4"),
        ("fire", (7, 8, 4), "wanted 3 channels, got 4"),
        ("conv", (1, 8, 3), "input of 1x8 .* smaller than its 2x3 window"),
        ("conv", (7, 2, 3), "input of 7x2 .* smaller than its 2x3 window"),
        ("max", (7, 2, 3), "input of 7x2 .* smaller than its 3x3 window"),
        ("average", (1, 8, 3), "input of 1x8 .* smaller than its 2x2 window"),
        ("conv", (24,), r"wanted \(H, W, C\) input, got shape \(24,\)"),
        ("max", (7, 8), r"wanted \(H, W, C\) input, got shape \(7, 8\)"),
        ("average_same", (7, 8), r"wanted \(H, W, C\) input, got shape \(7, 8\)"),
        ("global", (7, 8), r"wanted \(H, W, C\) input, got shape \(7, 8\)"),
        ("fire", (24,), r"wanted \(H, W, C\) input, got shape \(24,\)"),
        ("dense", (7,), r"wanted \(6,\) features, got shape \(7,\)"),
        ("dense", (7, 8, 6), r"wanted \(6,\) features, got shape \(7, 8, 6\)"),
        ("softmax", IMAGE, r"wanted \(C,\) logits, got shape \(7, 8, 3\)"),
    ],
)
def test_a_wrong_input_is_refused(name, shape, problem):
    layer, _, _ = placed(name)
    with pytest.raises(ValueError, match=rf"^block/{name}.*{problem}"):
        layer.out_shape(shape)
    with pytest.raises(ValueError, match=rf"^block/{name}.*{problem}"):
        layer.forward(normal(2, *shape))


@pytest.mark.parametrize("make", [lambda **k: Conv2D(3, 4, **k), MaxPool2D, AvgPool2D])
def test_bad_windows(make):
    with pytest.raises(ValueError, match='padding is \'full\', wanted "valid" or "same"'):
        make(kernel=3, padding="full")
    for bad in (0, -1, 2.5, "3", (3, 0), (3, 3, 3), (2.0, 2)):
        with pytest.raises(ValueError, match="^kernel is .*wanted a positive whole number"):
            make(kernel=bad)
        with pytest.raises(ValueError, match="^stride is .*wanted a positive whole number"):
            make(kernel=3, stride=bad)


@pytest.mark.parametrize("C", [1, 2])
def test_max_pool_of_a_batch_with_one_channel(C):
    x = normal(2, 4, 6, C)
    layer = MaxPool2D(2)
    y = layer.forward(x, train=True)
    blocks = x.reshape(2, 2, 2, 3, 2, C).transpose(0, 1, 3, 5, 2, 4).reshape(2, 2, 3, C, 4)
    np.testing.assert_array_equal(y, blocks.max(axis=-1))
    np.testing.assert_array_equal(layer.backward(y), np.where(np.isin(x, y), x, 0))


def test_padding_never_wins_a_max_pool():
    y = MaxPool2D(3, 1, "same").forward(image([[-5, -2, -9]]))
    np.testing.assert_array_equal(y, image([[-2, -2, -2]]))


def test_padding_does_not_count_in_an_average():
    y = AvgPool2D(3, 1, "same").forward(image([[1, 2, 6]]))
    np.testing.assert_array_equal(y, image([[1.5, 3, 4]]))


def test_same_padding_puts_the_odd_row_at_the_end():
    conv = Conv2D(1, 1, (3, 1), stride=(2, 1), padding="same")
    conv.params["w"].value[...] = np.array([100, 10, 1], np.float32).reshape(1, 3, 1, 1)
    # four rows, two outputs: one row of padding, after the image
    y = conv.forward(image([[1], [2], [3], [4]]))
    np.testing.assert_array_equal(y, image([[123], [340]]))
    # five rows, three outputs: one row of padding at either end
    y = conv.forward(image([[1], [2], [3], [4], [5]]))
    np.testing.assert_array_equal(y, image([[12], [234], [450]]))


def test_stride_is_down_then_right():
    x = image([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(MaxPool2D(1, (2, 1)).forward(x), x[:, ::2])
    np.testing.assert_array_equal(MaxPool2D((1, 2)).forward(x), x[:, :, 1:2])


@pytest.mark.parametrize("layer", [Conv2D(3, 4, 3, rng=0), Dense(6, 4, rng=0)])
def test_without_input_gradient_the_parameters_still_learn(layer):
    x = normal(2, *(IMAGE if isinstance(layer, Conv2D) else (6,)))
    dy = layer.forward(x, train=True)
    layer.backward(dy)
    wanted = [param.grad.copy() for param in layer.params.values()]
    layer.input_gradient = False
    layer.forward(x, train=True)
    assert layer.backward(dy).size == 0
    for param, grad in zip(layer.params.values(), wanted, strict=True):
        np.testing.assert_array_equal(param.grad, grad)


def test_activations():
    x = np.array([[-1000, -1, 0, 2, np.nan, 1000]], np.float32)
    np.testing.assert_array_equal(ReLU().forward(x), [[0, 0, 0, 2, np.nan, 1000]])
    with np.errstate(over="raise"):
        y = Sigmoid().forward(x)
    np.testing.assert_allclose(y, [[0, 0.26894143, 0.5, 0.88079707, np.nan, 1]], rtol=1e-6)
    y = Softmax().forward(np.array([[0, np.log(3)], [1e4, 0]], np.float32))
    np.testing.assert_allclose(y, [[0.25, 0.75], [1, 0]], rtol=1e-6)


@every_layer
def test_backward_refuses_a_gradient_of_another_shape(name):
    """The fast kernels check no bounds: a wrong shape must never reach them."""
    make, shape, out = LAYERS[name]
    layer = make()
    layer.forward(np.ones((2, *shape), np.float32), train=True)
    with pytest.raises(ValueError, match="dy has shape"):
        layer.backward(np.ones((3, *out), np.float32))


@pytest.mark.parametrize("implementation", kernels.NAMES)
def test_a_window_of_minus_infinities_has_its_gradient_inside_the_image(implementation):
    layer = MaxPool2D(3, 1, padding="same")
    with kernels.using(implementation):
        layer.forward(np.full((1, 2, 2, 1), -np.inf, np.float32), train=True)
        dx = layer.backward(np.ones((1, 2, 2, 1), np.float32))
    assert dx.ravel().tolist() == [4, 0, 0, 0]
