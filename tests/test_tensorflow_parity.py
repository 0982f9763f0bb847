"""The same layers, losses, optimizers and ten steps of training in TensorFlow and here."""

import numpy as np
import pytest

from minicnn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Fire,
    GlobalAvgPool2D,
    MaxPool2D,
    Param,
    Sequential,
)
from minicnn.loss import CrossEntropy
from minicnn.optim import SGD, Adam

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: parity tests skipped")

CLASS_WEIGHTS = [0.5, 3.0, 1.0, 2.0]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def to_keras(w):
    """OC, KH, KW, C to Keras's KH, KW, C, OC; OUT, IN to IN, OUT."""
    return np.moveaxis(w, 0, -1)


def assert_close(ours, theirs):
    """Equal up to float32's rounding of sums as large as the largest value."""
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


def check(layer, run, x, weights=()):
    """Output and all gradients of a layer against those of the TensorFlow function ``run``.

    weights   our parameters in Keras's order, which ``run`` takes after x
    """
    x, weights = tf.constant(x), [tf.constant(w) for w in weights]
    with tf.GradientTape() as tape:
        tape.watch([x, *weights])
        theirs = run(x, *weights)
    dy = normal(*theirs.shape, seed=1)
    dx, *gradients = tape.gradient(theirs, [x, *weights], output_gradients=tf.constant(dy))
    assert_close(layer.forward(x.numpy(), train=True), theirs)
    assert_close(layer.backward(dy), dx)
    for param, gradient in zip(layer.params.values(), gradients, strict=True):
        assert_close(to_keras(param.grad), gradient)


CONVS = [
    # (H, W, C), OC, kernel, stride, padding, relu
    ((8, 8, 3), 16, (3, 3), (1, 1), "valid", False),
    ((9, 7, 3), 5, (3, 3), (1, 1), "same", True),
    ((9, 12, 4), 33, (3, 3), (2, 2), "valid", True),
    ((8, 9, 4), 33, (3, 3), (2, 2), "same", False),
    ((11, 13, 2), 7, (2, 5), (1, 1), "same", True),
    ((11, 13, 2), 7, (4, 2), (3, 3), "same", True),
    ((10, 12, 17), 20, (2, 2), (3, 3), "valid", False),
    ((13, 11, 1), 1, (1, 1), (3, 3), "same", False),
    ((23, 27, 3), 96, (11, 11), (4, 4), "valid", True),
    ((7, 5, 16), 64, (1, 1), (1, 1), "valid", True),
    ((5, 5, 2), 4, (7, 7), (1, 1), "same", False),
]


@pytest.mark.parametrize(("shape", "OC", "kernel", "stride", "padding", "relu"), CONVS)
def test_convolution(shape, OC, kernel, stride, padding, relu):
    layer = Conv2D(shape[2], OC, kernel, stride, padding, relu, rng=0)
    w, b = layer.params["w"].value, layer.params["b"].value
    b[:] = normal(OC)

    def run(x, w, b):
        y = tf.nn.conv2d(x, w, stride, padding.upper()) + b
        return tf.nn.relu(y) if relu else y

    check(layer, run, normal(3, *shape), (to_keras(w), b))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [((8, 8, 3), 2, 2), ((9, 7, 5), 3, 2), ((9, 8, 1), (2, 3), (3, 1)), ((7, 7, 17), 2, 3)],
)
def test_pools(shape, kernel, stride, padding):
    x = normal(2, *shape) - 3  # mostly negative: padding would show
    for make, run in ((MaxPool2D, tf.nn.max_pool2d), (AvgPool2D, tf.nn.avg_pool2d)):
        check(
            make(kernel, stride, padding),
            lambda x, run=run: run(x, kernel, stride, padding.upper()),
            x,
        )


def test_global_average_pool():
    check(GlobalAvgPool2D(), lambda x: tf.reduce_mean(x, [1, 2]), normal(3, 5, 6, 7))


@pytest.mark.parametrize("relu", [False, True])
def test_dense(relu):
    layer = Dense(30, 17, relu=relu, rng=0)
    w, b = layer.params["w"].value, layer.params["b"].value
    b[:] = normal(17)

    def run(x, w, b):
        y = x @ w + b
        return tf.nn.relu(y) if relu else y

    check(layer, run, normal(5, 30), (to_keras(w), b))


def keras_loss(logits, labels, weights):
    """Keras's class_weight: the weighted losses' sum over the batch size."""
    losses = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return losses(labels, logits, sample_weight=tf.gather(tf.constant(weights), labels))


def test_weighted_cross_entropy():
    logits, labels = tf.constant(5 * normal(9, 4)), np.arange(9) % 4
    with tf.GradientTape() as tape:
        tape.watch(logits)
        theirs = keras_loss(logits, labels, CLASS_WEIGHTS)
    value, gradient = CrossEntropy(class_weights=CLASS_WEIGHTS)(logits.numpy(), labels)
    assert value == pytest.approx(float(theirs), rel=1e-6)
    assert_close(gradient, tape.gradient(theirs, logits))


