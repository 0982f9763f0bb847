"""Test a trained network: ``python -m minicnn.evaluate RUN-OR-FILE.tflite``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicnn import data, kernels, preparation, report, runtime
from minicnn.data.dataset import Dataset
from minicnn.data.loader import byte_batches, prefetch
from minicnn.errors import Parser, UserError, command
from minicnn.evaluation import collect
from minicnn.runtime import Network

BATCH = 32
REPEATS = 20  # single images behind the latency


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    network = runtime.load(args.network, args.runtime, args.delegate, args.threads)
    dataset, positions, which = _choose(network, args.data, args.split, args.skip_bad)
    batches = byte_batches(dataset, positions, BATCH)
    with kernels.constant_weights():
        latency = network.latency(dataset.images[positions[:REPEATS]], REPEATS)
        figures = collect(network.logits, prefetch(batches)).report()
    picture = Path(args.out) if args.out else _beside(network.path)
    if args.json:
        described = {
            "run": str(network.path),
            "runtime": network.runtime,
            "latency_seconds": latency,
            "classes": network.classes,
            "set": which,
        }
        print(json.dumps(described | figures | {"confusion_png": str(picture)}))
    else:
        print(f"network           {network.title}, {network.path}")
        print(runtime.text(network, latency, REPEATS))
        print(f"set               {which}")
        print(report.class_table(figures, network.classes))
        print(f"\nconfusion matrix: {picture}")
    report.draw_confusion(picture, figures, network.classes, f"{network.title}: {which}")
    return 0


def _parser() -> Parser:
    p = Parser(
        prog="python -m minicnn.evaluate", description="Test a trained network on a data set."
    )
    runtime.add_arguments(p)
    p.add_argument("--data", metavar="DIR", help="default: what the run was trained on")
    p.add_argument(
        *("--split",),
        choices=("test", "all"),
        help="default: test for the run's own data, all for any other",
    )
    p.add_argument("--out", metavar="PNG", help="where to draw the confusion matrix")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read")
    return p


def _choose(
    network: Network, folder: str | None, side: str | None, skip_bad: bool
) -> tuple[Dataset, np.ndarray, str]:
    """(data set, positions, what to call them): which images are meant."""
    if not network.named:
        raise UserError(
            f"{network.path} does not name its classes: put a labels.txt beside it, a line for "
            f"each of its {len(network.classes)} classes in the order of its outputs"
        )
    run = network.origin()
    config = run.config if run else None
    own = config is not None and (
        folder is None or str(Path(folder).expanduser().resolve()) == config.data
    )
    skip_bad = skip_bad or (config is not None and config.skip_bad)
    side = side or ("test" if own else "all")
    if own and run is not None and config is not None:
        prepared = preparation.prepare(dataclasses.replace(config, skip_bad=skip_bad))
        if side == "test" and prepared.fingerprint() != run.data_fingerprint:
            raise UserError(
                f"the data at {prepared.dataset.source} changed since the training: test images of "
                "today may have been trained on; use --split all, or bring the old state back"
            )
        name = f"{prepared.dataset.source}, {side} images, split by {config.split}"
        chosen = prepared.test if side == "test" else np.arange(len(prepared.dataset))
        return prepared.dataset, chosen, name
    if folder is None:
        raise UserError(f"{network.path} does not say what it was trained on: give --data DIR")
    if side == "test":
        raise UserError(f"--split test: {folder} is not what the run was trained on; use all")
    dataset = data.load(folder, network.size, classes=network.classes, skip_bad=skip_bad)
    return dataset, np.arange(len(dataset)), f"{dataset.source}, all images"


def _beside(path: Path) -> Path:
    """last.npz gives last-evaluation.png in the same folder."""
    return path.with_name(f"{path.stem}-evaluation.png")


if __name__ == "__main__":
    raise SystemExit(main())
