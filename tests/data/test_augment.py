"""Augmentation: Keras's geometry, exact normalization, no surprises at the border."""

import dataclasses

import numpy as np
import pytest

from minicnn.data.augment import NO_CHANGE, Augment, Normalization, compose
from minicnn.data.warp import warp

ONE, ZERO = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)


def photograph(H, W, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (1, H, W, 3)).astype(np.uint8)


def warped(image, matrix):
    x = np.empty(image.shape, np.float32)
    warp(image, np.array([0]), np.asarray(matrix, float).reshape(1, 2, 2), ONE, ZERO, x)
    return x[0]


def test_no_change_is_exact():
    image = photograph(7, 5)
    assert np.array_equal(warped(image, NO_CHANGE), image[0])


def test_flips_mirror_about_the_centre():
    image = photograph(6, 9)
    assert np.array_equal(warped(image, [[1, 0], [0, -1]]), image[0, :, ::-1])
    assert np.array_equal(warped(image, [[-1, 0], [0, 1]]), image[0, ::-1])


def test_zoom_in_by_two_reads_the_middle_half():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[0, 2:6, 2:6] = 200
    out = warped(image, [[0.5, 0], [0, 0.5]])
    assert out.min() > 0
    assert out[4, 4, 0] == 200


def test_beyond_the_border_the_nearest_pixel_repeats():
    image = np.full((1, 6, 6, 3), 50, np.uint8)
    assert np.all(warped(image, [[3, 0], [0, 3]]) == 50)


def test_draw_stays_in_its_ranges_and_repeats():
    augment = Augment(horizontal_flip=True, zoom=0.2)
    drawn = augment.draw(np.random.default_rng(1), 500)
    assert np.array_equal(drawn, augment.draw(np.random.default_rng(1), 500))
    rows, columns = drawn[:, 0, 0], drawn[:, 1, 1]
    assert np.all((rows >= 0.8) & (rows <= 1.2))
    assert np.all((abs(columns) >= 0.8) & (abs(columns) <= 1.2))
    assert 0.4 < np.mean(columns < 0) < 0.6  # every second one is mirrored
    assert not np.allclose(rows, abs(columns))  # the two zooms are drawn apart
    assert np.all(drawn[:, 0, 1] == 0)


def test_scale_changes_height_and_width_alike():
    drawn = Augment(scale=0.3).draw(np.random.default_rng(1), 500)
    np.testing.assert_allclose(drawn[:, 0, 0], drawn[:, 1, 1])
    assert 0.7 <= drawn[:, 0, 0].min() < 0.71 and 1.29 < drawn[:, 0, 0].max() <= 1.3


def test_still_images_are_only_mirrored():
    turned = Augment(horizontal_flip=True, rotation=180, zoom=0.1, scale=0.2)
    some = dataclasses.replace(turned, still=0.3)
    before = turned.draw(np.random.default_rng(0), 1000)
    drawn = some.draw(np.random.default_rng(0), 1000)
    still = (np.abs(drawn) == np.eye(2)).all(axis=(1, 2))
    assert 250 < still.sum() < 350 and 100 < (drawn[still][:, 1, 1] == -1).sum() < 200
    assert np.array_equal(drawn[~still], before[~still])


def test_the_thesis_shear_is_degrees_and_moves_no_pixel_by_much():
    drawn = Augment(shear=0.2).draw(np.random.default_rng(0), 1000)
    assert 0.0030 < abs(drawn[:, 0, 1]).max() < 0.0035  # sin(0.2 degrees)


def test_every_image_gets_its_own_matrix():
    images = np.concatenate([photograph(4, 4, 1), photograph(4, 4, 2)])
    x = np.empty((2, 4, 4, 3), np.float32)
    matrices = np.array([[[1, 0], [0, -1]], [[1, 0], [0, 1]]], float)
    warp(images, np.array([1, 0]), matrices, ONE, ZERO, x)
    assert np.array_equal(x[0], images[1, :, ::-1])
    assert np.array_equal(x[1], images[0])


def test_colours_change_apart_for_every_image_and_within_bounds():
    terms = Normalization((0.5, 0.4, 0.3), 0.2).terms(400)
    augment = Augment(colour=0.3)
    factor, offset = augment.draw_colours(np.random.default_rng(0), *terms)
    again = augment.draw_colours(np.random.default_rng(0), *terms)
    assert np.array_equal(factor, again[0]) and np.array_equal(offset, again[1])
    assert factor.dtype == offset.dtype == np.float32
    contrast = factor / terms[0]
    assert 0.7 * 0.9 <= contrast.min() < 0.75 and 1.25 < contrast.max() <= 1.3 * 1.1
    brightness = offset - terms[1] * contrast
    assert 0.3 < abs(brightness).max() <= 0.45 + 1e-5
    assert np.corrcoef(brightness[:, 0], brightness[:, 1])[0, 1] > 0.5  # mostly common to all
    same = Augment().draw_colours(np.random.default_rng(0), *terms)
    assert same[0] is terms[0] and same[1] is terms[1]


def test_normalization_gives_zero_mean_and_unit_deviation():
    images = photograph(20, 20).repeat(3, 0)
    images[1] //= 2
    normalization = Normalization.of(images, np.arange(3))
    x = normalization.apply(images)
    assert x.dtype == np.float32
    assert np.allclose(x.mean((0, 1, 2)), 0, atol=1e-5)
    assert np.isclose(np.sqrt((x**2).mean()), 1, atol=1e-5)


def test_normalization_measures_only_the_given_positions():
    images = np.concatenate([np.full((2, 3, 3, 3), 10, np.uint8), np.full((1, 3, 3, 3), 255)])
    assert np.allclose(Normalization.of(images, np.array([0, 1])).mean, 10 / 255)
    assert Normalization.of(images, np.array([0, 1])).std == 1.0  # one colour: no spread


def test_plain_normalization_is_bytes_over_255():
    image = photograph(3, 3)
    assert np.allclose(Normalization().apply(image), image / 255, atol=1e-7)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside Keras
@pytest.mark.parametrize("theta, shear, zx, zy", [(20, 0, 1, 1), (0, 10, 1, 1), (-15, 5, 0.8, 1.2)])
def test_same_pixels_as_keras(theta, shear, zx, zy):
    reason = "TensorFlow is not installed: parity with Keras's augmentation skipped"
    pytest.importorskip("tensorflow", reason=reason)
    from keras.src.legacy.preprocessing.image import apply_affine_transform

    image = photograph(15, 15)
    theirs = apply_affine_transform(
        *(image[0].astype(np.float32).swapaxes(0, 1), theta, 0, 0, shear, zx, zy),
        row_axis=0,
        col_axis=1,
        channel_axis=2,
        fill_mode="nearest",
        order=1,
    ).swapaxes(0, 1)  # it takes its matrix for one of (column, row)
    matrix = compose(np.deg2rad([theta]), np.deg2rad([shear]), np.array([[zx, zy]]))
    assert np.allclose(warped(image, matrix), theirs, atol=2e-3)
