"""What students get wrong in tutorial 6, and what its checks then say."""

import numpy as np
import pytest

from checks import data as check
from lesson import Wrong
from minicnn.data.augment import Augment, Normalization
from minicnn.data.warp import warp


def sides(on_test):
    return np.flatnonzero(~on_test), np.flatnonzero(on_test)


def right(lesions, fraction, rng):
    names = sorted(set(lesions.tolist()))
    rng.shuffle(names)
    drawn = set(names[: int(fraction * len(names))])
    return sides(np.array([lesion in drawn for lesion in lesions]))


def by_image(lesions, fraction, rng):
    order = rng.permutation(len(lesions))
    cut = int(fraction * len(order))
    return order[cut:], order[:cut]


def images_shuffled(lesions, fraction, rng):
    """Test lesions right, but the training side was drawn from all images."""
    _, test = right(lesions, fraction, rng)
    return rng.permutation(len(lesions)), test


def one_image_of_each(lesions, fraction, rng):
    """np.unique's first positions in place of all images of a lesion."""
    first = rng.permutation(np.unique(lesions, return_index=True)[1])
    cut = round(fraction * len(first))
    return first[cut:], first[:cut]


def exchanged(lesions, fraction, rng):
    return right(lesions, fraction, rng)[::-1]


def fraction_of_images(lesions, fraction, rng):
    names = rng.permutation(np.unique(lesions))
    return sides(np.isin(lesions, names[: round(fraction * len(lesions))]))


def drawn_twice(lesions, fraction, rng):
    names = np.unique(lesions)
    return sides(np.isin(lesions, rng.choice(names, round(fraction * len(names)))))


def first_names(lesions, fraction, rng):
    names = np.unique(lesions)
    return sides(np.isin(lesions, names[: round(fraction * len(names))]))


def own_generator(lesions, fraction, rng):
    return right(lesions, fraction, np.random.default_rng())


def own_seed(lesions, fraction, rng):
    return right(lesions, fraction, np.random.default_rng(42))


def names_of_lesions(lesions, fraction, rng):
    names = rng.permutation(np.unique(lesions))
    cut = round(fraction * len(names))
    return names[cut:], names[:cut]


def positions_for_names(lesions, fraction, rng):
    chosen = rng.permutation(len(np.unique(lesions)))[:2]
    return sides(np.isin(lesions, chosen.astype(str)))


def masks(lesions, fraction, rng):
    _, test = right(lesions, fraction, rng)
    on_test = np.isin(np.arange(len(lesions)), test)
    return ~on_test, on_test


def repeated(lesions, fraction, rng):
    train, test = right(lesions, fraction, rng)
    return np.concatenate([train, train[:1]]), test


@pytest.mark.parametrize(
    ("split", "says"),
    [
        (by_image, "on both sides .*not the images"),
        (images_shuffled, "Each image belongs to one side"),
        (repeated, "twice on one side"),
        (one_image_of_each, "on neither side"),
        (exchanged, "exchanged"),
        (fraction_of_images, "fraction of the images"),
        (drawn_twice, "drawn more than once"),
        (first_names, "draw the lesions with `rng`"),
        (own_seed, "draw the lesions with `rng`"),
        (own_generator, "can be repeated"),
        (names_of_lesions, "names of lesions"),
        (positions_for_names, "compared with their names"),
        (masks, "np.flatnonzero"),
        (lambda lesions, fraction, rng: right(lesions, fraction, rng)[1], "two things"),
        (lambda lesions, fraction, rng: right(lesions, 0.3 * fraction, rng), "test side is empty"),
        (lambda lesions, fraction, rng: right(lesions, 1.5 * fraction, rng), "exchanged"),
        (lambda lesions, fraction, rng: ([], []), "test side is empty"),
        (lambda lesions, fraction, rng: (np.arange(10), np.array([10])), "positions outside"),
        (lambda lesions, fraction, rng: (np.arange(10.0), np.array([1.5])), "integers"),
        (lambda lesions, fraction, rng: (np.arange(10), lesions[len(lesions)]), "mixed up"),
    ],
)
def test_splits(split, says):
    with pytest.raises(Wrong, match=says):
        check.split_by_lesion(split)


def flipped(change):
    """A student's mirror that puts ``change(x)`` where flips says."""

    def mirror(x, flips):
        y = x.copy()
        for n in np.flatnonzero(flips):
            y[n] = change(x[n])
        return y

    return mirror


def in_place(x, flips):
    x[flips] = x[flips, :, ::-1]
    return x


def a_copy_of_a_copy(x, flips):
    y = x.copy()
    y[flips][:] = x[flips, :, ::-1]
    return y


@pytest.mark.parametrize(
    ("mirror", "says"),
    [
        (flipped(lambda image: image[::-1]), "upside down"),
        (flipped(lambda image: image[::-1, ::-1]), "Both axes"),
        (flipped(lambda image: image[..., ::-1]), "red became blue"),
        (lambda x, flips: x[:, :, ::-1].copy(), "All images"),
        (lambda x, flips: flipped(lambda image: image[:, ::-1])(x, ~flips), "flips or ~flips"),
        (lambda x, flips: x[::-1].copy(), "reverse order"),
        (lambda x, flips: x[flips][:, :, ::-1], "others are missing"),
        (lambda x, flips: x.transpose(0, 2, 1, 3), "exchanged"),
        (flipped(lambda image: image.swapaxes(0, 1)), "N H W C"),
        (in_place, "x was changed"),
        (a_copy_of_a_copy, "into a copy"),
    ],
)
def test_mirrors(mirror, says):
    with pytest.raises(Wrong, match=says):
        check.mirror(mirror)


def test_the_right_answers_pass():
    check.split_by_lesion(right)
    check.mirror(flipped(lambda image: image[:, ::-1]))


def test_minicnns_own_mirror_is_the_same():
    images = np.random.default_rng(0).integers(0, 256, (8, 5, 6, 3), np.uint8)
    matrices = Augment(horizontal_flip=True).draw(np.random.default_rng(1), len(images))
    flips = matrices[:, 1, 1] < 0
    y = np.empty(images.shape, np.float32)
    warp(images, np.arange(8), matrices, *Normalization().terms(8), y)
    wanted = np.where(flips[:, None, None, None], images[:, :, ::-1], images) / np.float32(255)
    assert 0 < flips.sum() < 8
    assert np.allclose(y, wanted, atol=1e-6)
