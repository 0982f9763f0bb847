"""The process of one contestant; ``harness.Worker`` starts it and talks to it.

    python benchmarks/worker.py '{"module": ..., "kind": ..., "arguments": {...}}'

It builds the contestant, answers {"ready": true}, and then one JSON line for each on stdin:

    {"do": "time", "method": "train_step", "times": 3, "warm_up": 1}
        {"seconds": [...], "faults": minor page faults a call, "value": the last call's}
    {"do": "check"}    {"logits": [[...], ...]}
    {"do": "peak"}     {"bytes": the largest resident size so far}

Between two lines it sleeps in a read, so it takes nothing from the contestant whose turn it is.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


def timed(contestant: Any, method: str, times: int, warm_up: int) -> dict[str, Any]:
    """Seconds of each of ``times`` calls, after ``warm_up`` others."""
    call, value, seconds = getattr(contestant, method), None, []
    for _ in range(warm_up):
        call()
    faults = _faults()
    for _ in range(times):
        started = time.perf_counter()
        value = call()
        seconds.append(time.perf_counter() - started)
    number = value if isinstance(value, float) else None  # a loss; logits are compared once
    return {"seconds": seconds, "faults": (_faults() - faults) / times, "value": number}


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak() -> int:
    """Bytes. Linux's ru_maxrss begins at the size of the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def answer(contestant: Any, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "time":
        return timed(contestant, request["method"], request["times"], request["warm_up"])
    if request["do"] == "check":
        return {"logits": contestant.check()}
    return {"bytes": peak()}


def main() -> None:
    # what libraries print must not come between the answers
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start = json.loads(sys.argv[1])
    kind = getattr(importlib.import_module(start["module"]), start["kind"])
    contestant = kind(**start["arguments"])
    print(json.dumps({"ready": True, "work": getattr(contestant, "work", None)}), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(contestant, json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
