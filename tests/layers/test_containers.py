"""Fire, Sequential and the paths of parameters; Dropout's random streams through a network."""

import numpy as np
import pytest

from minicnn.layers import Conv2D, Dense, Dropout, Fire, Flatten, ReLU, Sequential


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


def test_a_fire_is_three_convolutions_and_a_concatenation():
    fire = Fire(5, squeeze=3, expand=4, rng=0)
    for _, conv in fire.children():
        conv.params["b"].value[:] = normal(conv.out_channels)
    x, dy = normal(2, 6, 7, 5), normal(2, 6, 7, 8)
    y = fire.forward(x, train=True)
    dx = fire.backward(dy)
    grads = {path: param.grad.copy() for path, param in fire.named_params().items()}

    s = fire.squeeze.forward(x, train=True)
    halves = [conv.forward(s, train=True) for conv in (fire.expand1, fire.expand3)]
    np.testing.assert_allclose(y, np.concatenate(halves, axis=3), rtol=1e-5, atol=1e-6)
    ds = fire.expand1.backward(dy[..., :4]) + fire.expand3.backward(dy[..., 4:])
    np.testing.assert_allclose(dx, fire.squeeze.backward(ds), rtol=1e-5, atol=1e-5)
    for path, param in fire.named_params().items():
        np.testing.assert_allclose(grads[path], param.grad, rtol=1e-5, atol=1e-4)


def test_a_fire_alone_names_all_its_parameters():
    names = [f"{conv}/{p}" for conv in ("squeeze", "expand1", "expand3") for p in "wb"]
    fire = Fire(5, squeeze=3, expand=4)
    assert list(fire.named_params()) == names
    assert fire.count_params() == (5 * 3 + 3) + (3 * 4 + 4) + (9 * 3 * 4 + 4)


def test_paths_of_parameters_in_order():
    net = Sequential(
        [("conv1", Conv2D(3, 2, 1)), ("fire2", Fire(2, 1, 1)), ("head", Sequential([Dense(2, 2)]))]
    )
    assert list(net.named_params()) == [
        *("conv1/w", "conv1/b"),
        *("fire2/squeeze/w", "fire2/squeeze/b", "fire2/expand1/w", "fire2/expand1/b"),
        *("fire2/expand3/w", "fire2/expand3/b", "head/dense1/w", "head/dense1/b"),
    ]
    assert net.named_params()["fire2/expand3/w"] is net.layers["fire2"].expand3.params["w"]
    decays = {path: param.decay for path, param in net.named_params().items()}
    assert decays == {path: path.endswith("w") for path in decays}


def test_layers_without_a_name_are_numbered_by_kind():
    net = Sequential([Conv2D(1, 1, 1), ReLU(), Conv2D(1, 1, 1), ("last", Flatten())])
    assert list(net.layers) == ["conv2d1", "relu1", "conv2d2", "last"]


def test_names_must_differ():
    with pytest.raises(ValueError, match="two layers are called 'a'"):
        Sequential([("a", ReLU()), ("a", ReLU())])


def test_an_error_inside_names_the_layer_at_fault():
    net = Sequential([("conv1", Conv2D(3, 2, 1)), ("fire2", Fire(4, 1, 1))])
    with pytest.raises(ValueError, match=r"^fire2/squeeze: wanted 4 channels, got 2"):
        net.out_shape((5, 5, 3))


def test_predict_is_the_softmax_of_forward():
    net = Sequential([Dense(4, 3, rng=0)])
    x = normal(5, 4)
    e = np.exp(net.forward(x))
    np.testing.assert_allclose(net.predict(x), e / e.sum(axis=1, keepdims=True), rtol=1e-5)


def test_same_seed_same_weights():
    one, same, other = (Fire(3, 2, 4, rng=seed).named_params() for seed in (1, 1, 2))
    for path in (path for path in one if path.endswith("w")):
        assert one[path].value.tobytes() == same[path].value.tobytes()
        assert (one[path].value != other[path].value).mean() > 0.9


def test_astype_forgets_gradients_of_the_other_dtype():
    layer = Dense(2, 2)
    layer.forward(normal(1, 2), train=True)
    layer.backward(normal(1, 2))
    assert layer.astype(np.float64) is layer
    assert all(p.value.dtype == np.float64 and p.grad is None for p in layer.params.values())


def test_dropout_does_nothing_at_inference():
    x = normal(3, 5)
    np.testing.assert_array_equal(Dropout(0.7).forward(x), x)


@pytest.mark.parametrize("rate", [0.0, 0.4, 0.9])
def test_dropout_preserves_the_mean_in_training(rate):
    layer = Dropout(rate)
    layer.reseed([1])
    y = layer.forward(np.ones((100, 1000), np.float32), train=True)
    assert np.isin(y, [0, np.float32(1) / np.float32(1 - rate)]).all()
    assert (y == 0).mean() == pytest.approx(rate, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.03)
    # the gradient takes the same way
    np.testing.assert_array_equal(layer.backward(np.ones_like(y)), y)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_dropout_rates_outside_the_range_are_refused(rate):
    with pytest.raises(ValueError, match=rf"dropout rate is {rate}"):
        Dropout(rate)


def test_seed_dropout_repeats():
    net = Sequential([("one", Dropout(0.5)), ("two", Dropout(0.5))])
    x = np.ones((4, 50), np.float32)

    def masks(*entropy):
        net.seed_dropout(*entropy)
        return [layer.forward(x, train=True) != 0 for layer in net.layers.values()]

    first, again, later, other = masks(0, 1), masks(0, 1), masks(0, 2), masks(1, 1)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()  # layers differ
    assert (first[0] != later[0]).any()  # steps differ
    assert (first[0] != other[0]).any()  # seeds differ
