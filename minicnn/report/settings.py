"""A run's settings in plain words, and the command line that has them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from typing import Any

from minicnn.config import Config
from minicnn.data.augment import Augment
from minicnn.recipes import RECIPES

SPLITS = {
    "lesion": "by lesion: no lesion has photographs on both sides",
    "image": "by image, as in the thesis: photographs of one lesion can be on both sides, "
    "which flatters the figures",
}
WEIGHTS = {
    "none": "all classes count alike",
    "log": "ln(all images / images of the class)",
    "ratio": "all images / images of the class",
    "maxlog": "ln(images of the largest class / images of the class), at least 1",
}
PIXELS = {
    True: "less the mean of the training images, divided by their deviation",
    False: "divided by 255",
}
INITS = {"he": "He-normal weights", "glorot": "Glorot-uniform weights, as in Keras"}

# What a setting is called, and what it says; nothing is said of what a run does without.
WORDS: tuple[tuple[str, Callable[[Config], str]], ...] = (
    ("images", lambda c: f"{c.height} x {c.width} pixels (height x width), RGB"),
    ("pixels", lambda c: PIXELS[c.standardize]),
    ("split", lambda c: SPLITS.get(c.split, c.split)),
    ("test side", lambda c: _test_side(c)),
    ("length", lambda c: f"{c.epochs} epochs in batches of {c.batch} images" + _cut(c)),
    ("optimizer", lambda c: f"{c.optimizer}, momentum {c.momentum:g}" + _decay(c)),
    ("learning rate", lambda c: f"{c.lr:g}, {c.schedule}" + _warmup(c)),
    ("class weights", lambda c: WEIGHTS.get(c.class_weights, c.class_weights)),
    ("shares of the classes", lambda c: _share(c.adjust, "taken out of the logits by {:g} %")),
    ("left out for good", lambda c: _share(c.undersample, "{:g} % of the largest class")),
    ("left out of an epoch", lambda c: _share(c.thin, "{:g} % of the largest class, in turns")),
    ("repeated", lambda c: "images of the rare classes" if c.oversample else ""),
    ("changed at random", lambda c: augmentation(c.augment)),
    ("mixed in pairs", lambda c: f"mixup, alpha {c.mixup:g}" if c.mixup else ""),
    ("averaged weights", lambda c: f"decay {c.average:g}" if c.average else ""),
    ("begins with", lambda c: c.start or INITS.get(c.init, c.init) + _prior(c)),
    ("channels taken out", lambda c: _share(c.channels, "{:g} % of each convolution's")),
    ("pruned", lambda c: _share(c.pruning.final if c.pruning else 0, "to {:g} % zeros")),
    ("recipe", lambda c: c.recipe),
    ("seed", lambda c: str(c.seed)),
)


def in_words(config: Config) -> list[tuple[str, str]]:
    """(name, what it is) of each setting that says something."""
    rows = [(name, say(config)) for name, say in WORDS]
    return [(name, text) for name, text in rows if text]


def augmentation(augment: Augment) -> str:
    """How training images are changed; "" where they are not."""
    axes = (("left-right", augment.horizontal_flip), ("up-down", augment.vertical_flip))
    mirrored = " and ".join(name for name, wanted in axes if wanted)
    parts = [f"mirrored {mirrored}" if mirrored else ""]
    parts.append(f"turned by up to {augment.rotation:g}°" if augment.rotation else "")
    parts.append(f"sheared by up to {augment.shear:g}°" if augment.shear else "")
    parts.append(_share(augment.zoom, "height and width zoomed by up to {:g} %"))
    parts.append(_share(augment.scale, "scaled by up to {:g} %"))
    parts.append(_share(augment.colour, "light and colour by up to {:g} %"))
    parts.append(_share(augment.still, "{:g} % only mirrored"))
    return ", ".join(part for part in parts if part)


def _share(value: float, text: str) -> str:
    return text.format(100 * value) if value else ""


def _test_side(c: Config) -> str:
    part = "the training side, the test side being kept for the end" if c.tune else "each class"
    return f"{100 * c.test_share:g} % of {part}"


def _cut(c: Config) -> str:
    return f", ended after {c.steps} steps" if c.steps else ""


def _decay(c: Config) -> str:
    return f", weight decay {c.weight_decay:g}" if c.weight_decay else ""


def _warmup(c: Config) -> str:
    rises = c.schedule == "cosine" and c.warmup
    return f" after a rise over {c.warmup} steps" if rises else ""


def _prior(c: Config) -> str:
    return ", the head at the class shares" if c.prior_bias else ""


def train_command(config: Config) -> str:
    """The command line of ``minicnn.train`` that gives these settings; pruning's are not its own.

    Size and epochs always stand there, the rest where it departs from the recipe.
    """
    flags: list[str] = [config.model]
    flags += ["--data", config.data] if config.data else []
    flags += ["--size", f"{config.height}x{config.width}", "--epochs", str(config.epochs)]
    flags += ["--seed", str(config.seed), "--recipe", config.recipe]
    flags += ["--steps", str(config.steps)] if config.steps else []
    for name in ("tune", "skip_bad"):
        flags += [f"--{name.replace('_', '-')}"] if getattr(config, name) else []
    for name, value in _departures(config).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        flags += ["--set", f"{name}={text}"]
    return f"python -m minicnn.train {shlex.join(flags)}"


def _departures(config: Config) -> dict[str, Any]:
    """Settings, with ``augment.`` before those of the augmentation, that the recipe has not."""
    apart = {"model", "data", "height", "width", "epochs", "seed", "recipe", "steps", "threads"}
    apart |= {"tune", "skip_bad", "start", "pruning", "channels", "augment"}
    # what a recipe does not name has its default in Config
    recipe = RECIPES[config.recipe]
    changed = {}
    for field in dataclasses.fields(config):
        usual = recipe.get(field.name, field.default)
        if field.name not in apart and getattr(config, field.name) != usual:
            changed[field.name] = getattr(config, field.name)
    for field in dataclasses.fields(config.augment):
        value = getattr(config.augment, field.name)
        if value != getattr(recipe["augment"], field.name):
            changed[f"augment.{field.name}"] = value
    return changed
