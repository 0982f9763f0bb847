"""Short trainings that differ in one setting each: which one lets a network off the majority class?

All of them see the same images in the same order, augmented alike, with the same class weights.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import models
from minicnn import kernels, preparation, starting
from minicnn.config import Config
from minicnn.data.augment import Normalization
from minicnn.data.loader import Batch, plain_batches, prefetch, training_batches
from minicnn.errors import UserError
from minicnn.evaluation import collect
from minicnn.experiments.signals import logit_spread
from minicnn.layers import Sequential
from minicnn.loss import CrossEntropy
from minicnn.preparation import Prepared

# What separates the thesis's start from one that works, each with what it is called.
CHANGES: dict[str, dict[str, Any]] = {
    "He initialization": {"init": "he"},
    "standardized input": {"standardize": True},
    "Adam": {"optimizer": "adam"},
    "rate 0.0005": {"lr": 0.0005},
}
THESIS, OURS = "as in the thesis", "all four changes"
TRIALS: dict[str, dict[str, Any]] = {
    THESIS: {},
    **{f"only {name}": values for name, values in CHANGES.items()},
    OURS: {key: value for values in CHANGES.values() for key, value in values.items()},
}


FREE = 0.99  # of the blind loss: a network at or below it looks at the images
PROBES = 20  # times that a training is looked at on the way, on one batch of test images


@dataclass(frozen=True)
class Trial:
    """A short training and what became of it.

    excess     each step's class-weighted loss, less what ``blind_logits`` have on that batch
    spreads    (step, spread of a batch of test images' logits without dropout) on the way
    loss, spread   class-weighted loss and spread of the logits over all test images, afterwards
    blind      the loss of ``blind_logits`` there
    top1, balanced   accuracy and balanced accuracy there
    answers    how many classes are the first answer for any test image
    shut       how many classes have the same logit, 0, for all of them: the ReLU that ends the
               network has shut them off, and they get no gradient
    """

    name: str
    excess: list[float]
    spreads: list[tuple[int, float]]
    loss: float
    spread: float
    blind: float
    top1: float
    balanced: float
    answers: int
    shut: int

    @property
    def free(self) -> bool:
        """Whether the network looks at the images: its loss is below what can be had without."""
        return self.loss <= FREE * self.blind


class Setting:
    """A network at its start, with the data as it wants it: a row of TRIALS made real."""

    def __init__(self, thesis: Config, data: Prepared, name: str) -> None:
        self.name, self.data = name, data
        self.config = config = dataclasses.replace(thesis, **TRIALS[name])
        shape, classes = (config.height, config.width, 3), len(data.dataset.classes)
        try:
            self.net: Sequential = models.build(
                config.model, shape, classes, config.seed, config.init
            )
        except ValueError as error:
            raise UserError(str(error)) from None
        self.normalization: Normalization = preparation.normalization(config, data)
        self.weights = preparation.class_weights(config, data)
        self.loss = CrossEntropy(self.weights)
        self.optimizer = starting.optimizer(config, steps_per_epoch=1)  # at a constant rate

    def batches(self) -> Iterator[Batch]:
        """The training side's, augmented, epoch after epoch without end."""
        config, data = self.config, self.data
        for epoch in itertools.count():
            yield from training_batches(
                data.dataset,
                data.train,
                config.batch,
                self.normalization,
                config.augment,
                config.seed,
                epoch,
            )

    def plain(self, positions: np.ndarray) -> Iterator[Batch]:
        """The images at ``positions``, unchanged."""
        return plain_batches(self.data.dataset, positions, self.config.batch, self.normalization)

    def blind_loss(self, labels: np.ndarray, known: np.ndarray) -> float:
        """The loss on labels (N,) of an answer that knows only the shares in labels ``known``."""
        counts = np.bincount(known, minlength=len(self.weights))
        logits = np.tile(blind_logits(counts, self.weights), (len(labels), 1))
        return self.loss(logits, labels)[0]


def run(setting: Setting, steps: int, tick: Callable[[], object]) -> Trial:
    """Train for so many steps and test; ``tick`` is called after each."""
    net, data = setting.net, setting.data
    params, trained_on = net.named_params(), data.dataset.labels[data.train]
    places = np.linspace(0, len(data.test) - 1, setting.config.batch).astype(int)
    probe, _ = next(setting.plain(data.test[places]))
    excess, spreads = [], [(0, logit_spread(net.forward(probe)))]
    for number, (x, labels) in enumerate(itertools.islice(prefetch(setting.batches()), steps)):
        net.seed_dropout(setting.config.seed, number)
        value, _ = net.gradients(x, labels, setting.loss)
        setting.optimizer.step(params)
        excess.append(value - setting.blind_loss(labels, trained_on))
        if (number + 1) % max(1, steps // PROBES) == 0:
            spreads.append((number + 1, logit_spread(net.forward(probe))))
        tick()
    return _tested(setting, excess, spreads)


def _tested(setting: Setting, excess: list[float], spreads: list[tuple[int, float]]) -> Trial:
    with kernels.constant_weights():
        outputs = collect(setting.net.forward, prefetch(setting.plain(setting.data.test)))
    logits, labels, figures = outputs.logits, outputs.labels, outputs.report()
    return Trial(
        name=setting.name,
        excess=excess,
        spreads=spreads,
        loss=setting.loss(logits, labels)[0],
        spread=logit_spread(logits),
        blind=setting.blind_loss(labels, labels),
        top1=figures["top1"],
        balanced=figures["balanced_accuracy"],
        answers=len(np.unique(logits.argmax(axis=1))),
        shut=int((logits == 0).all(axis=0).sum()),
    )


def blind_logits(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The logits (classes,) of the best answer that is the same for every image.

    Under class weights (classes,) its shares are in proportion to weight times count. A network
    whose loss is no lower than theirs has not begun to look at the images.
    """
    pull = counts * weights.astype(np.float64)
    return np.log(np.maximum(pull / pull.sum(), 1e-12))
