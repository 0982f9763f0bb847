"""Sequential.gradients, block by block, against the three calls and against layer by layer."""

import gc

import numba
import numpy as np
import pytest

import models
from minicnn import kernels
from minicnn.kernels import memory
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
)
from minicnn.loss import CrossEntropy
from minicnn.optim import SGD

LOSS = CrossEntropy(np.linspace(0.5, 2.0, 5, dtype=np.float32))
LABELS = np.arange(11) % 5


def images(count=11, side=21):
    return np.random.default_rng(count).standard_normal((count, side, side, 3), np.float32)


def network(input_gradient=False):
    """One of everything, with all the pairs that Sequential runs as one."""
    net = Sequential(
        [
            Conv2D(3, 20, 3, stride=2, relu=True, rng=0),
            MaxPool2D(3, stride=2),
            Fire(20, 16, 16, rng=1),
            MaxPool2D(2, stride=1),
            Dropout(0.3),
            Conv2D(32, 17, 2, relu=True, rng=2),
            AvgPool2D(2),
            Conv2D(17, 6, 1, rng=3),
            ReLU(),
            Flatten(),
            Dropout(0.3),
            Dense(6, 9, relu=True, rng=4),
            Dense(9, 5, rng=5),
        ]
    )
    next(iter(net.layers.values())).input_gradient = input_gradient
    net.seed_dropout(7)
    return net


def gradients(net):
    return {path: param.grad.copy() for path, param in net.named_params().items()}


def three_calls(net, x):
    logits = net.forward(x, train=True)
    value, dlogits = LOSS(logits, LABELS)
    return value, logits, net.backward(dlogits)


@pytest.mark.parametrize("images_a_block", [1, 4, 11])
def test_blocks_give_what_the_three_calls_give(monkeypatch, images_a_block):
    x, plain, blocks = images(), network(), network()
    value, logits, _ = three_calls(plain, x)
    monkeypatch.setattr(Sequential, "images_per_block", lambda *_: images_a_block)
    found, found_logits = blocks.gradients(x, LABELS, LOSS)
    assert found == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(found_logits, logits, rtol=1e-5, atol=1e-6)
    for path, grad in gradients(plain).items():
        size = np.abs(grad).max()
        np.testing.assert_allclose(gradients(blocks)[path], grad, rtol=1e-4, atol=1e-5 * size)
    assert not any(param.adding for param in blocks.named_params().values())


@pytest.mark.parametrize("input_gradient", [False, True])
def test_fused_stages_equal_layer_by_layer_to_the_bit(input_gradient):
    """A ReLU's gradient in the next layer's kernel, a convolution pooled as it is made."""
    x, fused, plain = images(), network(input_gradient), network(input_gradient)
    _, logits, dx = three_calls(fused, x)
    y = x
    for layer in plain.layers.values():
        y = layer.forward(y, train=True)
    np.testing.assert_array_equal(logits, y)
    _, dy = LOSS(y, LABELS)
    for layer in reversed(plain.layers.values()):
        dy = layer.backward(dy)
    np.testing.assert_array_equal(dx, dy)
    assert dx.size == (x.size if input_gradient else 0)
    for path, grad in gradients(plain).items():
        np.testing.assert_array_equal(gradients(fused)[path], grad, err_msg=path)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one thread only on this machine")
def test_blocks_do_not_depend_on_the_threads(monkeypatch):
    monkeypatch.setattr(Sequential, "images_per_block", lambda *_: 4)
    before, found = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            net = network()
            value, logits = net.gradients(images(), LABELS, LOSS)
            found.append([np.float64(value), logits, *gradients(net).values()])
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()


def test_how_many_images_a_block_has():
    squeezenet = models.build("squeezenet", (224, 224, 3), 7)
    assert 2 <= squeezenet.images_per_block((224, 224, 3)) <= 8
    assert squeezenet.images_per_block((31, 31, 3)) > 100
    assert squeezenet.images_per_block((2000, 2000, 3)) == 1
    # large dense weights want the whole batch: each block reads them all
    alexnet = models.build("alexnet", (450, 600, 3), 7)
    assert alexnet.images_per_block((450, 600, 3)) > 100


def test_an_error_in_the_loss_leaves_no_parameter_adding():
    net = network()
    with pytest.raises(ValueError, match="label 9"):
        net.gradients(images(), np.full(11, 9), LOSS)
    assert not any(param.adding for param in net.named_params().values())


def test_memory_does_not_grow_over_steps():
    net = models.build("squeezenet", (64, 64, 3), 5)
    x, optimizer, held = images(11, 64), SGD(0.001, momentum=0.9), []
    gc.collect()
    for _ in range(4):
        net.gradients(x, LABELS, LOSS)
        optimizer.step(net.named_params())
        held.append(memory.held())
    assert held[1] == held[2] == held[3]


def test_constant_weights_are_packed_once_and_cannot_be_changed():
    net = Sequential([Conv2D(3, 4, 3, rng=0), Fire(4, 2, 3, rng=0), GlobalAvgPool2D()])
    x, w = images(2), net.named_params()["conv2d1/w"].value
    free = net.forward(x)
    with kernels.constant_weights():
        np.testing.assert_array_equal(net.forward(x), free)
        with pytest.raises(ValueError, match="read-only"):
            w *= 2
        with kernels.constant_weights():
            np.testing.assert_array_equal(net.forward(x), free)
        np.testing.assert_array_equal(net.forward(x), free)
        with pytest.raises(ValueError, match="read-only"):
            w *= 2
    w *= 2
    assert (net.forward(x) != free).any()


def test_weights_that_were_read_only_before_stay_so():
    net = Sequential([Conv2D(3, 4, 3, rng=0)])
    w = net.named_params()["conv2d1/w"].value
    w.flags.writeable = False
    with kernels.constant_weights():
        net.forward(images(2))
    assert not w.flags.writeable
