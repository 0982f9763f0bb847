"""All settings of a training run, and the flags that give them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn.data.augment import Augment
from minicnn.data.balance import FORMULAS
from minicnn.data.dataset import parse_size
from minicnn.errors import Parser, UserError
from minicnn.recipes import RECIPES, sizes

# by --set: what is no plain value, or minicnn.prune's
NOT_SET = ("augment", "start", "pruning", "channels")
OPTIMIZERS = ("sgd", "adam", "muon")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Pruning:
    """How a run prunes: see ``compress.prune.PolynomialDecay`` for all but the last.

    initial, final     shares of zeros, from 0 to below 1
    begin, end, every  in optimizer steps
    power              of the polynomial
    scope              one of ``compress.prune.SCOPES``: what a threshold holds for
    """

    initial: float
    final: float
    begin: int
    end: int
    every: int
    power: float = 3.0
    scope: str = "layer"


@dataclass(frozen=True)
class Config:
    """What ``python -m minicnn.train`` was told, with nothing left open; saved as config.json.

    data         absolute folder, or None for the generated set
    steps        None, or the number of optimizer steps after which the run ends
    schedule     "constant", or "cosine" (after a linear warm-up of ``warmup`` steps)
    undersample  fraction of the largest class that is removed before the split
    thin         fraction of it that each epoch leaves out of the training side, another each time
    standardize  subtract the training images' mean and divide by their deviation
    average      decay of the weights' moving average, which is tested and exported; 0 for none
    adjust       how far the loss takes the classes' shares out of the answers, from 0 to 1
    mixup        how strongly images are mixed in pairs (Beta's alpha); 0 for not at all
    tune         hold out part of the training side, and never look at the test side
    start        the .npz file (absolute) whose weights the run begins with, or None for fresh ones
    pruning      how weights are pruned as the run goes on; None for not at all
    channels     share of the channels that is taken out of ``start`` before the first step

    What has a default here is younger than some run folders.
    """

    model: str
    data: str | None
    height: int
    width: int
    recipe: str
    epochs: int
    steps: int | None
    batch: int
    lr: float
    optimizer: str
    momentum: float
    schedule: str
    warmup: int
    weight_decay: float
    split: str
    test_share: float
    class_weights: str
    undersample: float
    oversample: bool
    prior_bias: bool
    init: str
    standardize: bool
    augment: Augment
    seed: int
    threads: int | None
    skip_bad: bool
    thin: float = 0.0
    average: float = 0.0
    adjust: float = 0.0
    mixup: float = 0.0
    tune: bool = False
    start: str | None = None
    pruning: Pruning | None = None
    channels: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """From :meth:`to_json`'s values; UserError where they are of another version."""
        try:
            pruning = Pruning(**values["pruning"]) if values.get("pruning") else None
            inner = {"augment": Augment(**values["augment"]), "pruning": pruning}
            return cls(**{**values, **inner})
        except (KeyError, TypeError) as error:
            raise UserError(f"the run's settings are of another minicnn version: {error}") from None


def parser(names: tuple[str, ...]) -> Parser:
    """The command line of ``minicnn.train``; a flag that is not given is None."""
    p = Parser(
        prog="python -m minicnn.train",
        description="Train a network. Without --data, on a generated set of seven lesion classes.",
        argument_default=argparse.SUPPRESS,
    )
    p.add_argument("model", nargs="?", metavar="MODEL", help=f"one of {', '.join(names)}")
    p.add_argument("--data", metavar="DIR", help="HAM10000's own layout, or a folder per class")
    p.add_argument("--size", metavar="HxW", help="image height x width in pixels, such as 225x300")
    p.add_argument("--epochs", type=int, metavar="N", help="passes over the training images")
    p.add_argument("--steps", type=int, metavar="N", help="end after this many optimizer steps")
    p.add_argument("--batch", type=int, metavar="N", help="images per step (32)")
    p.add_argument("--lr", type=float, metavar="X", help="learning rate, the schedule's highest")
    p.add_argument("--optimizer", choices=OPTIMIZERS)
    p.add_argument("--recipe", choices=tuple(RECIPES), help="where all other settings come from")
    p.add_argument("--split", choices=("lesion", "image"), help="what test images may not share")
    p.add_argument("--class-weights", choices=FORMULAS, help="none, ln(t/c), t/c, max(1, ln(m/c))")
    p.add_argument("--undersample", type=float, metavar="F", help="drop F of the largest class")
    p.add_argument("--thin", type=float, metavar="F", help="the same, but another F each epoch")
    p.add_argument("--oversample", action="store_true", help="repeat images of the rare classes")
    p.add_argument("--prior-bias", action="store_true", help="start the head at the class shares")
    p.add_argument("--seed", type=int, metavar="N", help="fixes everything random (0)")
    p.add_argument("--threads", type=int, metavar="N", help="processor threads (all)")
    p.add_argument("--out", metavar="DIR", help="the run folder (runs/MODEL-DATE-SEED)")
    p.add_argument("--resume", metavar="RUN", help="go on with a run; takes all settings from it")
    p.add_argument("--tune", action="store_true", help="test on a fifth of the training side only")
    p.add_argument(
        *("--set",),
        action="append",
        metavar="NAME=VALUE",
        help="any other setting of config.json, such as augment.rotation=180; may be repeated",
    )
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read")
    p.add_argument("--no-export", action="store_true", help="train only: write no int8 file")
    return p


def resolve(given: Mapping[str, Any]) -> Config:
    """A full Config from the flags that were given; the recipe and the defaults fill the rest."""
    values: dict[str, Any] = {
        "recipe": "default",
        "steps": None,
        "seed": 0,
        "threads": None,
        "skip_bad": False,
    }
    values |= {"data": None} | dict(given)
    values.pop("out", None)
    if values["data"] is not None:
        values["data"] = str(Path(values["data"]).expanduser().resolve())
    if "size" in values:
        values["height"], values["width"] = parse_size(values.pop("size"))
    overrides = values.pop("set", [])
    values = sizes(values["model"], values["data"]) | RECIPES[values["recipe"]] | values
    config = Config(**values)
    for text in overrides:
        config = _overridden(config, text)
    _check(config)
    return config


def _overridden(config: Config, text: str) -> Config:
    """The settings with one of them changed, from ``--set``'s NAME=VALUE."""
    path, equals, value = text.partition("=")
    inner, dot, name = path.rpartition(".")
    known = [field.name for field in dataclasses.fields(config) if field.name not in NOT_SET]
    known += [f"augment.{field.name}" for field in dataclasses.fields(Augment)]
    if not equals or path not in known:
        raise UserError(f"--set {text}: wanted NAME=VALUE with a NAME of {', '.join(known)}")
    if not dot:
        return dataclasses.replace(config, **{name: _like(getattr(config, name), text, value)})
    changed = {name: _like(getattr(config.augment, name), text, value)}
    return dataclasses.replace(config, augment=dataclasses.replace(config.augment, **changed))


def _like(now: Any, text: str, value: str) -> Any:
    """``value`` as the type of what it replaces."""
    if isinstance(now, bool):
        if value not in ("true", "false"):
            raise UserError(f"--set {text}: wanted true or false")
        return value == "true"
    if not isinstance(now, (int, float, str)):
        raise UserError(f"--set {text}: this one has a flag of its own")
    try:
        return type(now)(value)
    except ValueError:
        raise UserError(f"--set {text}: wanted a number such as {now}") from None


def _check(config: Config) -> None:
    for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        if getattr(config, name) not in choices:
            raise UserError(f"{name} {getattr(config, name)!r}: choose {', '.join(choices)}")
    for name in ("epochs", "batch", "steps", "threads"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} {value}: wanted a whole number of at least 1")
    if not 0 < config.lr < float("inf"):
        raise UserError(f"--lr {config.lr}: wanted a positive number")
    for name in ("thin", "average"):
        if not 0 <= getattr(config, name) < 1:
            raise UserError(f"{name} {getattr(config, name)}: wanted at least 0 and below 1")
    if not 0 <= config.adjust <= 1:
        raise UserError(f"adjust {config.adjust}: wanted a number from 0 to 1")
    if not 0 <= config.mixup < float("inf"):
        raise UserError(f"mixup {config.mixup}: wanted a number of at least 0")
    if config.seed < 0:
        raise UserError(f"--seed {config.seed}: wanted a whole number of at least 0")
