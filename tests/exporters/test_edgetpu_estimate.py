"""The estimate of time and energy, held against the times it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest
import small_int8

from exporters.edgetpu import estimate as estimates
from exporters.edgetpu.container import CACHE_BYTES


def test_the_fit_is_physical() -> None:
    fit = estimates.fit()
    assert 0 < fit.overhead < 4  # ms; the smallest networks take 2
    assert 0.00025 < fit.per_million < 0.01  # 4 TOPS are 0.0005 ms for a million multiply-adds
    assert 1000 / 500 < fit.per_megabyte < 1000 / 250  # MB/s of USB 3, and what others measured


def test_no_change_of_the_fit_lowers_its_errors() -> None:
    fit = estimates.fit()
    best = sum(abs(error) for error in estimates.errors().values())
    rng = np.random.default_rng(0)
    for factors in rng.uniform(0.95, 1.05, (200, 3)):
        other = estimates.Fit(
            fit.overhead * factors[0], fit.per_million * factors[1], fit.per_megabyte * factors[2]
        )
        sizes = [
            abs(other.ms(p.multiply_adds, max(0, p.parameters - CACHE_BYTES / 1e6)) / p.ms - 1)
            for p in estimates.PUBLISHED
        ]
        assert sum(sizes) >= best - 1e-6


def test_the_errors_are_told() -> None:
    sizes = sorted(abs(error) for error in estimates.errors().values())
    assert len(sizes) == len(estimates.PUBLISHED) >= 9
    assert np.median(sizes) < 0.15
    text = estimates.errors_text()
    assert f"median error {np.median(sizes):.0%}" in text
    assert f"worst {sizes[-1]:.0%} (Inception-ResNet v2 299)" in text


@pytest.mark.parametrize("name", ["VGG16 224", "ResNet-50 v1 299", "MobileNet v1 224"])
def test_networks_that_stream_and_one_that_does_not(name: str) -> None:
    assert abs(estimates.errors()[name]) < 0.2


def test_the_published_times_are_as_in_the_table() -> None:
    times = {network.name: network.ms for network in estimates.PUBLISHED}
    assert times["SqueezeNet 224"] == 2.1
    assert times["DenseNet-121 224"] == 20
    assert times["Inception v4 299"] == 85
    assert (times["VGG16 224"], times["VGG19 224"]) == (296, 308)


def test_energy_is_two_watts_for_that_time() -> None:
    found = estimates.estimate(small_int8.net(), streamed_bytes=10_000_000)
    assert found.mj == 2 * found.ms
    more = estimates.estimate(small_int8.net(), streamed_bytes=20_000_000)
    assert more.ms - found.ms == pytest.approx(10 * estimates.fit().per_megabyte)


def test_multiply_adds_of_foreign_operations_count() -> None:
    found = estimates.estimate(small_int8.net(), 0).multiply_adds
    stem, depthwise, squeeze = 8 * 8 * 8 * 3 * 3 * 3, 4 * 4 * 3 * 3 * 8, 6 * 6 * 4 * 8
    expands, dense = 6 * 6 * 8 * 4 * (1 + 9), 7 * 16
    assert found == stem + depthwise + squeeze + expands + dense


def test_a_transposed_convolution_spreads_each_pixel() -> None:
    m = small_int8.Maker()
    x = m.activation("x", (1, 4, 4, 8), small_int8.OUT, "int8")
    m.graph.inputs = [x]
    shape = m.constant("y/shape", np.int32([1, 8, 8, 6]))
    w = m.constant("y/w", np.ones((6, 3, 3, 8), np.int8), np.full(6, 0.1, np.float32))
    m.node("TRANSPOSE_CONV", "y", [shape, w, x], (1, 8, 8, 6), stride=(2, 2))
    assert estimates.estimate(m.graph, 0).multiply_adds == 4 * 4 * 3 * 3 * 8 * 6
