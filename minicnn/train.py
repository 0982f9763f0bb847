"""Train a network: ``python -m minicnn.train squeezenet``."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
import models
from exporters import export_report, tflite
from minicnn import checkpoint
from minicnn.checkpoint import Checkpoint
from minicnn.config import Config, parser, resolve
from minicnn.errors import UserError, command
from minicnn.metrics import majority_baseline
from minicnn.recipes import RECIPES
from minicnn.report import run_page
from minicnn.report.results import Answers
from minicnn.runfolder import RunFolder, find_checkpoint
from minicnn.runtime.engines import use_threads
from minicnn.training import Trainer

MAY_CHANGE = ("epochs", "steps", "threads")


@command
def main(argv: Sequence[str] | None = None) -> int:
    given = vars(parser(models.NAMES).parse_args(argv))
    exporting = not given.pop("no_export", False)
    trainer = ready(*(_resumed(given) if "resume" in given else _fresh(given)))
    folder = trainer.folder
    _describe(trainer)
    if trainer.optimizer.steps >= trainer.last_step:
        print(f"nothing to do: all {trainer.last_step} steps are taken; raise --epochs or --steps,")
        print(f"or export it: python -m exporters.tflite {folder.path}")
        return 0
    trainer.run()
    return _farewell(trainer, exporting)


def ready(config: Config, folder: RunFolder, start: Checkpoint | None) -> Trainer:
    """A run that can begin (or go on from ``start``): its folder is there, with config.json."""
    use_threads(config.threads)
    trainer = Trainer(config, folder, start)
    if start is None:
        folder.create()
    folder.remove_leftovers()
    folder.write_config(_record(config, trainer))
    return trainer


def _fresh(given: dict[str, Any]) -> tuple[Config, RunFolder, None]:
    model = given.get("model")
    if model not in models.NAMES:
        what = f"no network is called {model!r}" if model else "no network named"
        raise UserError(f"{what}: choose one of {', '.join(models.NAMES)}")
    config = resolve(given)
    name = f"{config.model}-{date.today():%Y-%m-%d}-{config.seed}"
    path = Path(given["out"]) if "out" in given else _unused(Path("runs") / name)
    folder = RunFolder(path)
    folder.check_free()
    return config, folder, None


def _unused(path: Path) -> Path:
    """The path, or the path with the first number that no folder has yet."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


def _resumed(given: dict[str, Any]) -> tuple[Config, RunFolder, Checkpoint]:
    path = Path(given.pop("resume"))
    if not path.is_dir():
        raise UserError(f"--resume {path}: wanted a run folder")
    start = checkpoint.load(find_checkpoint(path))
    if missing := {"config", "data_fingerprint", "step", "epoch", "best"} - set(start.meta):
        raise UserError(
            f"{path} does not say its {min(missing)}: wanted a run folder of minicnn.train"
        )
    config = Config.from_json(start.meta["config"])
    if given.get("model", config.model) != config.model:
        raise UserError(f"the run at {path} trains {config.model}, not {given['model']}")
    given.pop("model", None)
    if refused := sorted(set(given) - set(MAY_CHANGE)):
        raise UserError(
            f"--{refused[0].replace('_', '-')} cannot change when a run is resumed: "
            "only --epochs, --steps and --threads may"
        )
    return dataclasses.replace(config, **given), RunFolder(path), start


def _record(config: Config, trainer: Trainer) -> dict[str, Any]:
    """What config.json holds: the settings, and what they meant on this data."""
    dataset = trainer.data.dataset
    return config.to_json() | {
        "minicnn": minicnn.__version__,
        "source": dataset.source,
        "classes": list(dataset.classes),
        "train_images": dataset.counts(trainer.data.train).tolist(),
        "test_images": dataset.counts(trainer.data.test).tolist(),
        "class_weight_values": [round(float(w), 6) for w in trainer.weights],
        "normalization": dataclasses.asdict(trainer.normalization),
        "skipped": [list(entry) for entry in dataset.skipped],
    }


def _describe(trainer: Trainer) -> None:
    config, data = trainer.config, trainer.data
    dataset = data.dataset
    size = f"{config.height}x{config.width} images (height x width)"
    print(f"network   {config.model}, {trainer.net.count_params():,} parameters, {size}")
    print(f"data      {dataset.source}, split by {config.split}")
    if config.undersample:
        print(f"          {config.undersample:.0%} of the largest class left out")
    if dataset.skipped:
        print(f"          {len(dataset.skipped)} bad images left out, listed in config.json")
    for name, side in (("train", data.train), ("test", data.test)):
        counts = zip(dataset.classes, dataset.counts(side), strict=True)
        print(f"{name:9} {len(side)} images: " + ", ".join(f"{c} {n}" for c, n in counts))
    schedule = f"{config.optimizer}, rate {config.lr:g} {config.schedule}, batch {config.batch}"
    recipe = f"{config.recipe}{_departures(config)}"
    print(f"recipe    {recipe}: {schedule}, class weights {config.class_weights}")
    test = dataset.counts(data.test)
    print(
        f"baseline  top-1 {majority_baseline(test):.3f} by always answering "
        f"{dataset.classes[int(np.argmax(test))]}; guessing has balanced accuracy "
        f"{1 / len(dataset.classes):.3f}"
    )
    print(f"run       {trainer.folder.path}")
    if config.steps and config.steps > trainer.last_step:
        print(
            f"note      {config.epochs} epochs hold {trainer.last_step} steps and end the run "
            f"before --steps {config.steps} does"
        )


def _departures(config: Config) -> str:
    changed = [k for k, v in RECIPES[config.recipe].items() if getattr(config, k) != v]
    return f" (changed: {', '.join(changed)})" if changed else ""


def _farewell(trainer: Trainer, exporting: bool) -> int:
    path, steps = trainer.folder.path, trainer.optimizer.steps
    if trainer.stop_asked and steps < trainer.last_step:
        print(f"stopped after step {steps} and saved; to go on:")
        print(f"  python -m minicnn.train --resume {path}")
        return 130
    if trainer.rows[-1]["partial"]:
        print(f"* the run ended inside this epoch, after {steps} steps, as asked")
    if exporting:
        print()
        result = tflite.export(trainer.trained(), trainer.data, path / tflite.NAME)
        print(export_report.text(result, layers=False) + "\n")
    _write_page(trainer)
    print(f"done: {path} holds {', '.join(sorted(entry.name for entry in path.iterdir()))}")
    print(f"next: python -m minicnn.predict {path / tflite.NAME if exporting else path} IMAGE")
    return 0


def _write_page(trainer: Trainer) -> None:
    """report.html, with the answers of the last test; ``minicnn.evaluate`` makes it anew."""
    data, path = trainer.data, trainer.folder.path
    name = f"{data.dataset.source}, test images, split by {trainer.config.split}"
    command = f"python -m minicnn.evaluate {shlex.quote(str(path))}"
    answers = Answers.of(name, data.dataset, data.test, trainer.tested, command)
    run_page.write(trainer.folder, trainer.net.count_params(), answers)


if __name__ == "__main__":
    raise SystemExit(main())
