"""One pruned network: retrained in a run folder of its own, then measured beside the dense one."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any

import minicnn
from minicnn import checkpoint, own_data, preparation, trained
from minicnn.compress.prune import schedule_of
from minicnn.config import Config
from minicnn.errors import UserError
from minicnn.files import read_json, write_text
from minicnn.prune import figures, latency, tables
from minicnn.prune.settings import Wish, pruning, retraining
from minicnn.runfolder import RunFolder
from minicnn.train import ready
from minicnn.trained import Trained
from minicnn.training import Trainer

NAME = "prune.json"


class Stopped(Exception):
    """The user asked for a stop; all is saved, and the same command goes on."""


class Dense:
    """The network to prune, and the data it was trained on: ``data`` is where they stand, if moved.

    UserError where the run does not say what that was, or where it has changed since.
    """

    def __init__(
        self, run: str, data: str | None = None, threads: int | None = None, export: bool = True
    ) -> None:
        self.network = trained.load(run)
        config, self.data = own_data.again(self.network, data)
        self.config = dataclasses.replace(config, threads=threads)
        self.export = export

    @cached_property
    def measured(self) -> figures.Measured:
        """Its figures; taken once."""
        return figures.measure(self.network, self.data, None, self.export)

    def settings(self, wish: Wish) -> Config:
        """Of the run that makes the wish true."""
        wish.check()
        config = retraining(self.config, wish, str(self.network.path.resolve()))
        images = len(preparation.epoch_positions(config, self.data, 0))
        steps = config.epochs * math.ceil(images / config.batch)
        return dataclasses.replace(config, pruning=pruning(wish, steps))


def make(dense: Dense, wish: Wish, out: Path) -> dict[str, Any]:
    """Prune and retrain in the folder ``out``, or go on there; what prune.json holds.

    A run that is there already, with the same settings, is resumed or, when finished, only read.
    Raises Stopped after Ctrl-C, UserError where ``out`` holds anything else.
    """
    config, folder = dense.settings(wish), RunFolder(out)
    trainer = _trainer(config, folder)
    report = out / NAME
    finished = trainer.optimizer.steps >= trainer.last_step
    if finished and report.exists():
        found = read_json(report)
        if found["after"]["files"] or not dense.export:
            print(f"{out} is finished already")
            return found
    before = dense.measured
    if not finished:
        print(tables.plan(config, trainer.last_step))
        trainer.run()
        if trainer.optimizer.steps < trainer.last_step:
            raise Stopped
    result = _result(dense, wish, trainer, before)
    write_text(report, json.dumps(result, indent=2) + "\n")
    return result


def _trainer(config: Config, folder: RunFolder) -> Trainer:
    if not folder.last.exists():
        if not _just_begun(folder):
            raise UserError(f"--out {folder.path} is not empty: name a new folder")
        return ready(config, folder, None)
    start = checkpoint.load(folder.last)
    there = Config.from_json(start.meta["config"]) if "config" in start.meta else None
    if there is None or dataclasses.replace(there, threads=config.threads) != config:
        raise UserError(f"--out {folder.path} holds another run: name a new folder")
    return ready(config, folder, start)


def _just_begun(folder: RunFolder) -> bool:
    """Whether the folder holds no more than a run killed before its first checkpoint left."""
    there = list(folder.path.iterdir()) if folder.path.is_dir() else []
    return all(path == folder.config or path.suffix == ".tmp" for path in there)


def _result(dense: Dense, wish: Wish, trainer: Trainer, before: figures.Measured) -> dict[str, Any]:
    network: Trained = trainer.trained()
    folder = trainer.folder.path if dense.export else None
    after = figures.measure(network, dense.data, folder, dense.export)
    nets = [dense.network.net, network.net]
    milliseconds = latency.milliseconds(nets, (*network.size, 3))
    config = trainer.config
    turns = schedule_of(config.pruning).turns(trainer.last_step) if config.pruning else []
    return {
        "minicnn": minicnn.__version__,
        "start": config.start,
        "wish": dataclasses.asdict(wish),
        "schedule": [{"step": step, "sparsity": sparsity} for step, sparsity in turns],
        "before": before.figures | {"milliseconds": milliseconds[0]},
        "after": after.figures | {"milliseconds": milliseconds[1]},
        "difference": figures.differences(before, after, dense.data),
    }
