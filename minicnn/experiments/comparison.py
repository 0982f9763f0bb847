"""The thesis's table beside what was measured here, from the files of finished runs."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exporters.tflite import NAME as INT8
from minicnn.experiments.claims import CLAIMS, EPOCHS, SIZE
from minicnn.experiments.plan import Entry
from minicnn.experiments.stages import pruned_folder
from minicnn.files import read_json
from minicnn.runfolder import RunFolder

Figures = dict[str, Any]  # plain values, as JSON has them


def compare(out: Path, entries: Sequence[Entry], finished: Sequence[str]) -> Figures:
    """All figures, ready for comparison.json; "here" is None for a network that is not finished."""
    networks = {}
    for entry in entries:
        done = entry.network in finished
        networks[entry.network] = {
            "thesis": dataclasses.asdict(CLAIMS[entry.network])
            | {"epochs": EPOCHS, "size": list(SIZE)},
            "here": _measured(out / entry.network) if done else None,
        }
    return {"networks": networks}


def _measured(run: Path) -> Figures:
    """One network's figures, after its last epoch; nothing that a clock says."""
    config, rows = read_json(run / "config.json"), RunFolder(run).read_rows()
    last, export, pruned = rows[-1], read_json(run / "export.json"), pruned_folder(run)
    prune = read_json(pruned / "prune.json")
    return {
        "run": run.name,
        "epochs": last["epoch"],
        "size": [config["height"], config["width"]],
        "seed": config["seed"],
        "source": Path(config["source"]).name,
        "classes": config["classes"],
        "images": {"train": sum(config["train_images"]), "test": sum(config["test_images"])},
        "parameters": prune["before"]["parameters"],
        "train": _accuracies(last["train"]),
        "test": _accuracies(last["test"]),
        "confusion": last["test"]["confusion"],
        "checkpoint_bytes": (run / "last.npz").stat().st_size,
        "float32_bytes": export["float32_bytes"],
        "int8_bytes": export["bytes"],
        "int8": _int8(export),
        "pruned": _pruned(prune, pruned),
    }


def _accuracies(side: Figures) -> Figures:
    keys = ("top1", "top2", "top3", "loss", "balanced_accuracy", "majority_baseline")
    return {key: side[key] for key in keys}


def _int8(export: Figures) -> Figures:
    top, balanced = export["quality"]["top"]["int8"], export["quality"]["balanced"]["int8"]
    return dict(zip(("top1", "top2", "top3"), top, strict=True)) | {"balanced_accuracy": balanced}


def _pruned(prune: Figures, run: Path) -> Figures:
    after, export = prune["after"], read_json(run / "export.json")
    return {
        "schedule": prune["schedule"],
        "sparsity": after["sparsity"],
        "weights": after["weights"],
        "nonzero_weights": after["nonzero_weights"],
        "test": _accuracies(after["test"]),
        "int8_bytes": export["bytes"],
        "int8_gzip_bytes": len(gzip.compress((run / INT8).read_bytes(), 9, mtime=0)),
        "int8": _int8(export),
    }
