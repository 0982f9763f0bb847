"""The training run behind ``python -m minicnn.train``; the loop itself is ``Trainer.epoch``."""

from __future__ import annotations

import dataclasses
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import minicnn
from minicnn import checkpoint, kernels, preparation, report, starting, trained
from minicnn.checkpoint import Checkpoint
from minicnn.compress import prune
from minicnn.compress.prune import Pruner
from minicnn.config import Config
from minicnn.data.loader import plain_batches, prefetch, training_batches
from minicnn.errors import UserError
from minicnn.evaluation import Outputs, collect
from minicnn.loss import CrossEntropy
from minicnn.runfolder import RunFolder
from minicnn.trained import Trained
from minicnn.weight_average import WeightAverage

SAVE_EVERY = 300.0  # seconds between checkpoints within an epoch
DRAW_EVERY = 15.0  # seconds between pictures, of which small epochs would make too many


class Diverged(UserError):
    """The loss or the weights are no longer finite."""


class Trainer:
    """Everything one run needs, from fresh or from a checkpoint; ``run`` trains to the end."""

    def __init__(self, config: Config, run: RunFolder, start: Checkpoint | None = None) -> None:
        self.config, self.folder = config, run
        self.data = preparation.prepare(config)
        self.net, self.normalization = starting.network(config, self.data, run.last, start)
        self.weights = preparation.class_weights(config, self.data)
        self.loss = CrossEntropy(self.weights, preparation.logit_offsets(config, self.data))
        self.images_per_epoch = len(self._positions(0))
        self.steps_per_epoch = math.ceil(self.images_per_epoch / config.batch)
        self.optimizer = starting.optimizer(config, self.steps_per_epoch)
        self.average = WeightAverage(config.average)
        self.pruner = Pruner(config.pruning) if config.pruning else None
        self.outputs = Outputs()  # of the epoch under way
        self.tested = Outputs()  # of the last test
        self.rows: list[dict[str, Any]] = []
        self.best = -1.0
        self.stop_asked = False
        self.drawn = -math.inf  # when the pictures were last
        if start is not None:
            self._restore(start)

    @property
    def last_step(self) -> int:
        """The number of steps after which the run is over."""
        planned = self.config.epochs * self.steps_per_epoch
        return min(planned, self.config.steps or planned)

    def run(self) -> None:
        """Train until done, asked to stop, or diverged; every way out leaves a good last.npz."""
        if not self.rows and not self.optimizer.steps:
            self.save()
        print(report.HEADER)
        with self._stopping():
            while self.optimizer.steps < self.last_step and not self.stop_asked:
                self.epoch()

    def epoch(self) -> None:
        """Train to the end of the current epoch (or of the run), then test and save."""
        number, done = divmod(self.optimizer.steps, self.steps_per_epoch)
        config, data = self.config, self.data
        batches = training_batches(
            *(data.dataset, self._positions(number), config.batch),
            *(self.normalization, config.augment),
            *(config.seed, number, done),
            mixup=config.mixup,
        )
        started = saved = time.monotonic()
        seen, total, params = 0, 0.0, self.net.named_params()
        with self._bar(number, done) as bar:
            for x, targets in prefetch(batches):
                if self.pruner:
                    self.pruner.before_step(params, self.optimizer.steps)
                self.net.seed_dropout(config.seed, self.optimizer.steps)
                value, logits = self.net.gradients(x, targets, self.loss)
                if not math.isfinite(value):
                    raise self._diverged("loss")
                self.optimizer.step(params)
                if config.average:
                    self.average.update(params, self.optimizer.steps)
                self.outputs.add(logits, targets if targets.ndim == 1 else targets.argmax(axis=1))

                seen, total = seen + len(x), total + value * len(x)
                bar.update(len(x))
                bar.set_postfix(loss=f"{total / seen:.3f}", refresh=False)
                if self.stop_asked or self.optimizer.steps >= self.last_step:
                    break
                between = self.optimizer.steps % self.steps_per_epoch
                if between and time.monotonic() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.monotonic()
        if self.stop_asked and self.optimizer.steps % self.steps_per_epoch:
            self.save()
        else:
            self._end_epoch(number + 1, seen / (time.monotonic() - started))

    def _end_epoch(self, number: int, speed: float) -> None:
        partial = self.optimizer.steps % self.steps_per_epoch != 0
        params = self.net.named_params()
        with self.average.in_place(params), kernels.constant_weights():
            self.tested = collect(self.net.forward, prefetch(self._test_batches()))
        tested = self.tested.report()
        if not math.isfinite(tested["loss"]):
            raise self._diverged("loss")
        row = {
            "epoch": number,
            "step": self.optimizer.steps,
            "partial": partial,
            "lr": self.optimizer.schedule(self.optimizer.steps - 1),
            "train": self.outputs.report(),
            "test": tested,
            "images_per_second": round(speed, 1),
            "time": datetime.now().isoformat(timespec="seconds"),
        }
        self.rows.append(row)
        print(report.epoch_line(row, self.config.epochs), flush=True)
        for line in report.advice(row, self.data.dataset.classes):
            print(f"  {line}")
        self.folder.write_rows(self.rows)
        if not partial:
            self.outputs = Outputs()
            pruned = self.pruner is None or self.pruner.finished(self.optimizer.steps)
            if pruned and tested["balanced_accuracy"] > self.best:
                self.best = tested["balanced_accuracy"]
                self.save(self.folder.best)
        self.save()
        over = self.optimizer.steps >= self.last_step or self.stop_asked
        if over or time.monotonic() - self.drawn > DRAW_EVERY:
            self._draw()
            self.drawn = time.monotonic()

    def _positions(self, epoch: int) -> np.ndarray:
        return preparation.epoch_positions(self.config, self.data, epoch)

    def _test_batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        data = self.data
        return plain_batches(data.dataset, data.test, self.config.batch, self.normalization)

    def save(self, path: Path | None = None) -> None:
        """Write last.npz (or ``path``): weights, optimizer, place in the run; never a NaN."""
        params = {name: param.value for name, param in self.net.named_params().items()}
        if not all(np.isfinite(value).all() for value in params.values()):
            raise self._diverged("weights")
        data, config = self.data, self.config
        meta = {
            "minicnn": minicnn.__version__,
            "model": config.model,
            "classes": list(data.dataset.classes),
            "input_shape": [config.height, config.width, 3],
            "normalization": dataclasses.asdict(self.normalization),
            "config": config.to_json(),
            "data_fingerprint": data.dataset.fingerprint(),
            "training_shares": preparation.training_shares(data).tolist(),
            "learned_shares": preparation.learned_shares(config, data).tolist(),
            "step": self.optimizer.steps,
            "epoch": self.optimizer.steps // self.steps_per_epoch,
            "best": self.best,
        }
        slots = self.optimizer.state | ({"average": self.average.state} if config.average else {})
        if masks := prune.masks_of(self.net.named_params()):
            slots = slots | {"mask": masks}
        state = Checkpoint(params, slots, self.outputs.state(), meta)
        checkpoint.save(path or self.folder.last, state)

    def trained(self) -> Trained:
        """The network as last.npz has it."""
        return trained.load(self.folder.last)

    def _restore(self, start: Checkpoint) -> None:
        if start.meta["data_fingerprint"] != self.data.dataset.fingerprint():
            raise UserError(
                f"the data at {self.config.data} is not what the run began with: images came, "
                "went or changed class; bring the old state back or begin a new run"
            )
        start.load_into(self.net)
        params = self.net.named_params()
        for slot in self.optimizer.slots:
            stored = start.slots.get(slot, {})
            if start.meta["step"] and set(stored) != set(params):
                raise UserError(f"the checkpoint lacks {slot}/ entries: it cannot be resumed")
            self.optimizer.state[slot] = stored
        self.average.state = start.slots.get("average", {})
        prune.set_masks(params, start.slots.get("mask", {}))
        self.optimizer.steps, self.best = start.meta["step"], start.meta["best"]
        self.outputs.restore(start.epoch)
        # a row that was written just before a kill, without its checkpoint, is made again
        finished = start.meta["epoch"]
        rows = self.folder.read_rows()
        self.rows = [row for row in rows if row["epoch"] <= finished and not row["partial"]]

    def _diverged(self, what: str) -> Diverged:
        kept = self.folder.last
        return Diverged(
            f"the {what} became NaN or infinite at step {self.optimizer.steps}. The last good "
            f"checkpoint is {kept}; try a lower --lr (this run's is {self.config.lr:g})"
        )

    def _draw(self) -> None:
        config, row = self.config, self.rows[-1]
        title = f"{config.model}, {config.height}x{config.width}, seed {config.seed}"
        report.draw_curves(self.folder.curves, self.rows, title)
        name = f"{title}: test images after epoch {row['epoch']}"
        report.draw_confusion(self.folder.confusion, row["test"], self.data.dataset.classes, name)

    def _bar(self, number: int, done: int) -> tqdm:
        batch, images = self.config.batch, self.images_per_epoch
        terminal = sys.stderr.isatty()
        return tqdm(
            desc=f"epoch {number + 1}/{self.config.epochs}",
            total=images,
            initial=min(done * batch, images),
            unit="img",
            leave=False,
            mininterval=0.2 if terminal else 30.0,
        )

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask for a stop after the step under way; a second one insists."""

        def ask(signum: int, frame: object) -> None:
            if self.stop_asked:
                raise KeyboardInterrupt
            self.stop_asked = True

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
