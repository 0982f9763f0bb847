"""A training step beside the peers': images/s, share of the processor's limit, memory.

    python benchmarks/train_step.py [--network squeezenet] [--size 224x224] [--batch 32]
                                    [--threads 2] [--contestants minicnn torch keras]

A step is forward, class-weighted cross-entropy, backward and SGD with momentum, on one batch that
lies ready. For every contestant, each a process of its own (all are alive at once: AlexNet at
450x600 takes some 2 GB each):

    images/s     the median step's
    minicnn/peer how many times as fast minicnn is, median over the rounds
    of sgemm     FLOPs per second of the step against those of a large product of matrices, which
                 takes part in every round; max-pooling, ReLU and the update count as none
    peak MB      the largest resident memory of the process (millions of bytes)
    faults       minor page faults a step: memory that the system had to map anew
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from contestants import SGEMM, TRAINING, installed
from harness import Turns, Worker, check, network_folder, play, ratio, seconds
from results import add_network, check_options, number, parser, publish
from workload import Network

from minicnn.data.dataset import parse_size
from minicnn.errors import UserError, command

HEADER = ("training step", "images/s", "minicnn/peer", "of sgemm", "peak MB", "faults")


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = parser("train_step", "Time a training step beside other frameworks'.")
    add_network(p, TRAINING, batch=32, rounds=10)
    p.add_argument("--steps", type=int, default=3, metavar="N", help="timed, in each turn (3)")
    p.add_argument("--sgemm", type=int, default=4096, metavar="N", help="its matrices' side (4096)")
    values = p.parse_args(argv)
    check_options(values, "batch", "rounds", "steps", "sgemm")
    entries = installed(values.contestants)
    size, threads, batch = parse_size(values.size), values.threads, values.batch
    with ExitStack() as stack:
        folder = stack.enter_context(network_folder(values.network, size, batch, threads, entries))
        given = {"folder": str(folder), "batch": batch}
        workers = [stack.enter_context(Worker(e, threads, {}, **given)) for e in entries]
        if workers:
            check(workers)
        limit = stack.enter_context(Worker(SGEMM, threads, {}, size=values.sgemm))
        turns = play([*workers, limit], values.rounds, "train_step", values.steps)
        peaks = {worker.entry.name: worker.ask("peak")["bytes"] for worker in workers}
        flops = Network(folder).training_flops * batch
        share = flops / limit.work
    rows = [_row(worker, turns, batch, share, peaks) for worker in workers]
    gflops = limit.work / seconds(turns["sgemm"]) / 1e9
    setting = {**_setting(values), "sgemm_gflops": gflops}
    publish("train_step", values, HEADER, [_cells(row) for row in rows], rows, **setting)
    at_most = gflops * 1e9 * batch / flops
    print(f"sgemm {values.sgemm}^3: {gflops:.1f} GFLOP/s, enough for {at_most:.1f} images/s")
    return 0


def _row(
    worker: Worker, turns: dict[str, Turns], batch: int, share: float, peaks: dict[str, int]
) -> dict[str, Any]:
    """share is the step's FLOPs over sgemm's."""
    name = worker.entry.name
    own = turns[name]
    if not all(math.isfinite(turn["value"]) for turn in own):
        raise UserError(f"{name}: the loss is not finite, so its time means nothing")
    return {
        "contestant": name,
        "title": worker.entry.title,
        "images_per_second": batch / seconds(own),
        "seconds_a_step": seconds(own),
        "minicnn_ratio": ratio(turns["minicnn"], own) if "minicnn" in turns else None,
        "of_sgemm": share * ratio(own, turns["sgemm"]),
        "peak_bytes": peaks[name],
        "faults_a_step": statistics.median(turn["faults"] for turn in own),
        "loss": own[-1]["value"],
    }


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["title"],
        f"{row['images_per_second']:.2f}",
        number(row["minicnn_ratio"], ".2f"),
        f"{row['of_sgemm']:.0%}",
        f"{row['peak_bytes'] / 1e6:.0f}",
        f"{row['faults_a_step']:.0f}",
    ]


def _setting(values: Any) -> dict[str, Any]:
    names = ("network", "size", "batch", "rounds", "steps", "sgemm")
    return {name: getattr(values, name) for name in names}


if __name__ == "__main__":
    raise SystemExit(main())
