"""The moving average of the weights: its sum, its start, masks, and putting it in place."""

import numpy as np
import pytest

from minicnn.layers import Param
from minicnn.weight_average import WeightAverage


def test_it_is_the_weighted_sum_of_what_it_saw():
    p = Param(np.zeros(2, np.float32))
    average, wanted = WeightAverage(0.5), None
    for t in range(1, 30):
        p.value[:] = np.array([t, -t * t], np.float32)
        average.update({"w": p}, t)
        d = min(0.5, (1 + t) / (10 + t))
        wanted = p.value.copy() if wanted is None else d * wanted + (1 - d) * p.value
    np.testing.assert_allclose(average.state["w"], wanted, rtol=1e-5)
    assert not np.shares_memory(average.state["w"], p.value)


def test_masked_weights_stay_zero_in_the_average():
    p = Param(np.ones(3, np.float32))
    average = WeightAverage(0.9)
    average.update({"w": p}, 1)
    p.mask = np.array([1, 0, 1], np.float32)
    p.value *= p.mask
    average.update({"w": p}, 2)
    assert average.state["w"].tolist() == [1, 0, 1]


def test_in_place_and_back_even_after_an_error():
    p = Param(np.ones(1, np.float32))
    average = WeightAverage(0.9)
    with average.in_place({"w": p}):
        assert p.value.item() == 1  # nothing averaged yet
    average.update({"w": p}, 1)
    own, p.value[:] = p.value, 5
    with pytest.raises(KeyError), average.in_place({"w": p}):
        assert p.value.item() == 1
        raise KeyError
    assert p.value is own and own.item() == 5
