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

# x (N, H, W, 3); labels (N,) int64, or shares of the classes (N, classes) float64
Batch = tuple[np.ndarray, np.ndarray]

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
    mixup: float = 0.0,
) -> Iterator[Batch]:
    """The batches of one epoch, shuffled and augmented; the last may be smaller.

    With ``mixup``, images are mixed in pairs (see :func:`mix`) and labels are shares of classes.
    Order and augmentation depend on (seed, epoch, batch number) only, so ``skip`` batches can be
    left out at the front to go on in the middle of an epoch.
    """
    order = np.random.default_rng([seed, _ORDER, epoch]).permutation(positions)
    for number in range(skip, -(-len(order) // batch)):
        chosen = order[number * batch : (number + 1) * batch]
        rng = np.random.default_rng([seed, _AUGMENT, epoch, number])
        matrices = augment.draw(rng, len(chosen))
        colours = augment.draw_colours(rng, *normalization.terms(len(chosen)))
        x, labels = _prepare(dataset, chosen, matrices, *colours)
        yield mix(rng, x, np.eye(len(dataset.classes))[labels], mixup) if mixup else (x, labels)


def mix(rng: np.random.Generator, x: np.ndarray, shares: np.ndarray, alpha: float) -> Batch:
    """Each image blended with another of the batch, and so its classes' shares (N, classes).

    The larger part is drawn from Beta(alpha, alpha), mirrored to at least a half, so an image keeps
    its own class as the first. Mixup: Zhang et al., 2018, arXiv:1710.09412.
    """
    part = rng.beta(alpha, alpha, len(x))
    part = np.maximum(part, 1 - part)
    other = rng.permutation(len(x))
    own = part.astype(np.float32)[:, None, None, None]
    mixed = np.multiply(x, own, out=empty(x.shape))
    for n, partner in enumerate(other):  # an image at a time: the whole would be a third batch
        mixed[n] += (1 - own[n]) * x[partner]
    return mixed, shares * part[:, None] + shares[other] * (1 - part[:, None])


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
