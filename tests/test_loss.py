"""The losses against values worked out by hand; their gradients are in layers/test_gradients.py."""

import math

import numpy as np
import pytest

from minicnn.loss import CrossEntropy, MeanSquaredError, cross_entropies, log_softmax


@pytest.mark.parametrize("level", [0.0, 1.0, -1e4])
def test_equal_logits_cost_the_logarithm_of_the_classes(level):
    value, gradient = CrossEntropy()(np.full((3, 7), level, np.float32), np.array([0, 3, 6]))
    assert value == pytest.approx(math.log(7), rel=1e-12)
    expected = np.full((3, 7), 1 / 7 / 3)
    expected[[0, 1, 2], [0, 3, 6]] -= 1 / 3
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_cross_entropy_by_hand():
    logits = np.log([[1.0, 3.0], [4.0, 1.0]])  # p = 1/4 3/4; 4/5 1/5
    value, gradient = CrossEntropy()(logits, np.array([0, 0]))
    assert value == pytest.approx((math.log(4) + math.log(5 / 4)) / 2)
    np.testing.assert_allclose(gradient, [[-3 / 8, 3 / 8], [-1 / 10, 1 / 10]])
    np.testing.assert_allclose(cross_entropies(logits, np.array([0, 1])), np.log([4, 5]))
    np.testing.assert_allclose(np.exp(log_softmax(logits)), [[1 / 4, 3 / 4], [4 / 5, 1 / 5]])


def test_class_weights_multiply_and_the_batch_size_divides():
    logits = np.log([[1.0, 3.0], [4.0, 1.0], [1.0, 1.0]])
    value, gradient = CrossEntropy(class_weights=[10, 2])(logits, np.array([0, 1, 0]))
    assert value == pytest.approx((10 * math.log(4) + 2 * math.log(5) + 10 * math.log(2)) / 3)
    expected = np.array([[-30 / 4, 30 / 4], [8 / 5, -8 / 5], [-10 / 2, 10 / 2]]) / 3
    np.testing.assert_allclose(gradient, expected)


def test_shares_of_classes_cost_their_mean():
    logits = np.log([[1.0, 3.0], [4.0, 1.0]])
    loss = CrossEntropy(class_weights=[10, 2])
    value, gradient = loss(logits, np.array([[0.75, 0.25], [0, 1]]))
    wanted = 0.75 * 10 * math.log(4) + 0.25 * 2 * math.log(4 / 3) + 2 * math.log(5)
    assert value == pytest.approx(wanted / 2)
    numeric = np.zeros((2, 2))
    for place in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[place] = 1e-6
        up, down = (loss(logits + s, np.array([[0.75, 0.25], [0, 1]]))[0] for s in (step, -step))
        numeric[place] = (up - down) / 2e-6
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)
    with pytest.raises(ValueError, match="shares of 3 classes, but logits of 2"):
        loss(logits, np.ones((2, 3)))


def test_offsets_are_added_to_the_logits():
    logits, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    offsets = 0.5 * np.log([0.7, 0.2, 0.1])
    value, gradient = CrossEntropy([1, 2, 3], offsets)(logits, labels)
    wanted, slope = CrossEntropy([1, 2, 3])(logits + offsets, labels)
    assert value == wanted
    np.testing.assert_array_equal(gradient, slope)


def test_large_logits_neither_overflow_nor_vanish():
    logits = np.array([[1e4, -1e4, 0], [-1e4, 0, 1e4]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        right, still = CrossEntropy()(logits, np.array([0, 2]))
        wrong, gradient = CrossEntropy()(logits, np.array([1, 0]))
    assert right == 0
    assert wrong == pytest.approx(2e4)
    np.testing.assert_array_equal(still, np.zeros((2, 3)))
    np.testing.assert_array_equal(gradient, [[0.5, -0.5, 0], [-0.5, 0, 0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_keep_the_dtype_of_the_logits(dtype):
    logits = np.ones((2, 3), dtype)
    value, gradient = CrossEntropy(np.ones(3))(logits, np.array([0, 1]))
    assert isinstance(value, float)
    assert gradient.dtype == dtype
    value, gradient = MeanSquaredError()(logits, np.zeros((2, 3)))
    assert isinstance(value, float)
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(logits, 1)


def test_a_nan_stays_visible():
    assert math.isnan(CrossEntropy()(np.array([[np.nan, 1.0]]), np.array([1]))[0])


def test_labels_that_do_not_fit_are_refused():
    logits = np.zeros((2, 3))
    with pytest.raises(ValueError, match="2 logits but 3 labels"):
        CrossEntropy()(logits, np.array([0, 1, 2]))
    for bad in (3, -1):
        with pytest.raises(ValueError, match=f"label {bad} is not one of the 3 classes 0 to 2"):
            CrossEntropy()(logits, np.array([0, bad]))


def test_mean_squared_error_by_hand():
    value, gradient = MeanSquaredError()(np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0], [0, 8]]))
    assert value == (0 + 4 + 9 + 16) / 4
    np.testing.assert_array_equal(gradient, [[0, 1], [1.5, -2]])
    with pytest.raises(ValueError, match=r"\(2, 1\).*\(2,\)"):
        MeanSquaredError()(np.zeros((2, 1)), np.zeros(2))
