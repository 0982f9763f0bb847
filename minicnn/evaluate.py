"""Test a trained network: ``python -m minicnn.evaluate RUN``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicnn import data, kernels, preparation, report, trained
from minicnn.data.dataset import Dataset
from minicnn.data.loader import plain_batches, prefetch
from minicnn.errors import Parser, UserError, command
from minicnn.evaluation import collect
from minicnn.trained import Trained

BATCH = 32


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    network = trained.load(args.run)
    dataset, positions, which = _choose(network, args.data, args.split, args.skip_bad)
    batches = plain_batches(dataset, positions, BATCH, network.normalization)
    with kernels.constant_weights():
        figures = collect(network.net.forward, prefetch(batches)).report()
    picture = Path(args.out) if args.out else _beside(network.path)
    if args.json:
        described = {"run": str(network.path), "classes": network.classes, "set": which}
        print(json.dumps(described | figures | {"confusion_png": str(picture)}))
    else:
        print(f"network           {network.model}, {network.path}")
        print(f"set               {which}")
        print(report.class_table(figures, network.classes))
        print(f"\nconfusion matrix: {picture}")
    report.draw_confusion(picture, figures, network.classes, f"{network.model}: {which}")
    return 0


def _parser() -> Parser:
    p = Parser(
        prog="python -m minicnn.evaluate", description="Test a trained network on a data set."
    )
    p.add_argument("run", metavar="RUN", help="a run folder (its last.npz), or an .npz file")
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
    network: Trained, folder: str | None, side: str | None, skip_bad: bool
) -> tuple[Dataset, np.ndarray, str]:
    """(data set, positions, what to call them): which images are meant."""
    config = network.config
    own = config is not None and (
        folder is None or str(Path(folder).expanduser().resolve()) == config.data
    )
    skip_bad = skip_bad or (config is not None and config.skip_bad)
    side = side or ("test" if own else "all")
    if own and config is not None:
        prepared = preparation.prepare(dataclasses.replace(config, skip_bad=skip_bad))
        if side == "test" and prepared.fingerprint() != network.data_fingerprint:
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
