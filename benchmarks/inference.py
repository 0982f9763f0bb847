"""Float inference of one image beside the peers': the median latency.

    python benchmarks/inference.py [--network squeezenet] [--size 224x224] [--threads 2]
                                   [--contestants minicnn torch litert]

For every contestant, each a process of its own: the median of all timed calls in milliseconds, how
many times as fast minicnn is (median over the rounds), and the process's peak memory. Input and
logits are arrays in memory; PyTorch runs in inference_mode, Keras a tf.function, LiteRT a file that
TensorFlow's converter made of the Keras model.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from contestants import INFERENCE, installed
from harness import Worker, check, network_folder, play, ratio, seconds
from results import add_network, check_options, number, parser, publish

from minicnn.data.dataset import parse_size
from minicnn.errors import command

HEADER = ("inference, batch 1", "p50 ms", "minicnn/peer", "peak MB")


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = parser("inference", "Time float inference beside other frameworks'.")
    add_network(p, INFERENCE, batch=None, rounds=10)
    p.add_argument("--calls", type=int, default=50, metavar="N", help="timed, in each turn (50)")
    values = p.parse_args(argv)
    check_options(values, "rounds", "calls")
    entries = installed(values.contestants)
    size, threads = parse_size(values.size), values.threads
    with ExitStack() as stack:
        folder = stack.enter_context(network_folder(values.network, size, 1, threads, entries))
        given = {"folder": str(folder), "batch": 1}
        workers = [stack.enter_context(Worker(e, threads, {}, **given)) for e in entries]
        if workers:
            check(workers)
        turns = play(workers, values.rounds, "infer", values.calls, warm_up=5)
        rows: list[dict[str, Any]] = []
        for worker in workers:
            own = turns[worker.entry.name]
            rows.append(
                {
                    "contestant": worker.entry.name,
                    "title": worker.entry.title,
                    "p50_ms": 1e3 * seconds(own),
                    "minicnn_ratio": ratio(turns["minicnn"], own) if "minicnn" in turns else None,
                    "peak_bytes": worker.ask("peak")["bytes"],
                }
            )
    cells = [
        [
            *(row["title"], f"{row['p50_ms']:.2f}", number(row["minicnn_ratio"], ".2f")),
            f"{row['peak_bytes'] / 1e6:.0f}",
        ]
        for row in rows
    ]
    names = ("network", "size", "rounds", "calls")
    setting = {name: getattr(values, name) for name in names}
    publish("inference", values, HEADER, cells, rows, **setting)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
