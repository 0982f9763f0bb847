"""From settings to data: load, under-sample, split, and what is measured on the training side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minicnn import data
from minicnn.config import Config
from minicnn.data import balance
from minicnn.data.augment import Normalization
from minicnn.data.dataset import Dataset
from minicnn.data.split import split
from minicnn.errors import UserError


@dataclass(frozen=True)
class Prepared:
    """A data set with its two sides.

    kept    positions that under-sampling left, sorted
    train   positions to train on (repeats under over-sampling), test the others
    """

    dataset: Dataset
    kept: np.ndarray
    train: np.ndarray
    test: np.ndarray


def prepare(config: Config) -> Prepared:
    """Load the configured data set and split it; the same for every network.

    Under-sampling comes before the split, as in the thesis: the test side is thinned alike.
    For tuning, the training side is split once more and the test side never looked at.
    Over-sampling comes after it, on the training side only, or copies would be tested on.
    """
    size = (config.height, config.width)
    dataset = data.load(config.data, size, seed=config.seed, skip_bad=config.skip_bad)
    kept = balance.undersample(dataset.labels, config.undersample, config.seed)
    train, test = _split(dataset, kept, config, config.seed)
    if config.tune:
        train, test = _split(dataset, train, config, config.seed + 1)
    if config.oversample:
        train = train[balance.oversample(dataset.labels[train], config.seed)]
    if config.batch > len(train):
        raise UserError(
            f"--batch {config.batch} is larger than the {len(train)} training images: "
            f"use at most that many"
        )
    return Prepared(dataset, kept, train, test)


def _split(
    dataset: Dataset, kept: np.ndarray, config: Config, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    labels, lesions = dataset.labels[kept], dataset.lesions[kept]
    sides = split(labels, lesions, dataset.classes, config.split, config.test_share, seed)
    return kept[sides[0]], kept[sides[1]]


def epoch_positions(config: Config, prepared: Prepared, epoch: int) -> np.ndarray:
    """What one epoch trains on: the training side, with ``thin`` without part of the largest class.

    Each epoch leaves out other images of it: the classes are balanced as by under-sampling, but in
    the end every image was seen.
    """
    train = prepared.train
    if not config.thin:
        return train
    labels = prepared.dataset.labels[train]
    return train[balance.undersample(labels, config.thin, config.seed, epoch)]


def class_weights(config: Config, prepared: Prepared) -> np.ndarray:
    """(classes,) float32, from the counts that under-sampling left, as in the thesis."""
    return balance.class_weights(_counts(config, prepared), config.class_weights)


def logit_offsets(config: Config, prepared: Prepared) -> np.ndarray | None:
    """(classes,) float64 for ``CrossEntropy``: ``adjust`` times ln of each class's share."""
    if not config.adjust:
        return None
    counts = np.maximum(_counts(config, prepared), 1)
    return config.adjust * np.log(counts / counts.sum())


def training_shares(prepared: Prepared) -> np.ndarray:
    """(classes,) float64 of sum 1: each class's share of the training side's different images."""
    counts = prepared.dataset.counts(np.unique(prepared.train))
    return counts / counts.sum()


def learned_shares(config: Config, prepared: Prepared) -> np.ndarray:
    """(classes,) float64 of sum 1: how frequent a network so trained takes each class to be.

    An epoch's images times the class weights; ``adjust`` takes some of the difference out again.
    """
    counts = prepared.dataset.counts(epoch_positions(config, prepared, 0))
    offsets = logit_offsets(config, prepared)
    shares = np.maximum(counts, 1) * class_weights(config, prepared).astype(np.float64)
    if offsets is not None:
        shares /= np.exp(offsets)
    return shares / shares.sum()


def _counts(config: Config, prepared: Prepared) -> np.ndarray:
    """Images of each class, (classes,), as an epoch has them."""
    counts = prepared.dataset.counts(prepared.kept)
    largest = np.argmax(counts)
    counts[largest] -= round(config.thin * counts[largest])
    return counts


def normalization(config: Config, prepared: Prepared) -> Normalization:
    """Measured on the training images, or only bytes / 255."""
    if not config.standardize:
        return Normalization()
    return Normalization.of(prepared.dataset.images, prepared.train)