OPTIMIZERS = {
    "sgd": (SGD, "SGD", {"lr": 0.1}),
    "momentum": (SGD, "SGD", {"lr": 0.1, "momentum": 0.9}),
    "nesterov": (SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "decay": (SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}),
    "adam": (Adam, "Adam", {"lr": 0.01}),
    "adam betas": (Adam, "Adam", {"lr": 0.01, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}),
    "adam decay": (Adam, "Adam", {"lr": 0.01, "weight_decay": 0.05}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    ours, theirs, settings = OPTIMIZERS[name]
    optimizer = ours(**settings)
    renamed = {"learning_rate" if key == "lr" else key: v for key, v in settings.items()}
    keras = getattr(tf.keras.optimizers, theirs)(**renamed)
    param, variable = Param(normal(4, 5)), tf.Variable(normal(4, 5))
    for step in range(6):
        # gradients of very different sizes
        param.grad = normal(4, 5, seed=step) * np.float32(10.0) ** np.arange(
            -4, 1, dtype=np.float32
        )
        optimizer.step({"w": param})
        keras.apply([tf.constant(param.grad)], [variable] if step == 0 else None)
        np.testing.assert_allclose(param.value, variable.numpy(), rtol=1e-5, atol=1e-6)


def our_network():
    rng = np.random.default_rng(0)
    return Sequential(
        [
            ("conv1", Conv2D(3, 16, 3, stride=2, relu=True, rng=rng)),
            ("pool1", MaxPool2D(3, stride=2)),
            ("fire2", Fire(16, squeeze=8, expand=16, rng=rng)),
            ("fire3", Fire(32, squeeze=8, expand=16, rng=rng)),
            ("pool3", MaxPool2D(3, stride=2)),
            ("fire4", Fire(32, squeeze=12, expand=24, rng=rng)),
            ("dropout", Dropout(0.0)),
            ("conv5", Conv2D(48, 4, 1, relu=True, rng=rng)),
            ("pool5", GlobalAvgPool2D()),
        ]
    )


def their_network():
    layers = tf.keras.layers

    def conv(name, channels, kernel, **settings):
        return layers.Conv2D(channels, kernel, activation="relu", name=name, **settings)

    def fire(name, x, squeeze, expand):
        s = conv(f"{name}_squeeze", squeeze, 1)(x)
        one = conv(f"{name}_expand1", expand, 1)(s)
        three = conv(f"{name}_expand3", expand, 3, padding="same")(s)
        return layers.Concatenate()([one, three])

    x = images = layers.Input((48, 48, 3))
    x = layers.MaxPooling2D(3, 2)(conv("conv1", 16, 3, strides=2)(x))
    x = fire("fire3", fire("fire2", x, 8, 16), 8, 16)
    x = fire("fire4", layers.MaxPooling2D(3, 2)(x), 12, 24)
    x = layers.GlobalAveragePooling2D()(conv("conv5", 4, 1)(x))
    return tf.keras.Model(images, x)


def test_ten_steps_of_training_take_the_same_way():
    net, model = our_network(), their_network()
    net.layers["conv5"].params["b"].value[:] = 1  # all four logits live
    for path, param in net.named_params().items():
        layer, name = path.rsplit("/", 1)
        twin = model.get_layer(layer.replace("/", "_"))
        (twin.kernel if name == "w" else twin.bias).assign(to_keras(param.value))

    loss, optimizer = CrossEntropy(class_weights=CLASS_WEIGHTS), SGD(0.02, momentum=0.9)
    keras = tf.keras.optimizers.SGD(0.02, momentum=0.9)
    ours, theirs = [], []
    for step in range(10):
        labels = np.random.default_rng(step).integers(0, 4, 16)
        # something to learn: every class has a brightness
        x = normal(16, 48, 48, 3, seed=step) + labels.astype(np.float32)[:, None, None, None] - 1.5
        value, gradient = loss(net.forward(x, train=True), labels)
        net.backward(gradient)
        optimizer.step(net.named_params())
        ours.append(value)
        with tf.GradientTape() as tape:
            value = keras_loss(model(x, training=True), labels, CLASS_WEIGHTS)
        weights = model.trainable_variables
        keras.apply_gradients(zip(tape.gradient(value, weights), weights, strict=True))
        theirs.append(float(value))

    assert ours[-1] < 0.9 * ours[0], "it should learn something"
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    for path, param in net.named_params().items():
        layer, name = path.rsplit("/", 1)
        twin = model.get_layer(layer.replace("/", "_"))
        final = (twin.kernel if name == "w" else twin.bias).numpy()
        # of the largest weight of the layer, and of each weight that is not near zero
        np.testing.assert_allclose(
            to_keras(param.value), final, rtol=1e-3, atol=1e-3 * np.abs(final).max()
        )
