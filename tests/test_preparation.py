"""From settings to what the loss is told of the classes."""

import numpy as np
from small import write_data

import models
from minicnn import preparation
from minicnn.config import parser, resolve


def prepared(folder, *flags):
    argv = ["squeezenet", "--data", str(folder), "--size", "32x32", "--batch", "8", *flags]
    config = resolve(vars(parser(models.NAMES).parse_args(argv)))
    return config, preparation.prepare(config)


def test_an_epoch_leaves_part_of_the_largest_class_out_and_another_each_time(tmp_path):
    config, data = prepared(write_data(tmp_path / "data", count=90), "--thin", "0.5")
    counts = data.dataset.counts(data.train)
    nv = np.argmax(counts)
    first, second = (preparation.epoch_positions(config, data, epoch) for epoch in (0, 1))
    left = counts.copy()
    left[nv] -= round(0.5 * counts[nv])
    for positions in (first, second):
        assert np.array_equal(data.dataset.counts(positions), left)
    assert set(first) != set(second) and set(first) | set(second) <= set(data.train)


def test_shares_are_of_what_an_epoch_has(tmp_path):
    folder = write_data(tmp_path / "data", count=90)
    config, data = prepared(folder, "--thin", "0.5", "--set", "adjust=0.5")
    counts = data.dataset.counts()
    counts[np.argmax(counts)] -= round(0.5 * counts.max())
    offsets = preparation.logit_offsets(config, data)
    np.testing.assert_allclose(np.exp(2 * offsets), counts / counts.sum())
    weights = preparation.class_weights(config, data)
    np.testing.assert_allclose(weights, np.log(counts.sum() / counts), rtol=1e-6)
    config, data = prepared(folder, "--set", "adjust=0")
    assert preparation.logit_offsets(config, data) is None


def test_a_network_takes_classes_for_as_frequent_as_its_loss_was_told(tmp_path):
    folder = write_data(tmp_path / "data", count=90)
    config, data = prepared(folder, "--thin", "0.5", "--set", "adjust=0.5")
    kept, counts = (data.dataset.counts(of).astype(float) for of in (data.kept, data.train))
    for of in (kept, counts):
        of[np.argmax(of)] -= round(0.5 * of.max())
    share = kept / kept.sum()
    wanted = counts * np.log(1 / share) / share**0.5
    shares = preparation.learned_shares(config, data)
    np.testing.assert_allclose(shares, wanted / wanted.sum(), rtol=1e-6)
    flags = ("--thin", "0", "--class-weights", "none", "--set", "adjust=0")
    shares = preparation.learned_shares(*prepared(folder, *flags))
    np.testing.assert_allclose(shares, data.dataset.counts(data.train) / len(data.train))


def test_repeated_images_are_learned_from_but_are_no_more_frequent(tmp_path):
    folder = write_data(tmp_path / "data", count=90)
    flags = ("--thin", "0", "--class-weights", "none", "--set", "adjust=0")
    config, data = prepared(folder, *flags)
    config, repeated = prepared(folder, *flags, "--oversample")
    np.testing.assert_allclose(preparation.learned_shares(config, repeated), 1 / 7)
    counts = data.dataset.counts(data.train)
    np.testing.assert_allclose(preparation.training_shares(repeated), counts / counts.sum())
