"""Options that the commands share, and what they leave behind: a table, and JSON lines."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import minicnn
from minicnn.errors import Parser, UserError

PACKAGES = ("numpy", "numba", "torch", "tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert")


def parser(name: str, description: str) -> Parser:
    """With --threads and --json, which every command has."""
    p = Parser(prog=f"python benchmarks/{name}.py", description=description)
    p.add_argument("--threads", type=int, default=processors(), metavar="N", help="(all)")
    p.add_argument("--json", type=Path, metavar="FILE", help="append a JSON line for each row")
    return p


def add_network(p: Parser, choices: Sequence[str], batch: int | None, rounds: int) -> None:
    """The options of a command that sets contestants against each other."""
    p.add_argument("--network", choices=("squeezenet", "alexnet"), default="squeezenet")
    p.add_argument("--size", default="224x224", metavar="HxW", help="of an image (224x224)")
    if batch is not None:
        p.add_argument("--batch", type=int, default=batch, metavar="N", help=f"images ({batch})")
    p.add_argument("--rounds", type=int, default=rounds, metavar="N", help=f"({rounds})")
    listed = f"of {', '.join(choices)} (all)"
    p.add_argument(
        "--contestants", nargs="+", choices=choices, default=choices, metavar="NAME", help=listed
    )


def check_options(values: Any, *names: str) -> None:
    """UserError unless these are at least 1, and the machine has that many threads."""
    for name in ("threads", *names):
        value = getattr(values, name)
        if value < 1:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} {value}: wanted a whole number of at least 1")
    if values.threads > processors():
        raise UserError(f"--threads {values.threads}: this machine runs at most {processors()}")
    if values.json is not None and not values.json.parent.is_dir():
        raise UserError(f"--json {values.json}: no such folder: {values.json.parent}")


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(threads: int) -> dict[str, Any]:
    """What the figures depend on beside the code."""
    versions = {"python": platform.python_version(), "minicnn": minicnn.__version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(),
        "processors": processors(),
        "threads": threads,
        "versions": versions,
        "date": datetime.now().isoformat(timespec="seconds"),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def publish(
    table: str,
    values: Any,
    header: Sequence[str],
    cells: Sequence[Sequence[str]],
    rows: Sequence[dict[str, Any]],
    **setting: Any,
) -> None:
    """Print the table, a line of ``cells`` for each of ``rows``, and append the rows to --json.

    setting   what all rows have in common, such as the network
    """
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for line in (header, *cells):
        first, *others = (cell.ljust(w) for cell, w in zip(line, widths, strict=True))
        others = [cell.strip().rjust(w) for cell, w in zip(others, widths[1:], strict=True)]
        print("  ".join([first, *others]))
    described = machine(values.threads)
    print(f"{described['cpu']}, {values.threads} threads")
    if values.json is not None:
        with values.json.open("a", encoding="utf-8") as file:
            for row in rows:
                line = {"table": table, **setting, **row, "machine": described}
                print(json.dumps(line), file=file)


def number(value: float | None, form: str) -> str:
    """Formatted, or a dash for what was not measured."""
    return "-" if value is None else format(value, form)
