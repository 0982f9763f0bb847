"""How long a network takes on this machine: a few steps on noise, timed."""

from __future__ import annotations

import math
import time

import numpy as np

import models
from minicnn import kernels, starting
from minicnn.config import Config
from minicnn.data.augment import Normalization
from minicnn.data.dataset import Dataset
from minicnn.data.loader import training_batches
from minicnn.experiments.plan import Cost
from minicnn.kernels import memory
from minicnn.loss import CrossEntropy

TIMED = 2  # steps, after one that is not timed
CLASSES = 7

# An int8 export costs about as much as testing so many images: calibration, equalization and
# rounding pass over a few hundred images many times.
EXPORT_IMAGES = 4000
TESTS_AFTER = 6  # passes over the test images: pruned and dense network, their int8 files, pages


def measure(config: Config) -> tuple[float, float]:
    """Seconds of a training step, loading and augmentation included, and of an image tested."""
    rng = np.random.default_rng(0)
    count, size = config.batch, (config.height, config.width)
    images = rng.integers(0, 256, (count, *size, 3), np.uint8)
    labels, names = np.arange(count) % CLASSES, np.arange(count).astype(str)
    classes = tuple(map(str, range(CLASSES)))
    noise = Dataset(images, labels, names, names, classes, "noise")
    net = models.build(config.model, (*size, 3), CLASSES, config.seed, config.init)
    optimizer, loss = starting.optimizer(config, steps_per_epoch=1), CrossEntropy()
    params, seconds = net.named_params(), []
    for number in range(1 + TIMED):
        started = time.perf_counter()
        positions, normalization = np.arange(count), Normalization()
        augment, seed = config.augment, config.seed
        batches = training_batches(
            noise, positions, count, normalization, augment, seed, epoch=number
        )
        x, y = next(batches)
        net.gradients(x, y, loss)
        optimizer.step(params)
        seconds.append(time.perf_counter() - started)
    with kernels.constant_weights():
        started = time.perf_counter()
        net.forward(x)
        image = (time.perf_counter() - started) / count
    memory.release()
    return min(seconds[1:]), image


def cost(config: Config, train: int, test: int) -> Cost:
    """Minutes of the run with these settings on so many training and test images."""
    step, image = measure(config)
    epoch = math.ceil(train / config.batch) * step + test * image
    # pruning retrains for an epoch; the network and its pruned form are exported
    after = epoch + TESTS_AFTER * test * image + 2 * EXPORT_IMAGES * image
    return Cost(epoch / 60, after / 60)
