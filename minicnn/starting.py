"""What a training run begins with: its network, fresh or out of a file, and its optimizer."""

from __future__ import annotations

from pathlib import Path

import models
from minicnn import preparation, trained
from minicnn.checkpoint import Checkpoint
from minicnn.compress import channels
from minicnn.config import Config
from minicnn.data import balance
from minicnn.data.augment import Normalization
from minicnn.errors import UserError
from minicnn.layers import Sequential
from minicnn.optim import SGD, Adam, Muon, Optimizer, constant, warmup_cosine
from minicnn.preparation import Prepared


def network(
    config: Config, data: Prepared, path: Path, start: Checkpoint | None
) -> tuple[Sequential, Normalization]:
    """The network a run trains, and the normalization of its images.

    start  the checkpoint at ``path`` that the run goes on from; None: the one that
           ``config.start`` names, less ``config.channels``, or fresh weights

    UserError where the weights are of another network, size or classes than the settings say, and
    for images too small for the network.
    """
    if start is not None:
        known = trained.of(start, path)
    elif config.start is not None:
        known = trained.load(config.start)
    else:
        return _fresh(config, data), preparation.normalization(config, data)
    has = (known.model, known.classes, known.size)
    if has != (config.model, data.dataset.classes, (config.height, config.width)):
        raise UserError(
            f"{known.path} is a {known.model} for {known.size[0]}x{known.size[1]} images and "
            f"{len(known.classes)} classes, which is not what this run is to train"
        )
    if start is None and config.channels:
        channels.remove(known.net, (*known.size, 3), config.channels)
    return known.net, known.normalization


def _fresh(config: Config, data: Prepared) -> Sequential:
    shape = (config.height, config.width, 3)
    try:
        net = models.build(config.model, shape, len(data.dataset.classes), config.seed, config.init)
    except ValueError as error:
        raise UserError(str(error)) from None
    if config.prior_bias:
        head = list(net.named_params().values())[-1]
        head.value += balance.prior_bias(data.dataset.counts(data.train))
    return net


def optimizer(config: Config, steps_per_epoch: int) -> Optimizer:
    """What the settings say, its schedule over all epochs."""
    # --steps only ends a run: the schedule always spans all epochs, so that a run which was cut
    # short and resumed takes the very steps of one that was not
    total = config.epochs * steps_per_epoch
    schedules = {
        "constant": constant(config.lr),
        "cosine": warmup_cosine(config.lr, min(config.warmup, total // 5), total),
    }
    schedule = schedules[config.schedule]
    momentum, decay = config.momentum, config.weight_decay
    make = {
        "sgd": lambda: SGD(schedule, momentum, weight_decay=decay),
        "adam": lambda: Adam(schedule, momentum, weight_decay=decay),
        "muon": lambda: Muon(schedule, momentum, weight_decay=decay),
    }
    return make[config.optimizer]()
