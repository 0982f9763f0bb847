"""Balancing: the thesis's exact counts, and the formulas against plain arithmetic."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data.balance import class_weights, oversample, prior_bias, undersample
from minicnn.errors import UserError

HAM10000 = [327, 514, 1099, 115, 1113, 6705, 142]
DEV = [262, 411, 879, 92, 890, 5364, 114]

label_lists = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(np.array)
count_lists = st.lists(st.integers(1, 9999), min_size=1, max_size=9).map(np.array)
seeds = st.integers(0, 2**40)


def labels_of(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).permutation(labels)


@pytest.mark.parametrize(("counts", "nv", "total"), [(HAM10000, 1676, 4986), (DEV, 1341, 3989)])
def test_undersampling_leaves_the_thesis_counts(counts, nv, total):
    labels = labels_of(counts)
    kept = undersample(labels, 0.75, seed=0)
    expected = [*counts[:5], nv, counts[6]]
    assert np.bincount(labels[kept]).tolist() == expected
    assert len(kept) == total


@given(label_lists, st.floats(0, 1, exclude_max=True), seeds)
def test_undersampling_takes_from_the_largest_class_alone(labels, fraction, seed):
    kept = undersample(labels, fraction, seed)
    assert kept.dtype == np.int64
    assert (np.diff(kept) > 0).all()
    before, after = np.bincount(labels, minlength=5), np.bincount(labels[kept], minlength=5)
    largest = before.argmax()
    removed = min(round(fraction * before[largest]), before[largest] - 1)
    before[largest] -= removed
    np.testing.assert_array_equal(after, before)


def test_undersampling_is_random_and_repeatable():
    labels = labels_of([10, 500])
    first, again, other = (undersample(labels, 0.5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()
    dropped = np.setdiff1d(np.arange(510), first)
    assert abs(dropped.mean() - 255) < 40  # from everywhere, not from one end


def test_each_epoch_drops_other_images():
    labels = labels_of([10, 500])
    chosen = [undersample(labels, 0.5, 1, epoch) for epoch in (0, 0, 1, None)]
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert len({tuple(positions) for positions in chosen}) == 3
    assert {len(positions) for positions in chosen} == {260}


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, 75, float("nan")])
def test_undersampling_fraction_out_of_range(fraction):
    with pytest.raises(UserError, match="fraction"):
        undersample(np.array([0, 1, 1]), fraction, seed=0)


@given(label_lists, seeds)
def test_oversampling_levels_the_classes_and_keeps_every_image(labels, seed):
    positions = oversample(labels, seed)
    assert positions.dtype == np.int64
    assert (np.diff(positions) >= 0).all()
    assert set(positions) == set(range(len(labels)))
    counts = np.bincount(labels[positions])
    assert set(counts[counts > 0]) == {np.bincount(labels).max()}


def test_oversampling_draws_from_the_whole_class():
    labels = labels_of([30, 3000])
    positions = oversample(labels, seed=0)
    times = np.bincount(positions)[labels == 0]
    assert times.sum() == 3000
    assert times.min() > 50
    assert positions.tolist() != oversample(labels, seed=1).tolist()


@given(count_lists)
def test_class_weights(counts):
    total, most = sum(counts.tolist()), max(counts.tolist())
    formulas = {
        "none": lambda c: 1.0,
        "log": lambda c: math.log(total / c),
        "ratio": lambda c: total / c,
        "maxlog": lambda c: max(1.0, math.log(most / c)),
    }
    for name, formula in formulas.items():
        weights = class_weights(counts, name)
        assert weights.dtype == np.float32
        np.testing.assert_allclose(weights, [formula(c) for c in counts.tolist()], rtol=1e-6)


def test_the_thesis_weight_of_nv():
    counts = np.array([*HAM10000[:5], 1676, HAM10000[6]])
    assert round(float(class_weights(counts, "log")[5]), 2) == 1.09


def test_prior_bias_gives_the_class_shares():
    bias = prior_bias(np.array(HAM10000))
    assert bias.dtype == np.float32
    assert bias.min() == bias[3] == 0
    softmax = np.exp(bias) / np.exp(bias).sum()
    np.testing.assert_allclose(softmax, np.array(HAM10000) / 10015, rtol=1e-5)


def test_balancing_mistakes():
    with pytest.raises(UserError, match="none, log, ratio, maxlog"):
        class_weights(np.array([1, 2]), "sqrt")
    for function in (prior_bias, lambda counts: class_weights(counts, "ratio")):
        with pytest.raises(UserError, match="class number 1 has no images"):
            function(np.array([3, 0, 5]))
