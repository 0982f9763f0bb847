"""Batches for training and evaluation, made one step ahead on a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np

from minicnn.data.augment import NO_CHANGE, Augment, Normalization
from minicnn.data.dataset import Dataset
from minicnn.data.warp import warp
from minicnn.kernels.memory import empty

Batch = tuple[np.ndarray, np.ndarray]  # x (N, H, W, 3), labels (N,) int64

# Random streams of one seed that must not meet.
_ORDER, _AUGMENT = 1, 2


def training_batches(
    dataset: Dataset,
    positions: np.ndarray,
    batch: int,
    normalization: Normalization,
    augment: Augment,
    seed: int,
    epoch: int,
    skip: int = 0,
) -> Iterator[Batch]:
    """The batches of one epoch, shuffled and augmented; the last may be smaller.

    Order and augmentation depend on (seed, epoch, batch number) only, so ``skip`` batches can be
    left out at the front to go on in the middle of an epoch.
    """
    order = np.random.default_rng([seed, _ORDER, epoch]).permutation(positions)
    for number in range(skip, -(-len(order) // batch)):
        chosen = order[number * batch : (number + 1) * batch]
        rng = np.random.default_rng([seed, _AUGMENT, epoch, number])
        matrices = augment.draw(rng, len(chosen))
        colours = augment.draw_colours(rng, *normalization.terms(len(chosen)))
        yield _prepare(dataset, chosen, matrices, *colours)


def plain_batches(
    dataset: Dataset, positions: np.ndarray, batch: int, normalization: Normalization
) -> Iterator[Batch]:
    """The images at ``positions`` in that order, unchanged but for normalization."""
    for start in range(0, len(positions), batch):
        chosen = positions[start : start + batch]
        N = len(chosen)
        yield _prepare(dataset, chosen, NO_CHANGE.repeat(N, 0), *normalization.terms(N))


def byte_batches(dataset: Dataset, positions: np.ndarray, batch: int) -> Iterator[Batch]:
    """The images at ``positions`` in that order, as uint8."""
    for start in range(0, len(positions), batch):
        chosen = positions[start : start + batch]
        yield dataset.images[chosen], dataset.labels[chosen]


def _prepare(
    dataset: Dataset,
    chosen: np.ndarray,
    matrices: np.ndarray,
    factor: np.ndarray,
    offset: np.ndarray,
) -> Batch:
    x = empty((len(chosen), *dataset.size, 3))
    warp(dataset.images, chosen, matrices, factor, offset, x)
    return x, dataset.labels[chosen]


def prefetch(batches: Iterator[Batch], ahead: int = 2) -> Iterator[Batch]:
    """The same batches, computed up to ``ahead`` in advance on another thread.

    An exception there is raised here; leaving the loop early ends the thread.
    """
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def put(item: Batch | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in batches:
                if not put(item):
                    return
            put(None)
        except BaseException as error:  # whatever went wrong belongs to the consumer
            put(error)

    thread = threading.Thread(target=produce, name="loader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
