"""What the processor can do at most, with one thread and with all.

    python benchmarks/limit.py [--threads 2] [--rounds 5]

    sgemm              a product of two large matrices by NumPy's BLAS; a training step's limit
    FMA in registers   vector multiply-adds alone, no memory: what no program exceeds
    memory triad       a = b + 3 c over arrays far larger than the caches, bytes read and written

Medians over the rounds, in which all six take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from contestants import FMA, SGEMM, TRIAD
from harness import Worker, play, seconds
from results import check_options, parser, publish

from minicnn.errors import command


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = parser("limit", "Measure the processor's limits.")
    p.add_argument("--rounds", type=int, default=5, metavar="N", help="(5)")
    p.add_argument("--sgemm", type=int, default=4096, metavar="N", help="its matrices' side (4096)")
    p.add_argument("--fma", type=int, default=10_000_000, metavar="N", help="length of its loop")
    p.add_argument("--triad", type=int, default=128, metavar="MB", help="of each array (128)")
    values = p.parse_args(argv)
    check_options(values, "rounds", "sgemm", "fma", "triad")
    limits = [(SGEMM, values.sgemm), (FMA, values.fma), (TRIAD, values.triad)]
    threads = sorted({1, values.threads})
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(replace(entry, name=_name(entry.name, n)), n, {}, size=size))
            for entry, size in limits
            for n in threads
        ]
        turns = play(workers, values.rounds, "run", 1)
        work = {worker.entry.name: worker.work for worker in workers}
    rows, cells = [], []
    for entry, size in limits:
        unit = "GB/s" if entry is TRIAD else "GFLOP/s"
        title = f"sgemm {size}^3" if entry is SGEMM else entry.title
        names = [_name(entry.name, n) for n in threads]
        rates = [work[name] / seconds(turns[name]) / 1e9 for name in names]
        cells.append([title, *(f"{rate:.1f}" for rate in rates), unit])
        for n, rate in zip(threads, rates, strict=True):
            rows.append({"limit": entry.name, "size": size, "with": n, "rate": rate, "unit": unit})
    header = ["limit", *(f"{n} thread{'s' if n > 1 else ''}" for n in threads), "unit"]
    publish("limit", values, header, cells, rows, rounds=values.rounds)
    return 0


def _name(name: str, threads: int) -> str:
    return f"{name} {threads}"


if __name__ == "__main__":
    raise SystemExit(main())
