"""Why Deepsqueeze stays on the majority class: ``python -m minicnn.experiments depth``.

Two measurements. Through the layers of an untrained network: how large activations and gradients
are, how many channels are dead, how far the first step moves the weights, and how far the logits of
different images lie apart. Then short trainings, from the thesis's settings to ours one change at a
time: the loss, and how many test images get the commonest answer.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import models
from minicnn import preparation
from minicnn.config import Config, resolve
from minicnn.data.loader import Batch, plain_batches, prefetch, training_batches
from minicnn.errors import Parser, UserError, command
from minicnn.evaluation import collect
from minicnn.experiments import depth_pictures
from minicnn.files import write_text
from minicnn.layers import Sequential
from minicnn.loss import CrossEntropy, cross_entropies
from minicnn.metrics import top_k
from minicnn.preparation import Prepared
from minicnn.training import optimizer_of

BATCH = 32
TESTED = 256  # test images behind the share of the commonest answer

# What is changed of the thesis's recipe; rate, schedule and momentum belong to an optimizer.
OPTIMIZING = ("optimizer", "lr", "momentum", "schedule", "warmup")
CHANGES: dict[str, tuple[str, ...]] = {
    "thesis": (),
    "initialization": ("init",),
    "standardized input": ("standardize",),
    "optimizer": OPTIMIZING,
    "both but the optimizer": ("init", "standardize"),
    "all three": ("init", "standardize", *OPTIMIZING),
}


@dataclass(frozen=True)
class Signal:
    """A layer of an untrained network, over a batch.

    activation, gradient  standard deviations of y and of the loss's gradient with respect to y
    between               deviation of y between images (of its mean over the pixels), which alone
                          can tell one image from another
    dead                  share of the channels of y that are 0 for every image and pixel
    step                  length of the optimizer's first step over that of the weights; 0 without
    """

    layer: str
    activation: float
    between: float
    gradient: float
    dead: float
    step: float


@dataclass(frozen=True)
class Course:
    """A short training.

    losses   unweighted cross-entropy of every step's batch
    top1     on the test images, after the last step
    largest  share of them that gets the commonest answer: 1 is stuck
    spread   deviation of the logits between test images
    """

    change: str
    losses: list[float]
    top1: float
    largest: float
    spread: float


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    if args.network not in models.NAMES:
        raise UserError(f"no network is called {args.network!r}: {', '.join(models.NAMES)}")
    if args.steps < 0:
        raise UserError(f"--steps {args.steps}: wanted a whole number of at least 0")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    signals = {
        f"{network}, {which}": through_depth(settings(args, network, CHANGES[change]))
        for network in dict.fromkeys(("squeezenet", args.network))
        for which, change in (("thesis", "thesis"), ("ours", "all three"))
    }
    print(_signal_text(signals))
    depth_pictures.draw_signals(out / "depth.png", signals)
    courses = []
    for change in CHANGES if args.steps else ():
        courses.append(train(settings(args, args.network, CHANGES[change]), change, args.steps))
        print(_course_line(courses[-1]), flush=True)
    if courses:
        depth_pictures.draw_courses(out / "freed.png", courses, args.network)
    _write(out, signals, courses)
    print(f"\n{out} holds {', '.join(sorted(path.name for path in out.iterdir()))}")
    return 0


def _parser() -> Parser:
    p = Parser(
        prog="python -m minicnn.experiments depth",
        description="Measure why a deep SqueezeNet stays on the majority class, and what frees it.",
    )
    p.add_argument("network", nargs="?", default="deepsqueeze", metavar="NETWORK")
    p.add_argument("--data", metavar="DIR", help="without it, on generated images")
    p.add_argument("--size", default="255x340", metavar="HxW", help="of the images (255x340)")
    p.add_argument("--steps", type=int, default=200, metavar="N", help="of each training (200)")
    p.add_argument("--out", default="runs/depth", metavar="DIR", help="(runs/depth)")
    p.add_argument("--seed", type=int, default=0, metavar="N")
    return p


def settings(args: Any, network: str, changed: Sequence[str]) -> Config:
    """The thesis's recipe with the named settings taken from ours."""
    given = {"model": network, "data": args.data, "size": args.size, "seed": args.seed}
    thesis, ours = (resolve(given | {"recipe": recipe}) for recipe in ("thesis", "default"))
    return dataclasses.replace(thesis, **{name: getattr(ours, name) for name in changed})


def _network(config: Config, data: Prepared) -> Sequential:
    shape, classes = (config.height, config.width, 3), len(data.dataset.classes)
    try:
        return models.build(config.model, shape, classes, config.seed, config.init)
    except ValueError as error:
        raise UserError(str(error)) from None


