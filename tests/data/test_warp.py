"""The warp against its plain definition: any geometry, any size, nothing outside the image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from minicnn.data.warp import _fetch, _locate, warp

FACTOR = np.array([0.5, 1.0, 2.0], np.float32)
OFFSET = np.array([3.0, -1.0, 0.25], np.float32)
ONE, ZERO = np.ones((3, 3), np.float32), np.zeros((3, 3), np.float32)


@njit
def warp_reference(images, positions, matrices, factor, offset, x):
    """As ``warp``, one pixel after the other and in float64."""
    N, H, W, _ = x.shape
    middle_h, middle_w = (H - 1) / 2, (W - 1) / 2
    for n in range(N):
        image = images[positions[n]]
        m = matrices[n]
        for i in range(H):
            for j in range(W):
                h = m[0, 0] * (i - middle_h) + m[0, 1] * (j - middle_w) + middle_h
                w = m[1, 0] * (i - middle_h) + m[1, 1] * (j - middle_w) + middle_w
                h, w = min(max(h, 0.0), H - 1.0), min(max(w, 0.0), W - 1.0)
                top, left = int(h), int(w)
                bottom, right = min(top + 1, H - 1), min(left + 1, W - 1)
                down, across = h - top, w - left
                for c in range(3):
                    upper = image[top, left, c] * (1 - across) + image[top, right, c] * across
                    lower = image[bottom, left, c] * (1 - across) + image[bottom, right, c] * across
                    x[n, i, j, c] = (upper * (1 - down) + lower * down) * factor[n, c] + offset[
                        n, c
                    ]


def photographs(count, H, W, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, H, W, 3), np.uint8)


def turned(degrees, zoom_h=1.0, zoom_w=1.0):
    t = np.deg2rad(degrees)
    return np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]) * [zoom_h, zoom_w]


def run(function, images, matrices, factor=ONE, offset=ZERO):
    """The images, each warped by its matrix; what ``function`` leaves out stays NaN."""
    x = np.full(images.shape, np.nan, np.float32)
    N = len(images)
    terms = [np.tile(np.atleast_2d(term)[:1], (N, 1)) for term in (factor, offset)]
    function(images, np.arange(N), np.array(matrices, float), *terms, x)
    return x


def check(images, matrices):
    fast = run(warp, images, matrices, FACTOR, OFFSET)
    plain = run(warp_reference, images, matrices, FACTOR, OFFSET)
    assert np.allclose(fast, plain, rtol=0, atol=2e-4)


# the 70 columns are more than one step of any vector unit, and a remainder
SIZES = [(1, 1), (1, 9), (9, 1), (2, 2), (1, 70), (70, 1), (7, 70), (33, 5), (64, 64), (45, 131)]


@pytest.mark.parametrize("H, W", SIZES)
@settings(max_examples=50, deadline=None)
@given(entries=st.lists(st.floats(-20, 20), min_size=4, max_size=4), seed=st.integers(0, 9))
def test_any_matrix_and_size(H, W, entries, seed):
    check(photographs(1, H, W, seed), [np.reshape(entries, (2, 2))])


@pytest.mark.parametrize("H, W", [(224, 224), (450, 600), (1, 600), (451, 3)])
def test_rotations_and_zooms_of_photographs(H, W):
    degrees = [0, 0.01, 20, 45, 90, 133, 180, -77.7]
    zooms = [(1, 1), (0.8, 1.2), (0.01, 0.02), (50, 30), (-1, 1), (1, 1 + 1e-9), (0, 0), (1, 0.5)]
    images = photographs(len(degrees), H, W)
    check(images, [turned(d, *z) for d, z in zip(degrees, zooms, strict=True)])


@pytest.mark.parametrize("size", [(9, 17), (8, 16)])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 3.0])
def test_coordinates_exactly_on_pixels_and_on_the_border(size, scale):
    images = photographs(4, *size)
    check(
        images, [turned(0, scale, 1), turned(0, 1, scale), np.eye(2) * scale, [[0, 1], [scale, 0]]]
    )


@pytest.mark.parametrize("size", SIZES)
def test_flips_and_half_turns_are_exact(size):
    images = photographs(4, *size)
    x = run(warp, images, [np.diag(d) for d in [(1, 1), (1, -1), (-1, 1), (-1, -1)]])
    flips = images[0], images[1, :, ::-1], images[2, ::-1], images[3, ::-1, ::-1]
    assert np.array_equal(x, np.stack(flips))


def test_quarter_turns_are_exact():
    images = photographs(2, 37, 37)
    x = run(warp, images, [[[0, 1], [-1, 0]], [[0, -1], [1, 0]]])
    assert np.array_equal(x, [np.rot90(images[0]), np.rot90(images[1], -1)])


def test_an_image_does_not_depend_on_its_batch():
    images = photographs(6, 30, 41)
    matrices = np.stack(
        [np.eye(2), turned(10), turned(33, 2, 0.3), -np.eye(2), turned(1), turned(80)]
    )
    whole = run(warp, images, matrices, FACTOR, OFFSET)
    for n in range(6):
        alone = run(warp, images[n : n + 1], matrices[n : n + 1], FACTOR, OFFSET)
        assert np.array_equal(alone[0], whole[n])


def test_positions_choose_the_images():
    images = photographs(5, 6, 7)
    x = np.empty((3, 6, 7, 3), np.float32)
    matrices = np.stack([np.eye(2), turned(10), turned(33)])
    warp(images, np.array([4, 0, 4]), matrices, ONE, ZERO, x)
    assert np.array_equal(x, run(warp, images[[4, 0, 4]], matrices))


def test_images_need_not_be_contiguous_or_writable():
    images = photographs(4, 12, 20)
    views = images[:, ::2, ::-2]
    images.flags.writeable = False
    matrices = [np.eye(2), turned(10), turned(33), -np.eye(2)]
    assert np.array_equal(run(warp, views, matrices), run(warp, views.copy(), matrices))
    assert np.array_equal(run(warp, images, matrices), run(warp, images.copy(), matrices))


WILD = [np.nan, np.inf, -np.inf, 1e300, -1e300, 1e10, -3e9, 0.0, 1.0]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (13, 50)])
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("rest", [0.0, 1.0, -1e300, np.nan])
def test_wild_matrices_read_nothing_outside_the_image(size, place, rest):
    matrices = np.full((len(WILD), 4), rest)
    matrices[:, place] = WILD
    images = np.full((len(WILD), *size, 3), 50, np.uint8)
    assert np.all(run(warp, images, matrices.reshape(-1, 2, 2)) == 50)


@pytest.mark.parametrize("size", SIZES)
def test_neighbours_lie_in_the_image(size):
    H, W = size
    pixels, index = np.arange(H * W, dtype=np.uint32), np.empty(W, np.uint32)
    (down, across), corners = np.empty((2, W), np.float32), np.empty((4, W), np.uint32)
    matrices = [turned(45, 3, 3), turned(0, 0.5, 1), [[1, np.nan], [np.inf, 1e300]]]
    for m in np.array(matrices, float):
        for i in (0, H // 2, H - 1):
            _locate(m, i, H, W, index, down, across)
            assert np.all((index // W <= max(H - 2, 0)) & (index % W <= max(W - 2, 0)))
            assert all(w.min() >= 0 and w.max() <= 1 for w in (down, across))
            _fetch.py_func(pixels, index, H, W, corners)  # not compiled: it checks its bounds
