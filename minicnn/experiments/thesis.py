"""The thesis's protocol as a whole: ``python -m minicnn.experiments thesis --data DIR``.

Every network is trained, pruned, exported and evaluated, on one split; then all of it is compared
with the thesis. The same command again goes on where it was stopped or killed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import models
from minicnn import preparation
from minicnn.config import Config, resolve
from minicnn.data.dataset import parse_size
from minicnn.errors import Parser, UserError, command
from minicnn.experiments import claims, comparison, comparison_page, pace, plan, stages
from minicnn.experiments.plan import Cost, Entry, Size, Wish
from minicnn.files import read_json, write_text
from minicnn.runfolder import RunFolder
from minicnn.runtime.engines import use_threads


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    use_threads(args.threads)
    out = Path(args.out)
    entries = _kept(out, args) or _planned(args)
    print(plan.table(entries, args.budget), flush=True)
    if args.plan:
        return 0
    configs = [_config(args, entry.network, entry.size, entry.epochs) for entry in entries]
    _check_split(configs)
    _keep(out, args, entries)  # only now: a mistyped folder must not claim the place
    said = shlex.join(sys.argv[1:] if argv is None else argv)
    for config in configs:
        print(f"\n{config.model}", flush=True)
        try:
            stages.everything(config, out / config.model)
        except stages.Stopped as early:
            print("the same command goes on from here")
            return early.status
        finished = [c.model for c in configs if stages.finished(c, out / c.model)]
        found = comparison.compare(out, entries, finished)
        comparison_page.write(out, found, f"python -m minicnn.experiments thesis {said}")
    print(f"\n{(out / 'comparison.md').read_text(encoding='utf-8')}")
    print(f"done: {out} holds comparison.html, .md and .json, and a run folder for each network")
    return 0


def _parser() -> Parser:
    p = Parser(
        prog="python -m minicnn.experiments thesis",
        description="Train, prune, export and compare the thesis's networks by its protocol.",
    )
    p.add_argument("--data", metavar="DIR", help="HAM10000's own layout, or a folder per class")
    p.add_argument("--out", default="runs/thesis", metavar="DIR", help="default: runs/thesis")
    p.add_argument(
        *("--networks",),
        default=",".join(models.NAMES),
        metavar="A,B,...",
        help="in this order (all four)",
    )
    p.add_argument(
        *("--epochs",),
        metavar="N[,NAME=N...]",
        help="a default and exceptions: 12,alexnet=1 (the thesis's 100)",
    )
    p.add_argument(
        *("--size",),
        metavar="HxW[,NAME=HxW...]",
        help="likewise: 225x300,deepsqueeze=255x340 (the thesis's 450x600)",
    )
    p.add_argument(
        *("--budget",),
        type=float,
        metavar="MINUTES",
        help="cut epochs, and sizes that --size does not name, until it holds everything",
    )
    p.add_argument("--plan", action="store_true", help="print the plan and end")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="fixes everything random (0)")
    p.add_argument("--threads", type=int, metavar="N", help="processor threads (all)")
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read")
    return p


def _config(args: argparse.Namespace, network: str, size: Size, epochs: int) -> Config:
    """The thesis's recipe at this size."""
    given = {"model": network, "data": args.data, "size": plan.by(size), "epochs": epochs}
    given |= {"seed": args.seed, "threads": args.threads, "skip_bad": args.skip_bad}
    return resolve(given | {"recipe": "thesis"})


def _planned(args: argparse.Namespace) -> list[Entry]:
    """What the flags ask for, or as much of it as the budget holds."""
    networks = plan.names(args.networks)
    epochs = plan.per_network(args.epochs, networks, int, "--epochs")
    sizes = plan.per_network(args.size, networks, parse_size, "--size")
    for network in networks:
        size = sizes.get(network, claims.SIZE)
        _config(args, network, size, epochs.get(network, claims.EPOCHS))  # checks both
        if problem := plan.fits(network, size):
            raise UserError(problem)
    if args.budget is not None and not 0 < args.budget < float("inf"):
        raise UserError(f"--budget {args.budget:g}: wanted minutes above 0")
    if args.budget is None:
        return [
            Entry(name, sizes.get(name, claims.SIZE), epochs.get(name, claims.EPOCHS))
            for name in networks
        ]
    wishes = [
        Wish(
            name,
            epochs.get(name, claims.EPOCHS),
            [sizes[name]] if name in sizes else plan.sizes(name),
        )
        for name in networks
    ]
    return plan.fit(wishes, args.budget, _measured(args, wishes[0]))


def _measured(args: argparse.Namespace, first: Wish) -> plan.Costs:
    """Costs by timing a few steps, each network and size once."""
    # how many images there are does not depend on their size
    data = preparation.prepare(_config(args, first.network, first.sizes[0], 1))
    known: dict[tuple[str, Size], Cost] = {}

    def costs(network: str, size: Size) -> Cost:
        if (network, size) not in known:
            print(f"timing {network} at {plan.by(size)}", flush=True)
            config = _config(args, network, size, 1)
            known[network, size] = pace.cost(config, len(data.train), len(data.test))
        return known[network, size]

    return costs


def _request(args: argparse.Namespace) -> dict[str, Any]:
    """What a plan was made of: a folder serves one."""
    keys = ("networks", "epochs", "size", "budget", "seed", "skip_bad")
    data = args.data and str(Path(args.data).expanduser().resolve())
    return {key: getattr(args, key) for key in keys} | {"data": data}


def _kept(out: Path, args: argparse.Namespace) -> list[Entry] | None:
    """The plan that the folder was begun with, None where there is none."""
    file = out / "plan.json"
    if not file.exists():
        return None
    held = read_json(file)
    if changed := [k for k, v in _request(args).items() if held["request"].get(k) != v]:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        raise UserError(f"{out} was begun with another {flags}: name another folder with --out")
    return [Entry(**{**e, "size": tuple(e["size"])}) for e in held["entries"]]


def _keep(out: Path, args: argparse.Namespace, entries: Sequence[Entry]) -> None:
    RunFolder(out).create()
    held = {"request": _request(args), "entries": [dataclasses.asdict(entry) for entry in entries]}
    write_text(out / "plan.json", json.dumps(held, indent=1) + "\n")


def _check_split(configs: Sequence[Config]) -> None:
    """One split for all: the same images are on the test side, at whatever size."""
    sides = [stages.tested_names(config) for config in configs]
    for config, side in zip(configs, sides, strict=True):
        if side != sides[0]:
            raise UserError(
                f"{config.model} would be tested on other images than {configs[0].model}: the data "
                "changed while it was read; run again"
            )


if __name__ == "__main__":
    raise SystemExit(main())
