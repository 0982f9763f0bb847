"""Expected calibration error, on figures that can be worked out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.metrics import reliability


def two_classes(top):
    """Probabilities (N, 2) whose likeliest class is 1."""
    top = np.array(top)
    return np.stack([1 - top, top], axis=1)


def test_worked_out():
    """Five bins: 0.55 and 0.6 share (0.4, 0.6], right once; 0.9 and 1.0 share the last, both right.

    |1/2 - 0.575| * 2/4 + |1 - 0.95| * 2/4 = 0.0625
    """
    found = reliability(two_classes([0.55, 0.9, 0.6, 1.0]), np.array([0, 1, 1, 1]), bins=5)
    assert found.images.tolist() == [0, 0, 2, 0, 2]
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.575, np.nan, 0.95])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, np.nan, 1])
    assert found.error == pytest.approx(0.0625)


def test_sure_and_wrong_is_the_worst():
    assert reliability(two_classes([1.0, 1.0]), np.array([0, 0])).error == 1
    assert reliability(two_classes([1.0, 1.0]), np.array([1, 1])).error == 0


def test_no_images():
    with np.errstate(all="raise"):
        found = reliability(np.zeros((0, 3)), np.zeros(0, np.int64))
    assert np.isnan(found.error) and found.images.sum() == 0


@given(st.integers(1, 40), st.integers(2, 5), st.integers(1, 20), st.integers(0, 1000))
def test_as_a_loop_over_bins_counts_it(N, classes, bins, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), N).astype(np.float32)
    labels = rng.integers(0, classes, N)
    expected = 0.0
    for b in range(bins):
        inside = [i for i in range(N) if b < bins * float(p[i].max()) <= b + 1]
        if inside:
            right = np.mean([p[i].argmax() == labels[i] for i in inside])
            expected += len(inside) / N * abs(right - np.mean([float(p[i].max()) for i in inside]))
    found = reliability(p, labels, bins)
    assert found.images.sum() == N
    assert found.error == pytest.approx(expected, abs=1e-9)
    assert 0 <= found.error <= 1
