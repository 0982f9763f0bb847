"""Does the data pipeline hold the kernels back? An epoch's images/s against the bare step's.

    python benchmarks/data_pipeline.py [--data DIR] [--size 225x300] [--batch 32] [--threads 2]

    warp          one thread's nanoseconds per pixel for the augmentation of the default recipe, and
                  for images that are only mirrored
    loader        images/s that the loader's thread makes with nobody training
    bare step     images/s of training on one batch that lies ready
    epoch         images/s of the loop in ``minicnn.training.Trainer.epoch``: loader, prefetch, step
    epoch / bare  the median of the rounds' ratios; 1 is a loader that costs nothing

--data is a folder as ``minicnn.train`` takes it; without it, --images generated ones serve. Their
pixels lie in memory or in the cache of decoded images: decoding is done once, before.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numba
import numpy as np
from results import check_options, parser, publish

import models
from minicnn import data
from minicnn.data import balance, synthetic
from minicnn.data.augment import Augment, Normalization
from minicnn.data.dataset import Dataset, parse_size
from minicnn.data.loader import Batch, prefetch, training_batches
from minicnn.data.warp import warp
from minicnn.errors import UserError, command
from minicnn.evaluation import Outputs
from minicnn.loss import CrossEntropy
from minicnn.optim import Muon
from minicnn.recipes import DEFAULT
from minicnn.weight_average import WeightAverage

HEADER = ("data pipeline", "value", "unit")


def endless(dataset: Dataset, batch: int, normalization: Normalization) -> Iterator[Batch]:
    """The training batches of epoch after epoch, as the default recipe has them."""
    for epoch in itertools.count():
        yield from training_batches(
            *(dataset, np.arange(len(dataset)), batch, normalization, DEFAULT["augment"]),
            *(0, epoch),
            mixup=DEFAULT["mixup"],
        )


def trainer(dataset: Dataset, network: str) -> Callable[[np.ndarray, np.ndarray], None]:
    """One step as ``Trainer.epoch`` takes it, on the default recipe's loss and optimizer."""
    try:
        net = models.build(network, (*dataset.size, 3), len(dataset.classes))
    except ValueError as error:
        raise UserError(str(error)) from None
    weights = balance.class_weights(dataset.counts(), DEFAULT["class_weights"])
    optimizer = Muon(DEFAULT["lr"], DEFAULT["momentum"], DEFAULT["weight_decay"])
    average = WeightAverage(DEFAULT["average"])
    loss, outputs = CrossEntropy(weights), Outputs()

    def step(x: np.ndarray, shares: np.ndarray) -> None:
        net.seed_dropout(0, optimizer.steps)
        _, logits = net.gradients(x, shares, loss)
        optimizer.step(net.named_params())
        average.update(net.named_params(), optimizer.steps)
        outputs.add(logits, shares.argmax(axis=1))

    return step


def ns_a_pixel(dataset: Dataset, augment: Augment, batch: int, rounds: int) -> float:
    """Of the warp of a batch, serial as in the loader's thread; the median of the rounds."""
    rng = np.random.default_rng(0)
    x = np.empty((batch, *dataset.size, 3), np.float32)
    factor, offset = Normalization().terms(batch)
    found = []
    for _ in range(rounds + 1):
        positions = rng.integers(0, len(dataset), batch)
        matrices = augment.draw(rng, batch)
        started = time.perf_counter()
        warp(dataset.images, positions, matrices, factor, offset, x)
        found.append(time.perf_counter() - started)
    return 1e9 * statistics.median(found[1:]) / (x.size / 3)


def speed(batches: Iterator[Batch], step: Callable[..., None] | None, count: int) -> float:
    """Images per second over ``count`` batches after two that are not timed."""
    images, started = 0, 0.0
    for number, (x, labels) in enumerate(itertools.islice(batches, count + 2)):
        if number == 2:
            images, started = 0, time.perf_counter()
        if step is not None:
            step(x, labels)
        images += len(labels)
    return images / (time.perf_counter() - started)


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = parser("data_pipeline", "Measure the loader, and whether training waits for it.")
    p.add_argument("--network", choices=models.NAMES, default="squeezenet")
    p.add_argument("--data", metavar="DIR", help="HAM10000's own layout, or a folder per class")
    p.add_argument("--size", default="225x300", metavar="HxW", help="of an image (225x300)")
    p.add_argument("--images", type=int, default=640, metavar="N", help="to generate (640)")
    p.add_argument("--batch", type=int, default=32, metavar="N", help="images in a step (32)")
    p.add_argument("--rounds", type=int, default=5, metavar="N", help="(5)")
    p.add_argument("--steps", type=int, default=20, metavar="N", help="timed, in a turn (20)")
    values = p.parse_args(argv)
    check_options(values, "images", "batch", "rounds", "steps")
    numba.set_num_threads(values.threads)
    size = parse_size(values.size)
    generated = values.data is None
    dataset = synthetic.generate(values.images, size) if generated else data.load(values.data, size)
    rows = measure(dataset, values)
    cells = [[row["measure"], f"{row['value']:.3g}", row["unit"]] for row in rows]
    names = ("network", "size", "batch", "rounds", "steps")
    setting = {name: getattr(values, name) for name in names}
    # a generated set says so; a folder's name is the user's own
    source = dataset.source if generated else f"{len(dataset)} photographs"
    publish("data_pipeline", values, HEADER, cells, rows, source=source, **setting)
    return 0


def measure(dataset: Dataset, values: Any) -> list[dict[str, Any]]:
    """The rows of the table; loader, bare step and epoch take turns."""
    batch, steps = values.batch, values.steps
    step = trainer(dataset, values.network)
    batches = endless(dataset, batch, Normalization.of(dataset.images, np.arange(len(dataset))))
    fixed = next(batches)
    turns: dict[str, list[float]] = {"loader": [], "bare step": [], "epoch": []}
    for _ in range(values.rounds):
        turns["loader"].append(speed(batches, None, steps))
        turns["bare step"].append(speed(itertools.repeat(fixed), step, steps))
        # left early, prefetch ends its thread: the loader never runs beside the bare step
        ready = prefetch(batches)
        turns["epoch"].append(speed(ready, step, steps))
        ready.close()  # type: ignore[attr-defined]
    pairs = zip(turns["epoch"], turns["bare step"], strict=True)
    share = statistics.median(epoch / bare for epoch, bare in pairs)
    mirrored = Augment(horizontal_flip=True, vertical_flip=True)
    found = [
        ("warp, default recipe", ns_a_pixel(dataset, DEFAULT["augment"], batch, 5), "ns/pixel"),
        ("warp, mirrored only", ns_a_pixel(dataset, mirrored, batch, 5), "ns/pixel"),
        *((name, statistics.median(of), "images/s") for name, of in turns.items()),
        ("epoch / bare step", share, ""),
    ]
    return [{"measure": name, "value": value, "unit": unit} for name, value, unit in found]


if __name__ == "__main__":
    raise SystemExit(main())
