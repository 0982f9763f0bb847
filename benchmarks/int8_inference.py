"""Int8 inference beside LiteRT's three kernel sets, on one file: latency, and images a second.

    python benchmarks/int8_inference.py [--network squeezenet] [--size 224x224] [--threads 2]
                                        [--contestants minicnn xnnpack optimized reference]

For every contestant, each a process of its own: the median of all timed calls on one image in
milliseconds; images a second, one call for a batch where it can (LiteRT goes image by image); how
many times as fast minicnn is in both (median over the rounds); and how far its probabilities, in
256ths, are from LiteRT's reference kernels (OpResolverType.BUILTIN_REF), which minicnn must equal.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from contestants import PACKAGES, Entry
from harness import Worker, network_folder, play, ratio, script, seconds
from results import add_network, check_options, number, parser, publish

from minicnn.data.dataset import parse_size
from minicnn.errors import UserError, command

_MODULE, _NEEDS = "contestants_int8", ("ai_edge_litert",)
ENTRIES = {
    "minicnn": Entry("minicnn", "minicnn", _MODULE, "Minicnn"),
    "xnnpack": Entry("xnnpack", "LiteRT, XNNPACK", _MODULE, "LiteRT", "AUTO", _NEEDS),
    "optimized": Entry(
        *("optimized", "LiteRT, no delegate", _MODULE, "LiteRT"),
        *("BUILTIN_WITHOUT_DEFAULT_DELEGATES", _NEEDS),
    ),
    "reference": Entry(
        "reference", "LiteRT, BUILTIN_REF", _MODULE, "LiteRT", "BUILTIN_REF", _NEEDS
    ),
}
HEADER = ("int8 inference", "p50 ms", "minicnn/peer", "images/s", "minicnn/peer", "off by")


def installed(names: Sequence[str]) -> list[Entry]:
    """The entries whose packages are there; a printed line for each of the others."""
    found = []
    for entry in (ENTRIES[name] for name in dict.fromkeys(names)):
        missing = [package for package in entry.needs if not importlib.util.find_spec(package)]
        if missing:
            print(f"{PACKAGES[missing[0]]} is not installed: {entry.name} skipped")
        else:
            found.append(entry)
    return found


def distances(workers: Sequence[Worker]) -> dict[str, int | None]:
    """How far each contestant's probabilities are from the reference's, in 256ths.

    UserError where minicnn's are not the same.
    """
    found = {worker.entry.name: np.array(worker.ask("check")["logits"]) for worker in workers}
    if "reference" not in found:
        return dict.fromkeys(found)
    wanted = found["reference"]
    off = {name: int(abs(values - wanted).max()) for name, values in found.items()}
    if off.get("minicnn"):
        raise UserError(f"minicnn and BUILTIN_REF differ by up to {off['minicnn']}")
    return {**off}


def compared(name: str, workers: Sequence[Worker], values: Any) -> list[dict[str, Any]]:
    """A row for each contestant."""
    off = distances(workers)
    single = play(workers, values.rounds, "infer", values.calls, warm_up=2)
    batches = play(workers, values.rounds, "infer_all", 3)
    rows: list[dict[str, Any]] = []
    for worker in workers:
        own = worker.entry.name
        rows.append(
            {
                "contestant": own,
                "title": worker.entry.title,
                "p50_ms": 1e3 * seconds(single[own]),
                "minicnn_ratio": ratio(single[name], single[own]) if name in single else None,
                "images_per_second": values.batch / seconds(batches[own]),
                "batch_ratio": ratio(batches[name], batches[own]) if name in batches else None,
                "off_by": off[own],
            }
        )
    return rows


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = parser("int8_inference", "Time int8 inference beside LiteRT's kernel sets.")
    add_network(p, tuple(ENTRIES), batch=16, rounds=10)
    p.add_argument("--calls", type=int, default=20, metavar="N", help="timed, in each turn (20)")
    values = p.parse_args(argv)
    check_options(values, "rounds", "calls", "batch")
    entries, size, threads = (
        installed(values.contestants),
        parse_size(values.size),
        values.threads,
    )
    with ExitStack() as stack:
        folder = stack.enter_context(network_folder(values.network, size, 1, threads, []))
        script("int8_file.py", threads, folder)
        given = {"folder": str(folder), "batch": values.batch}
        workers = [stack.enter_context(Worker(e, threads, {}, **given)) for e in entries]
        rows = compared("minicnn", workers, values)
    cells = [
        [
            *(row["title"], f"{row['p50_ms']:.2f}", number(row["minicnn_ratio"], ".2f")),
            *(f"{row['images_per_second']:.0f}", number(row["batch_ratio"], ".2f")),
            "-" if row["off_by"] is None else str(row["off_by"]),
        ]
        for row in rows
    ]
    names = ("network", "size", "rounds", "calls", "batch")
    setting = {name: getattr(values, name) for name in names}
    publish("int8_inference", values, HEADER, cells, rows, **setting)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
