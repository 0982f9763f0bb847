"""Contestants side by side: each is a process of its own, and they take turns.

All build first. Then in each round every contestant has one turn: a pause in which all threads
fall asleep, untimed calls, timed calls. Whatever else the machine does in a round thus meets them
all, so a ratio is taken within each round, and the median of the rounds' ratios is reported.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from contestants import Entry

from minicnn.errors import UserError

HERE = Path(__file__).resolve().parent
PAUSE = 0.05  # seconds: OpenMP's and BLAS's threads spin for less after a parallel region
Turns = list[dict[str, Any]]  # a worker's answers to "time", one a round


def environment(threads: int, **more: str) -> dict[str, str]:
    """Variables for a worker: the threads, and nothing that minicnn set for itself here."""
    own = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "GLIBC_TUNABLES")
    values = {name: value for name, value in os.environ.items() if name not in own}
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        values[f"{name}_NUM_THREADS"] = str(threads)
    paths = [str(HERE.parent), *filter(None, [values.get("PYTHONPATH")])]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    return values | {"PYTHONPATH": os.pathsep.join(paths)} | quiet | more


class Worker:
    """A contestant's process, from its start to the end of the ``with`` block."""

    def __init__(self, entry: Entry, threads: int, env: dict[str, str], **arguments: Any) -> None:
        self.entry = entry
        arguments |= {"variant": entry.variant, "threads": threads}
        start = {"module": entry.module, "kind": entry.kind, "arguments": arguments}
        self._open = ExitStack()
        # not a pipe: that would fill, and hold the worker up
        self._log = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._process = self._open.enter_context(
            subprocess.Popen(
                [sys.executable, str(HERE / "worker.py"), json.dumps(start)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment(threads, **entry.environment, **env),
            )
        )

    def __enter__(self) -> Worker:
        try:
            self.work = self._answer()["work"]  # FLOPs or bytes of a call, if it is a limit
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()  # the end of its stdin is the worker's end

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """The answer to one request of ``worker.py``'s list."""
        assert self._process.stdin is not None
        line = json.dumps({"do": do, **details}) + "\n"
        with suppress(BrokenPipeError):  # it ended; its log says why
            os.write(self._process.stdin.fileno(), line.encode())
        return self._answer()

    def time(self, method: str, times: int, warm_up: int = 1) -> dict[str, Any]:
        """One turn; ``median`` of its seconds is added to the answer."""
        answer = self.ask("time", method=method, times=times, warm_up=warm_up)
        return answer | {"median": statistics.median(answer["seconds"])}

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._log.seek(0)
            log = self._log.read().decode(errors="replace")
            raise RuntimeError(f"{self.entry.name} ended (status {status}):\n{log}")
        return json.loads(line)


def script(name: str, threads: int, *arguments: object) -> None:
    """Run a file of this folder to its end; its UserError is ours."""
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(threads))
    if done.returncode == 2 and done.stderr.startswith("error: "):
        raise UserError(done.stderr.removeprefix("error: "))
    if done.returncode:
        raise RuntimeError(f"{name} ended (status {done.returncode}):\n{done.stderr}")


@contextmanager
def network_folder(
    network: str, size: tuple[int, int], batch: int, threads: int, entries: Sequence[Entry]
) -> Iterator[Path]:
    """A folder with all files that the contestants build their network from.

    minicnn is also started here once, so that its kernels are compiled: the compiler's memory is
    no part of a step's.
    """
    names = [entry.name for entry in entries]
    with tempfile.TemporaryDirectory(prefix="minicnn-benchmark-") as name:
        folder = Path(name)
        script("network_file.py", threads, network, f"{size[0]}x{size[1]}", folder)
        if "litert" in names:
            script("tflite_file.py", threads, folder, batch, threads)
        if "minicnn" in names:
            ours = entries[names.index("minicnn")]
            with Worker(ours, threads, {}, folder=name, batch=batch) as worker:
                worker.time("train_step", 1, 0)
                worker.ask("check")
        yield folder


def check(workers: Sequence[Worker]) -> None:
    """UserError unless all contestants give the same logits for the same images."""
    first, *others = workers
    wanted = np.array(first.ask("check")["logits"])
    for worker in others:
        found = np.array(worker.ask("check")["logits"])
        # against their spread as well: logits that are all near one value would hide an error
        if not np.allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.std())):
            raise UserError(
                f"{worker.entry.name} and {first.entry.name} are not the same network: "
                f"logits of an image are {found[0].round(4)} and {wanted[0].round(4)}"
            )


def play(
    workers: Sequence[Worker], rounds: int, method: str, times: int, warm_up: int = 1
) -> dict[str, Turns]:
    """Each worker's turns, by its name; what a limit (sgemm) does is called ``run``."""
    turns: dict[str, Turns] = {worker.entry.name: [] for worker in workers}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
        for worker in workers:
            time.sleep(PAUSE)
            wanted = (method, times, warm_up) if worker.work is None else ("run", 1, 1)
            turns[worker.entry.name].append(worker.time(*wanted))
    print(" " * 30, end="\r", file=sys.stderr, flush=True)
    return turns


def seconds(turns: Turns) -> float:
    """The median of all timed calls."""
    return statistics.median(value for turn in turns for value in turn["seconds"])


def ratio(turns: Turns, others: Turns) -> float:
    """How many times as long the others took: the median over the rounds."""
    pairs = zip(turns, others, strict=True)
    return statistics.median(other["median"] / turn["median"] for turn, other in pairs)
