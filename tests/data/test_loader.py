"""Batches: every image once an epoch, repeatable from any step, and a thread that ends."""

import threading

import numpy as np
import pytest

from minicnn.data.augment import Augment, Normalization
from minicnn.data.dataset import Dataset
from minicnn.data.loader import plain_batches, prefetch, training_batches


@pytest.fixture
def dataset():
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1).repeat(3, 3)
    names = np.array([str(i) for i in range(10)])
    return Dataset(images, np.arange(10), names, names, tuple("abcdefghij"), "test")


def epoch(dataset, number, skip=0, augment=None, seed=0, mixup=0.0):
    augment = augment or Augment()
    rest = Normalization(), augment, seed, number, skip, mixup
    return list(training_batches(dataset, np.arange(10), 4, *rest))


def test_an_epoch_holds_every_image_once_with_its_label(dataset):
    batches = epoch(dataset, 0)
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert sorted(np.concatenate([labels for _, labels in batches])) == list(range(10))
    for x, labels in batches:
        assert x.dtype == np.float32 and x.shape[1:] == (1, 1, 3)
        assert np.allclose(x[:, 0, 0, 0] * 255, labels)


def test_mixed_images_carry_the_shares_of_their_classes(dataset):
    plain, mixed = epoch(dataset, 0), epoch(dataset, 0, mixup=0.4)
    assert epoch(dataset, 0, mixup=0.4)[1][0].tobytes() == mixed[1][0].tobytes()
    for (_, labels), (x, shares) in zip(plain, mixed, strict=True):
        assert shares.shape == (len(x), 10) and x.dtype == np.float32
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        assert (shares[np.arange(len(x)), labels] >= 0.5).all()  # its own class leads
        np.testing.assert_allclose(x[:, 0, 0, 0] * 255, shares @ np.arange(10), atol=1e-4)
    assert any(((shares > 0.01) & (shares < 0.5)).any() for _, shares in mixed)


def test_epochs_and_seeds_differ_in_order(dataset):
    def order(*args, **kwargs):
        return [tuple(labels) for _, labels in epoch(dataset, *args, **kwargs)]

    assert order(0) != order(1)
    assert order(0) != order(0, seed=1)
    assert order(0) == order(0)


def test_batch_members_change_from_epoch_to_epoch(dataset):
    members = {frozenset(labels) for e in range(5) for _, labels in epoch(dataset, e)[:1]}
    assert len(members) > 1


def test_skipping_gives_the_rest_bit_for_bit(dataset):
    augment = Augment(horizontal_flip=True, rotation=20, zoom=0.3)
    whole, rest = epoch(dataset, 3, augment=augment), epoch(dataset, 3, 1, augment)
    assert len(rest) == 2
    for (x, labels), (x_rest, labels_rest) in zip(whole[1:], rest, strict=True):
        assert np.array_equal(x, x_rest) and np.array_equal(labels, labels_rest)


def test_plain_batches_keep_the_order(dataset):
    batches = plain_batches(dataset, np.array([7, 2, 5]), 2, Normalization())
    assert [labels.tolist() for _, labels in batches] == [[7, 2], [5]]


def test_prefetch_gives_the_same_batches(dataset):
    plain = plain_batches(dataset, np.arange(10), 3, Normalization())
    ahead = prefetch(plain_batches(dataset, np.arange(10), 3, Normalization()))
    for (x, labels), (x_ahead, labels_ahead) in zip(plain, ahead, strict=True):
        assert np.array_equal(x, x_ahead) and np.array_equal(labels, labels_ahead)


def test_prefetch_raises_the_loaders_exception():
    def failing():
        yield np.zeros(1), np.zeros(1)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(prefetch(failing()))


def test_prefetch_ends_its_thread_when_the_loop_is_left():
    def endless():
        while True:
            yield np.zeros(1), np.zeros(1)

    batches = prefetch(endless())
    next(batches)
    batches.close()
    assert not any(thread.name == "loader" for thread in threading.enumerate())
