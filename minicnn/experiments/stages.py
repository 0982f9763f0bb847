"""What is done with each network, one stage after the other; a stage that is finished is skipped.

Each stage calls another command, as one could by hand, and leaves ordinary run folders:
OUT/NETWORK, and OUT/NETWORK-pruned for its pruned form.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np

import minicnn.prune
from exporters import tflite
from minicnn import evaluate, preparation, train
from minicnn.config import Config
from minicnn.errors import UserError
from minicnn.experiments.plan import by
from minicnn.files import checksum, read_json
from minicnn.prune.retrain import NAME as PRUNED
from minicnn.report.run_page import NAME as PAGE
from minicnn.runfolder import RunFolder


class Stopped(Exception):
    """A command ended early: its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


def pruned_folder(run: Path) -> Path:
    """Where the pruned form of a run is."""
    return run.with_name(f"{run.name}-pruned")


def everything(config: Config, run: Path) -> None:
    """All stages of one network, in the folder ``run``. Raises Stopped after Ctrl-C or an error."""
    _train(config, run)
    _prune(config, run)
    for folder in (run, pruned_folder(run)):
        _export(folder)
        _page(folder)


def finished(config: Config, run: Path) -> bool:
    """Whether every stage is."""
    folders = (run, pruned_folder(run))
    return (
        _epochs(run) >= config.epochs
        and (folders[1] / PRUNED).exists()
        and all(_exported(folder) and _paged(folder) for folder in folders)
    )


def _train(config: Config, run: Path) -> None:
    taken = _epochs(run)
    if taken >= config.epochs:
        print(f"trained already: {taken} epochs")
        return
    folder = RunFolder(run)
    if folder.last.exists():
        flags = ["--resume", str(run), "--epochs", str(config.epochs)]
    else:
        folder.remove_leftovers()
        folder.config.unlink(missing_ok=True)  # of a run that was killed before its first step
        flags = [config.model, "--recipe", "thesis", "--size", by((config.height, config.width))]
        flags += ["--epochs", str(config.epochs), "--seed", str(config.seed), "--out", str(run)]
        flags += ["--data", config.data] if config.data else []
        flags += ["--skip-bad"] if config.skip_bad else []
    _call("minicnn.train", train.main, [*flags, "--no-export", *_threads(config)])


def _epochs(run: Path) -> int:
    """Epochs that last.npz has behind it; 0 where there is none."""
    try:
        # only this entry is read, of a file that may have a gigabyte
        with np.load(run / "last.npz", allow_pickle=False) as arrays:
            return int(json.loads(str(arrays["meta"]))["epoch"])
    except FileNotFoundError:
        return 0
    except Exception as error:
        raise UserError(f"{run / 'last.npz'} is damaged ({error}): remove {run}") from None


def _prune(config: Config, run: Path) -> None:
    out = pruned_folder(run)
    if (out / PRUNED).exists():
        print("pruned already")
        return
    RunFolder(out).remove_leftovers()
    flags = [str(run), "--schedule", "thesis", "--out", str(out), "--no-export"]
    _call("minicnn.prune", minicnn.prune.main, [*flags, *_threads(config)])


def _export(run: Path) -> None:
    if _exported(run):
        print(f"exported already: {run / tflite.NAME}")
    else:
        _call("exporters.tflite", tflite.main, [str(run)], fine=(0, 1))


def _exported(run: Path) -> bool:
    """Whether export.json is there, the file that an export writes last, and of these weights."""
    figures = run / "export.json"
    if not figures.exists():
        return False
    known = read_json(figures)["checkpoint_sha256"]
    return bool(known == checksum(run / "last.npz"))


def _page(run: Path) -> None:
    if _paged(run):
        print(f"evaluated already: {run / PAGE}")
    else:
        _call("minicnn.evaluate", evaluate.main, [str(run)])


def _paged(run: Path) -> bool:
    """Whether report.html is younger than the export that it is to show."""
    page = run / PAGE
    return page.exists() and page.stat().st_mtime_ns >= (run / "export.json").stat().st_mtime_ns


def _threads(config: Config) -> list[str]:
    return ["--threads", str(config.threads)] if config.threads else []


def _call(
    name: str, main: Callable[[list[str]], int], flags: list[str], fine: tuple[int, ...] = (0,)
) -> None:
    """Run another command; it prints its own errors."""
    print(f"\npython -m {name} {shlex.join(flags)}", flush=True)
    status = main(flags)
    if status not in fine:
        raise Stopped(status)


def tested_names(config: Config) -> list[str]:
    """The names of the test images with these settings."""
    data = preparation.prepare(config)
    return [str(name) for name in data.dataset.names[data.test]]
