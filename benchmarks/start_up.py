"""How long until the first training step is done, in a fresh process.

    python benchmarks/start_up.py [--network squeezenet] [--size 224x224] [--batch 32]
                                  [--contestants minicnn torch keras] [--skip-cold]

From the start of the interpreter to the end of the step: imports, building the network, reading its
weights, the step itself. Warm is with minicnn's compiled kernels on disk, cold with an empty cache
of them: every kernel that a step needs is compiled. The peers have no such cache.
Medians over the rounds, in which all take turns; cold is measured once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from contestants import START_UP, Entry, installed
from harness import PAUSE, Worker, network_folder
from results import add_network, check_options, parser, publish

from minicnn.data.dataset import parse_size
from minicnn.errors import command

HEADER = ("import + first step", "seconds")


def first_step(entry: Entry, threads: int, env: dict[str, str], folder: str, batch: int) -> float:
    """Seconds; ``env`` are variables for that process."""
    time.sleep(PAUSE)
    started = time.perf_counter()
    with Worker(entry, threads, env, folder=folder, batch=batch) as worker:
        worker.time("train_step", 1, 0)
        return time.perf_counter() - started


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = parser("start_up", "Time a fresh process up to its first training step.")
    add_network(p, START_UP, batch=32, rounds=5)
    p.add_argument("--skip-cold", action="store_true", help="do not compile all kernels anew")
    values = p.parse_args(argv)
    check_options(values, "batch", "rounds")
    entries = installed(values.contestants)
    size, threads, batch = parse_size(values.size), values.threads, values.batch
    rows: list[dict[str, Any]] = []
    with network_folder(values.network, size, batch, threads, entries) as path:
        given = str(path), batch
        found: dict[str, list[float]] = {entry.name: [] for entry in entries}
        for _ in range(values.rounds):
            for entry in entries:
                found[entry.name].append(first_step(entry, threads, {}, *given))
        for entry in entries:
            warm = statistics.median(found[entry.name])
            cached = entry.name == "minicnn"
            title = f"{entry.title}, warm" if cached else entry.title
            rows.append({"contestant": entry.name, "title": title, "cold": False, "seconds": warm})
            if cached and not values.skip_cold:
                with tempfile.TemporaryDirectory() as empty:
                    cold = first_step(entry, threads, {"NUMBA_CACHE_DIR": empty}, *given)
                title = f"{entry.title}, cold"
                rows.append({**rows[-1], "title": title, "cold": True, "seconds": cold})
    cells = [[row["title"], f"{row['seconds']:.2f}"] for row in rows]
    names = ("network", "size", "batch", "rounds")
    setting = {name: getattr(values, name) for name in names}
    publish("start_up", values, HEADER, cells, rows, **setting)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
