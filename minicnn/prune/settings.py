"""From what the command was told to the settings of the retraining run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from minicnn.config import Config, Pruning
from minicnn.errors import UserError


@dataclass(frozen=True)
class Wish:
    """What to make of a network; None leaves a number to the schedule.

    sparsity  share of the weights that are to be zero in the end
    initial   share at the first pruning
    schedule  one of SCHEDULES
    scope     one of ``compress.prune.SCOPES``: what a threshold of magnitude holds for
    epochs    of retraining, and its highest rate ``lr``
    channels  share of each convolution's output channels to take out first; None for no such thing
    """

    sparsity: float = 0.9
    initial: float | None = None
    schedule: str = "fine"
    scope: str | None = None
    epochs: int | None = None
    lr: float | None = None
    channels: float | None = None

    def check(self) -> None:
        """UserError for numbers that make no sense."""
        if not 0 <= self.sparsity < 1:
            raise UserError(
                f"a sparsity of {self.sparsity:g}: wanted a share of zeros, from 0 to below 1"
            )
        if self.initial is not None and not 0 <= self.initial <= self.sparsity:
            raise UserError(
                f"--initial {self.initial:g}: wanted at least 0 and at most the sparsity, "
                f"{self.sparsity:g}"
            )
        if self.epochs is not None and self.epochs < 1:
            raise UserError(f"--epochs {self.epochs}: wanted a whole number of at least 1")
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise UserError(f"--lr {self.lr:g}: wanted a positive number")
        if self.channels is not None and not 0 < self.channels < 1:
            raise UserError(
                f"--channels {self.channels:g}: wanted a share of the channels, between 0 and 1"
            )


@dataclass(frozen=True)
class _Schedule:
    """What a schedule is when nobody says otherwise.

    initial  share of zeros at the first pruning
    epochs   of retraining, at least; ``share`` of the run's own where that is more
    slower   what the run's highest rate is divided by; ``course`` of the learning rate
    lighter  what the run's weight decay is divided by
    until    share of the steps after which nothing is pruned any more
    begin, every  in steps
    """

    initial: float
    scope: str
    epochs: int
    share: float
    slower: float
    lighter: float
    course: str
    until: float
    begin: int
    every: int


SCHEDULES = {
    # Small portions, then a quarter of the steps to recover in, while the rate sinks to 0. The few
    # weights that stay have to grow, which the run's own decay would not let them.
    "fine": _Schedule(
        initial=0.5,
        scope="adaptive",
        epochs=10,
        share=0.4,
        slower=2.5,
        lighter=4.0,
        course="cosine",
        until=0.75,
        begin=0,
        every=10,
    ),
    # The thesis's to the letter; where it is silent, tfmot's scope and the rate of the run.
    "thesis": _Schedule(
        initial=0.5,
        scope="layer",
        epochs=1,
        share=0.0,
        slower=1.0,
        lighter=1.0,
        course="constant",
        until=1.0,
        begin=20,
        every=100,
    ),
}


def pruning(wish: Wish, steps: int) -> Pruning | None:
    """The wish as settings of a run of so many steps; None where no weight is to be zero."""
    if not wish.sparsity:
        return None
    row = SCHEDULES[wish.schedule]
    initial = min(row.initial, wish.sparsity) if wish.initial is None else wish.initial
    end, every = max(round(row.until * steps), row.begin + 1), row.every
    if row.until < 1:  # the last pruning reaches the very sparsity, however few steps there are
        end = max(row.begin + 1, min(end, steps - 1))
        every = max(1, min(every, end // 10))
        end -= (end - row.begin) % every
    scope = wish.scope or row.scope
    return Pruning(initial, wish.sparsity, row.begin, end, every, scope=scope)


WARMUP = 20  # steps: until Adam knows the gradients' sizes; the weights are trained already


def retraining(run: Config, wish: Wish, start: str) -> Config:
    """The run's own settings, its recipe included, for a retraining that begins with ``start``.

    start  the absolute path of an .npz file. What is pruned is still to be filled in.
    """
    row = SCHEDULES[wish.schedule]
    return dataclasses.replace(
        run,
        start=start,
        epochs=wish.epochs or max(row.epochs, round(row.share * run.epochs)),
        steps=None,
        lr=wish.lr or run.lr / row.slower,
        schedule=row.course,
        weight_decay=run.weight_decay / row.lighter,
        warmup=WARMUP,
        pruning=None,
        channels=wish.channels or 0.0,
    )
