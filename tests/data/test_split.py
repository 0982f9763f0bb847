"""The split: stratified, reproducible, and by lesion without a leak."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.data.split import leaked_lesions, split
from minicnn.errors import UserError

CLASSES = ("a", "b", "c")


def make(*lesions_per_class):
    """labels and lesions from, per class, the number of images of each of its lesions."""
    labels, names = [], []
    for label, sizes in enumerate(lesions_per_class):
        for i, size in enumerate(sizes):
            labels += [label] * size
            names += [f"{CLASSES[label]}{i}"] * size
    return np.array(labels), np.array(names)


def shuffled(labels, lesions, seed=0):
    order = np.random.default_rng(seed).permutation(len(labels))
    return labels[order], lesions[order]


def error_of(*args, **kwargs):
    with pytest.raises(UserError) as caught:
        split(*args, **kwargs)
    return str(caught.value)


sizes = st.lists(st.integers(1, 5), min_size=2, max_size=30)
shares = st.floats(0.05, 0.95)
seeds = st.integers(0, 2**40)


@given(sizes, sizes, sizes, shares, seeds, st.sampled_from(["lesion", "image"]))
def test_every_image_once_and_every_class_on_both_sides(a, b, c, share, seed, by):
    labels, lesions = shuffled(*make(a, b, c))
    train, test = split(labels, lesions, CLASSES, by, share, seed)
    assert train.dtype == test.dtype == np.int64
    np.testing.assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(labels)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    assert set(labels[train]) == set(labels[test]) == {0, 1, 2}
    if by == "lesion":
        assert leaked_lesions(lesions, train, test) == 0


@given(st.lists(st.integers(1, 9), min_size=2, max_size=9), shares, seeds)
def test_the_share_is_met_as_nearly_as_whole_lesions_allow(a, share, seed):
    """Against every subset of the lesions that leaves an image on both sides."""
    labels, lesions = make(a)
    _, test = split(labels, lesions, ("a",), "lesion", share, seed)
    sums = {0}
    for size in a:
        sums |= {s + size for s in sums}
    sums -= {0, sum(a)}
    nearest = min(abs(s - share * sum(a)) for s in sums)
    assert abs(len(test) - share * sum(a)) == pytest.approx(nearest)


@pytest.mark.parametrize(
    ("count", "expected"), [(10, 2), (100, 20), (7, 1), (8, 2), (2, 1), (3, 1)]
)
def test_image_split_rounds(count, expected):
    labels, lesions = make([1] * count, [1] * 50)
    _, test = split(labels, lesions, CLASSES[:2], "image", 0.2)
    assert (labels[test] == 0).sum() == expected
    assert (labels[test] == 1).sum() == 10


@given(seeds)
def test_same_arguments_same_split(seed):
    labels, lesions = shuffled(*make([1, 2, 3] * 6, [2] * 9))
    for by in ("lesion", "image"):
        first = split(labels, lesions, CLASSES[:2], by, 0.3, seed)
        second = split(labels.copy(), lesions.copy(), CLASSES[:2], by, 0.3, seed)
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)


def test_this_split_stays_as_it_is():
    """Runs are compared over versions: a change here changes every published number."""
    labels, lesions = make([1, 2, 1, 2], [1] * 6)
    _, test = split(labels, lesions, CLASSES[:2], "lesion", 0.34, seed=7)
    assert test.tolist() == [0, 3, 6, 9]


def test_seeds_differ():
    labels, lesions = make([1] * 60, [1] * 60)
    tests = {tuple(split(labels, lesions, CLASSES[:2], "image", 0.2, s)[1]) for s in range(20)}
    assert len(tests) == 20


def test_every_image_is_chosen_about_equally_often():
    """Lesions of two and three images must not be passed over for the handy single ones."""
    labels, lesions = make([1] * 30 + [2] * 10 + [3] * 10)
    hits = np.zeros(len(labels))
    for seed in range(300):
        hits[split(labels, lesions, ("a",), "lesion", 0.2, seed)[1]] += 1
    shares = [hits[:30].mean() / 300, hits[30:50].mean() / 300, hits[50:].mean() / 300]
    np.testing.assert_allclose(shares, 0.2, atol=0.05)


def test_image_split_leaks_lesion_split_does_not():
    labels, lesions = make([3] * 40, [2] * 40)
    leaks = [
        leaked_lesions(lesions, *split(labels, lesions, CLASSES[:2], by))
        for by in ("image", "lesion")
    ]
    assert leaks[0] > 10
    assert leaks[1] == 0


def test_leaked_lesions_counts_lesions_not_images():
    lesions = np.array(["x", "x", "x", "y", "y", "z"])
    assert leaked_lesions(lesions, np.array([0, 1, 3]), np.array([2, 4, 5])) == 2


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 25)), min_size=20, max_size=60), seeds)
def test_lesions_with_two_classes_stay_whole(images, seed):
    labels = np.array([label for label, _ in images])
    lesions = np.array([f"L{lesion}" for _, lesion in images])
    try:
        train, test = split(labels, lesions, CLASSES, "lesion", 0.3, seed)
    except UserError as error:
        assert "only one lesion" in str(error) or "shares its lesions" in str(error)
        return
    assert leaked_lesions(lesions, train, test) == 0
    assert set(labels[train]) == set(labels[test]) == set(labels)


def test_a_rare_class_that_shares_its_lesions():
    """It is settled first, and the common class counts what came along: 3 + 6 of its 46."""
    labels, lesions = make([1] * 40)
    labels = np.r_[labels, [0, 0, 0, 1] * 2]
    lesions = np.r_[lesions, ["x"] * 4, ["y"] * 4]
    for seed in range(10):
        _, test = split(labels, lesions, CLASSES[:2], "lesion", 0.2, seed)
        assert np.bincount(labels[test]).tolist() == [9, 1]


def test_classes_that_cannot_be_told_apart():
    """Three lesions, each with two of three classes: two sides are not enough."""
    labels, lesions = np.array([0, 1, 1, 2, 2, 0]), np.array(list("xxyyzz"))
    assert "give each lesion one class" in error_of(labels, lesions, CLASSES)


def test_a_class_with_one_lesion():
    labels, lesions = make([1] * 5, [3])
    message = error_of(labels, lesions, CLASSES[:2])
    assert "class 'b'" in message
    assert "only one lesion (3 images)" in message
    assert "--split image" in message
    train, test = split(labels, lesions, CLASSES[:2], "image")
    assert set(labels[train]) == set(labels[test]) == {0, 1}


@pytest.mark.parametrize("by", ["lesion", "image"])
def test_a_class_with_one_image(by):
    labels, lesions = make([1] * 5, [1])
    message = error_of(labels, lesions, CLASSES[:2], by)
    assert "class 'b'" in message
    assert "--split image" not in message


def test_an_absent_class_is_no_mistake():
    labels, lesions = make([1] * 5, [1] * 5)
    train, test = split(labels, lesions, CLASSES)
    assert (len(train), len(test)) == (8, 2)


def test_arguments_out_of_range():
    labels, lesions = make([1] * 5, [1] * 5)
    for share in (0, 1, -0.2, 20, float("nan")):
        assert "test share" in error_of(labels, lesions, CLASSES, test_share=share)
    assert "lesion or image" in error_of(labels, lesions, CLASSES, by="patient")
    assert "seed -1" in error_of(labels, lesions, CLASSES, seed=-1)
