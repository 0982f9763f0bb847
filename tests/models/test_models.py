"""The four networks: sizes, smallest images, seeds, and how training starts."""

import numpy as np
import pytest

import models
from minicnn.loss import CrossEntropy

SIDES = {"squeezenet": 31, "deepsqueeze": 255, "son_of_deepsqueeze": 255}
SQUEEZENETS = list(SIDES)


def smooth_images(N, side):
    """Random images as smooth as photographs, standardized: 6x6 random fields, interpolated."""
    corners = np.random.default_rng(0).standard_normal((N, 6, 6, 3))
    # column i of the matrix: how much each of the six points counts at pixel i
    at = np.linspace(0, 5, side)
    weights = np.maximum(1 - abs(np.arange(6)[:, None] - at), 0)
    x = np.einsum("nhwc,hi,wj->nijc", corners, weights, weights)
    return ((x - x.mean()) / x.std()).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("squeezenet", 726_087),
        ("deepsqueeze", 1_022_727),
        ("son_of_deepsqueeze", 3_400_455),
        ("alexnet", 136_047_815),
    ],
)
def test_parameter_counts_of_the_thesis(name, parameters):
    net = models.build(name, input_shape=(450, 600, 3), classes=7)
    assert net.count_params() == parameters
    assert net.out_shape((450, 600, 3)) == (7,)


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [
        ("squeezenet", 31, "pool5"),
        ("deepsqueeze", 255, "pool11"),
        ("son_of_deepsqueeze", 255, "pool11"),
    ],
)
def test_the_smallest_image(name, side, layer):
    net = models.build(name, (side, side, 3))
    x = np.zeros((1, side, side, 3), np.float32)
    assert net.forward(x).shape == (1, 7)
    for shape in ((side - 1, side - 1, 3), (side - 1, 600, 3), (450, side - 1, 3)):
        with pytest.raises(ValueError, match=rf"{name} .*{layer}: .*smallest side .* is {side}$"):
            models.build(name, shape)


def test_alexnet_too_names_its_smallest_side():
    with pytest.raises(ValueError, match="alexnet does not fit 214x300 .*pool5.*side .* is 215$"):
        models.build("alexnet", (214, 300, 3))


@pytest.mark.parametrize("name", SQUEEZENETS)
@pytest.mark.parametrize("init", ["he", "glorot"])
def test_a_seed_fixes_the_weights_bit_for_bit(name, init):
    one, same, other = (
        models.build(name, (255, 255, 3), seed=seed, init=init).named_params() for seed in (3, 3, 4)
    )
    assert list(one) == list(same) == list(other)
    for path, param in one.items():
        assert param.value.dtype == np.float32
        assert param.value.tobytes() == same[path].value.tobytes()
        if path.endswith("/w"):
            assert (param.value != other[path].value).mean() > 0.99


def test_the_initializations():
    he, glorot = (models.build("squeezenet", init=init).named_params() for init in ("he", "glorot"))
    fan_in, fan_out = 9 * 64, 9 * 256  # fire9/expand3
    w = he["fire9/expand3/w"].value
    assert w.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.02)
    w = glorot["fire9/expand3/w"].value
    limit = np.sqrt(6 / (fan_in + fan_out))
    assert abs(w).max() == pytest.approx(limit, rel=1e-3)
    assert w.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    for path in he:
        if path.endswith("/b"):
            assert (he[path].value == (1 if path == "conv10/b" else 0)).all()
            assert (glorot[path].value == 0).all()


def assert_starts_undecided(net, x):
    """The first loss is near that of a uniform guess, ln 7, and every class gets a gradient."""
    labels = np.arange(len(x)) % 7
    loss, _ = CrossEntropy()(net.forward(x), labels)
    assert loss == pytest.approx(np.log(7), rel=0.1)
    net.seed_dropout(0)
    _, gradient = CrossEntropy()(net.forward(x, train=True), labels)
    net.backward(gradient)
    head = list(net.named_params().values())[-2:]
    assert all((abs(param.grad).reshape(7, -1).max(axis=1) > 0).all() for param in head)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SQUEEZENETS)
def test_training_starts_undecided(name, seed):
    side = max(SIDES[name], 128)
    net = models.build(name, (side, side, 3), seed=seed)
    assert_starts_undecided(net, smooth_images(4, side))


def test_training_of_alexnet_starts_undecided():
    net = models.build("alexnet", (224, 224, 3))
    assert_starts_undecided(net, smooth_images(2, 224))


def test_predictions_are_probabilities():
    net = models.build("squeezenet", (64, 48, 3), classes=4)
    p = net.predict(smooth_images(5, 64)[:, :, :48])
    assert p.shape == (5, 4)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)


def test_the_gradient_of_the_pixels_is_left_out():
    net = models.build("squeezenet", (64, 64, 3))
    logits = net.forward(smooth_images(1, 64), train=True)
    assert net.backward(np.ones_like(logits)).size == 0
    assert all(param.grad is not None for param in net.named_params().values())


def test_mistakes_are_answered_with_the_choices():
    assert set(models.NAMES) == {*SQUEEZENETS, "alexnet"}
    with pytest.raises(ValueError, match="'resnet': choose one of squeezenet.*alexnet"):
        models.build("resnet")
    with pytest.raises(ValueError, match="'zeros': choose one of he, glorot"):
        models.build("squeezenet", init="zeros")
    with pytest.raises(ValueError, match=r"\(224, 224\), wanted \(height, width, channels\)"):
        models.build("squeezenet", (224, 224))