def through_depth(config: Config) -> list[Signal]:
    """A row for each layer of the untrained network, from the first batch of training images."""
    data = preparation.prepare(config)
    net = _network(config, data)
    loss = CrossEntropy(preparation.class_weights(config, data))
    x, labels = next(_batches(config, data))
    outputs = []
    for layer in net.layers.values():
        x = layer.forward(x, train=True)
        outputs.append(x)
    _, dy = loss(x, labels)
    gradients = []
    for layer in reversed(net.layers.values()):
        gradients.append(dy.copy())
        dy = layer.backward(dy)
    return _rows(net, outputs, gradients[::-1], _first_step(config, net))


def _first_step(config: Config, net: Sequential) -> dict[str, float]:
    """By top layer: length of the optimizer's first step over the weights' own."""
    params = net.named_params()
    before = {path: param.value.copy() for path, param in params.items()}
    # past the warm-up: its first steps are short in any network
    optimizer_of(dataclasses.replace(config, warmup=0), steps_per_epoch=1000).step(params)
    lengths: dict[str, np.ndarray] = {}
    for path, param in params.items():
        moved, was = param.value - before[path], before[path]
        total = np.array([np.sum(moved**2), np.sum(was**2)], np.float64)
        name = path.split("/")[0]
        lengths[name] = lengths.get(name, np.zeros(2)) + total
    return {name: float(np.sqrt(moved / was)) for name, (moved, was) in lengths.items()}


def _rows(
    net: Sequential,
    outputs: list[np.ndarray],
    gradients: list[np.ndarray],
    steps: dict[str, float],
) -> list[Signal]:
    rows = []
    for name, y, dy in zip(net.layers, outputs, gradients, strict=True):
        pixels = tuple(range(1, y.ndim - 1))
        rows.append(
            Signal(
                layer=name,
                activation=float(y.std()),
                between=float((y.mean(axis=pixels) if pixels else y).std(axis=0).mean()),
                gradient=float(dy.std()),
                dead=float(np.mean(np.abs(y).max(axis=tuple(range(y.ndim - 1))) == 0)),
                step=steps.get(name, 0.0),
            )
        )
    return rows


def train(config: Config, change: str, steps: int) -> Course:
    """Train for ``steps`` steps and look at the answers on test images."""
    data = preparation.prepare(config)
    net = _network(config, data)
    normalization = preparation.normalization(config, data)
    loss = CrossEntropy(preparation.class_weights(config, data))
    optimizer = optimizer_of(config, steps_per_epoch=-(-len(data.train) // config.batch))
    losses = []
    for x, labels in prefetch(_batches(config, data, steps)):
        net.seed_dropout(config.seed, optimizer.steps)
        _, logits = net.gradients(x, labels, loss)
        optimizer.step(net.named_params())
        losses.append(float(cross_entropies(logits, labels).mean()))
    chosen = np.random.default_rng(config.seed).permutation(data.test)[:TESTED]
    tested = collect(net.forward, plain_batches(data.dataset, chosen, BATCH, normalization))
    answers = np.bincount(tested.logits.argmax(axis=1))
    return Course(
        change=change,
        losses=losses,
        top1=top_k(tested.logits, tested.labels, 1),
        largest=float(answers.max() / len(chosen)),
        spread=float(tested.logits.std(axis=0).mean()),
    )


def _batches(config: Config, data: Prepared, count: int = 1) -> Iterator[Batch]:
    """``count`` batches of training images, augmented as the settings say."""
    normalization = preparation.normalization(config, data)
    given, epoch = 0, 0
    while given < count:
        for batch in training_batches(
            *(data.dataset, data.train, config.batch, normalization, config.augment),
            *(config.seed, epoch),
        ):
            yield batch
            given += 1
            if given == count:
                return
        epoch += 1


def _signal_text(signals: dict[str, list[Signal]]) -> str:
    lines = []
    for title, rows in signals.items():
        lines += [
            f"{title}: {len(rows)} layers, untrained",
            "layer      activation  between images  gradient  dead channels  first step / weights",
        ]
        lines += [
            f"{row.layer:9}  {row.activation:10.3g}  {row.between:14.3g}  {row.gradient:8.2g}"
            f"  {row.dead:13.0%}  {row.step:20.2g}"
            for row in rows
        ]
        lines.append("")
    return "\n".join(lines)


def _course_line(course: Course) -> str:
    first, last = np.mean(course.losses[:10]), np.mean(course.losses[-10:])
    return (
        f"{course.change:24} loss {first:.3f} -> {last:.3f} in {len(course.losses)} steps; "
        f"{course.largest:.0%} of test images get one answer, top-1 {course.top1:.3f}, "
        f"logits {course.spread:.2g} apart"
    )


def _write(out: Path, signals: dict[str, list[Signal]], courses: list[Course]) -> None:
    values = {
        "signals": {
            name: [dataclasses.asdict(row) for row in rows] for name, rows in signals.items()
        },
        "courses": [dataclasses.asdict(course) for course in courses],
    }
    write_text(out / "depth.json", json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
