"""Why a deep network stays on the majority class: ``python -m minicnn.experiments depth``.

The signal by depth at the thesis's start and at one that works, then short trainings that differ
in one setting each.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

import models
from minicnn import preparation
from minicnn.config import Config, resolve
from minicnn.errors import Parser, UserError, command
from minicnn.experiments import depth_picture, depth_text, trials
from minicnn.experiments.signals import LayerSignal, logit_spread, measure
from minicnn.experiments.trials import OURS, THESIS, Setting, Trial
from minicnn.files import read_json, write_text
from minicnn.preparation import Prepared
from minicnn.runfolder import RunFolder
from minicnn.runtime.engines import use_threads

COMPANION = "squeezenet"  # shown beside the network in question


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Measure what OUT/depth.json does not hold yet; write depth.json, depth.md and depth.png."""
    args = _parser().parse_args(argv)
    if args.steps < 1:
        raise UserError(f"--steps {args.steps}: wanted a whole number of at least 1")
    use_threads(args.threads)
    config = resolve(
        {
            "model": args.network,
            "data": args.data,
            "size": args.size,
            "seed": args.seed,
            "recipe": "thesis",
        }
    )
    store = _Store(Path(args.out), config, args.steps)
    data = preparation.prepare(config)
    for network in dict.fromkeys((args.network, COMPANION)):
        if network not in store.signals:
            store.keep_signals(network, dataclasses.replace(config, model=network), data)
    names = [name for name in trials.TRIALS if name not in {t.name for t in store.trials}]
    total = len(names) * args.steps
    with tqdm(total=total, unit="step", leave=False, mininterval=0.5) as bar:
        for name in names:
            bar.set_description(name)
            store.keep_trial(trials.run(Setting(config, data, name), args.steps, bar.update))
    text = store.report(f"{args.network} at {args.size} (height x width), seed {args.seed}")
    print(text)
    print(f"done: {store.path} holds depth.md, depth.json and depth.png")
    return 0


def _parser() -> Parser:
    p = Parser(
        prog="python -m minicnn.experiments depth",
        description="Measure why a network stays on the majority class, and what frees it.",
    )
    p.add_argument(
        *("network",), nargs="?", default="deepsqueeze", choices=models.NAMES, metavar="NETWORK"
    )
    p.add_argument("--data", metavar="DIR", help="HAM10000's own layout, or a folder per class")
    p.add_argument("--size", default="255x340", metavar="HxW", help="of the images (255x340)")
    p.add_argument("--steps", type=int, default=80, metavar="N", help="of each training (80)")
    p.add_argument("--out", default="runs/depth", metavar="DIR", help="default: runs/depth")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="fixes everything random (0)")
    p.add_argument("--threads", type=int, metavar="N", help="processor threads (all)")
    return p


class _Store:
    """depth.json: what was measured so far, so that a run that was stopped goes on."""

    def __init__(self, path: Path, config: Config, steps: int) -> None:
        self.path, self.file = path, path / "depth.json"
        self.settings = json.loads(
            json.dumps({**config.to_json(), "steps": steps, "threads": None})
        )
        self.signals: depth_picture.Signals = {}
        self.spreads: dict[str, dict[str, float]] = {}
        self.trials: list[Trial] = []
        RunFolder(path).create()
        if self.file.exists():
            self._read()

    def _read(self) -> None:
        held = read_json(self.file)
        if changed := [k for k, v in self.settings.items() if held["settings"].get(k) != v]:
            raise UserError(
                f"{self.file} is of another {', '.join(changed)}: name another folder with --out"
            )
        self.spreads = held["spreads"]
        self.trials = [Trial(**values) for values in held["trials"]]
        self.signals = {
            network: {name: [LayerSignal(**row) for row in rows] for name, rows in each.items()}
            for network, each in held["signals"].items()
        }

    def keep_signals(self, network: str, config: Config, data: Prepared) -> None:
        """Measure one batch at the two starts."""
        self.signals[network], self.spreads[network] = {}, {}
        for name in (THESIS, OURS):
            setting = Setting(config, data, name)
            x, labels = next(setting.batches())
            self.spreads[network][name] = logit_spread(setting.net.forward(x))
            setting.net.seed_dropout(config.seed, 0)
            rows = measure(setting.net, x, labels, setting.loss, setting.optimizer)
            self.signals[network][name] = rows
        self._write()

    def keep_trial(self, trial: Trial) -> None:
        self.trials.append(trial)
        self._write()

    def _write(self) -> None:
        signals: dict[str, Any] = {
            network: {n: [dataclasses.asdict(row) for row in rows] for n, rows in each.items()}
            for network, each in self.signals.items()
        }
        held = {
            "settings": self.settings,
            "signals": signals,
            "spreads": self.spreads,
            "trials": [dataclasses.asdict(trial) for trial in self.trials],
        }
        write_text(self.file, json.dumps(held, indent=1) + "\n")

    def report(self, title: str) -> str:
        """Draw and write everything; returns the text."""
        text = depth_text.markdown(title, self.signals, self.spreads, self.trials)
        write_text(self.path / "depth.md", text)
        depth_picture.draw(self.path / "depth.png", self.signals, self.trials, title)
        return text


if __name__ == "__main__":
    raise SystemExit(main())
