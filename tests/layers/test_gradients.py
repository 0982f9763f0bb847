"""Every backward pass against central differences, in float64.

Along one random direction d, for one random covector u: the slope of <f(x), u> must equal <dx, d>
for the dx that backward makes of u. One number checks all elements at once.
"""

import numpy as np
import pytest

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
from minicnn.loss import CrossEntropy, MeanSquaredError

STEP = 1e-6
IMAGE = (7, 8, 3)


def in_sequence():
    return Sequential([Conv2D(3, 4, 3, relu=True, rng=0), ReLU(), Flatten(), Dense(120, 3, rng=1)])


LAYERS = {
    "conv": (lambda: Conv2D(3, 5, 3, rng=0), IMAGE),
    "conv same": (lambda: Conv2D(3, 5, 3, padding="same", rng=0), IMAGE),
    "conv same, stride 2": (lambda: Conv2D(3, 4, 3, 2, "same", rng=0), IMAGE),
    "conv stride 2, rows left over": (lambda: Conv2D(3, 4, (2, 3), 2, rng=0), IMAGE),
    "conv stride beyond the kernel": (lambda: Conv2D(3, 2, (1, 2), (3, 2), rng=0), IMAGE),
    "conv 2x5, stride 1x3, relu": (lambda: Conv2D(3, 4, (2, 5), (1, 3), relu=True, rng=0), IMAGE),
    "conv 4x2 same, relu": (lambda: Conv2D(3, 4, (4, 2), 1, "same", True, rng=0), IMAGE),
    "max pool": (lambda: MaxPool2D(2), IMAGE),
    "max pool, overlapping": (lambda: MaxPool2D(3, 2), IMAGE),
    "max pool same": (lambda: MaxPool2D((3, 2), (2, 3), "same"), IMAGE),
    "average pool": (lambda: AvgPool2D((2, 3), (2, 1)), IMAGE),
    "average pool same": (lambda: AvgPool2D(3, 2, "same"), IMAGE),
    "global average pool": (GlobalAvgPool2D, IMAGE),
    "dense": (lambda: Dense(6, 4, rng=0), (6,)),
    "dense relu": (lambda: Dense(6, 4, relu=True, rng=0), (6,)),
    "flatten": (Flatten, IMAGE),
    "relu": (ReLU, IMAGE),
    "sigmoid": (Sigmoid, IMAGE),
    "softmax": (Softmax, (7,)),
    "dropout": (lambda: Dropout(0.4), IMAGE),
    "fire": (lambda: Fire(3, 2, 4, rng=0), IMAGE),
    "sequential": (in_sequence, IMAGE),
}


def apart(rng, shape):
    """Values in random order, none near 0 or near another: no step crosses a kink of the input."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) + 0.5) / size * 4 - 2).reshape(shape)


def assert_slope(value, array, gradient):
    """value() changes along a random direction of ``array`` as ``gradient`` says."""
    assert gradient.shape == array.shape
    assert gradient.dtype == array.dtype == np.float64
    direction = np.random.default_rng(9).standard_normal(array.shape)
    start = array.copy()
    array[...] = start + STEP * direction
    above = value()
    array[...] = start - STEP * direction
    below = value()
    array[...] = start
    measured, claimed = (above - below) / (2 * STEP), (gradient * direction).sum()
    assert abs(claimed) > 1e-4, "this direction shows nothing: choose another seed"
    assert measured == pytest.approx(claimed, rel=1e-6)


def biased(layer):
    """The layer in float64, its biases no longer 0."""
    rng = np.random.default_rng(2)
    for path, param in layer.astype(np.float64).named_params().items():
        if path.split("/")[-1] == "b":
            param.value += 0.3 * rng.standard_normal(param.value.shape)
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    make, shape = LAYERS[name]
    layer, rng = biased(make()), np.random.default_rng(1)
    x = apart(rng, (2, *shape))
    u = rng.standard_normal((2, *layer.out_shape(shape)))

    def forward():
        layer.seed_dropout(3)
        return layer.forward(x, train=True)

    forward()
    dx = layer.backward(u)
    gradients = {path: param.grad.copy() for path, param in layer.named_params().items()}
    assert_slope(lambda: (forward() * u).sum(), x, dx)
    for path, param in layer.named_params().items():
        assert_slope(lambda: (forward() * u).sum(), param.value, gradients[path])


@pytest.mark.parametrize("weights", [None, [0.5, 3.0, 1.0, 0.1]])
def test_cross_entropy(weights):
    logits = 3 * np.random.default_rng(0).standard_normal((5, 4))
    labels = np.array([0, 3, 1, 1, 2])
    loss = CrossEntropy(class_weights=weights)
    _, gradient = loss(logits, labels)
    assert_slope(lambda: loss(logits, labels)[0], logits, gradient)


def test_mean_squared_error():
    y, target = np.random.default_rng(0).standard_normal((2, 5, 4))
    loss = MeanSquaredError()
    _, gradient = loss(y, target)
    assert_slope(lambda: loss(y, target)[0], y, gradient)


def test_whole_network_with_its_loss():
    rng = np.random.default_rng(0)
    net = Sequential(
        [
            ("conv1", Conv2D(3, 6, 3, stride=2, relu=True, rng=rng)),
            ("pool1", MaxPool2D(3, stride=2)),
            ("fire2", Fire(6, squeeze=3, expand=4, rng=rng)),
            ("fire3", Fire(8, squeeze=3, expand=5, rng=rng)),
            ("pool3", MaxPool2D(2)),
            ("dropout", Dropout(0.3)),
            ("conv4", Conv2D(10, 4, 1, relu=True, rng=rng)),
            ("pool4", GlobalAvgPool2D()),
        ]
    )
    biased(net)
    net.layers["conv4"].params["b"].value += 2  # all logits live
    x, labels = apart(rng, (3, 20, 19, 3)), np.array([2, 0, 3])
    loss = CrossEntropy(class_weights=[1.0, 2.0, 0.5, 3.0])

    def value():
        net.seed_dropout(7, 0)
        return loss(net.forward(x, train=True), labels)

    dx = net.backward(value()[1])
    gradients = {path: param.grad.copy() for path, param in net.named_params().items()}
    assert len(gradients) == 16
    assert_slope(lambda: value()[0], x, dx)
    for path, param in net.named_params().items():
        assert_slope(lambda: value()[0], param.value, gradients[path])
