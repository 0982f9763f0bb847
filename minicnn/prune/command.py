"""The command line of ``python -m minicnn.prune``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from minicnn.compress import sensitivity
from minicnn.compress.calibration_set import training_positions
from minicnn.compress.prune import SCOPES
from minicnn.errors import Parser, UserError, command
from minicnn.files import write_text
from minicnn.metrics import balanced_accuracy, confusion_matrix
from minicnn.prune import figures, pictures, tables
from minicnn.prune.retrain import Dense, Stopped, make
from minicnn.prune.settings import SCHEDULES, Wish
from minicnn.runfolder import RunFolder
from minicnn.runtime.engines import use_threads

SCANNED = 300  # images behind each figure of a scan


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    use_threads(args.threads)
    wish = _wish(args)
    images = SCANNED if args.images is None else args.images
    if images < 1 or (args.images is not None and not args.scan):
        raise UserError(f"--images {images}: wanted a whole number of at least 1, with --scan")
    try:
        if args.scan:
            return _scan(args, images)
        if args.sweep is not None:
            return _sweep(args, wish)
        return _single(args, wish)
    except Stopped:
        print("stopped and saved; the same command, with --out the same folder, goes on")
        return 130


def _wish(args: argparse.Namespace) -> Wish:
    """Channels alone leave the other weights as they are, unless told otherwise."""
    sparsity = args.sparsity
    if sparsity is None:
        sparsity = Wish().sparsity if args.channels is None else 0.0
    own = (args.initial, args.schedule, args.scope, args.epochs, args.lr, args.channels)
    wish = Wish(sparsity, *own)
    wish.check()
    return wish


def _parser() -> Parser:
    p = Parser(
        prog="python -m minicnn.prune",
        description="Set the smallest weights of a trained network to zero, or take whole channels "
        "out, while it trains on.",
    )
    own = Wish()
    p.add_argument(
        *("run",),
        metavar="RUN",
        help="a run folder (its last.npz), an .npz file, or squeezenet: our own weights",
    )
    p.add_argument("--data", metavar="DIR", help="what RUN was trained on, if it moved")
    p.add_argument(
        *("--sparsity",),
        type=float,
        metavar="F",
        help=f"share of the weights that become zero ({own.sparsity}; beside --channels: 0)",
    )
    p.add_argument("--initial", type=float, metavar="F", help="share at the first pruning (0.5)")
    p.add_argument(
        *("--schedule",),
        choices=tuple(SCHEDULES),
        default=own.schedule,
        help="fine: often, then only retraining; thesis: from step 20, every "
        f"100 steps, one epoch ({own.schedule})",
    )
    p.add_argument(
        *("--scope",),
        choices=tuple(SCOPES),
        help="a threshold for each layer, one of magnitude for all layers, or one for all of each "
        "weight's share of its layer (adaptive; thesis: layer)",
    )
    p.add_argument(
        "--epochs", type=int, metavar="N", help="of retraining (0.4 of the run's; thesis: 1)"
    )
    p.add_argument(
        "--lr", type=float, metavar="X", help="highest rate (the run's / 2.5; thesis: / 1)"
    )
    p.add_argument("--images", type=int, metavar="N", help=f"a scan looks at ({SCANNED})")
    p.add_argument("--threads", type=int, metavar="N", help="processor threads (all)")
    p.add_argument("--out", metavar="DIR", help="the new run folder (RUN-pruned-F)")
    p.add_argument("--no-export", action="store_true", help="make no .tflite files: no gzip sizes")
    other = p.add_mutually_exclusive_group()
    other.add_argument("--scan", action="store_true", help="each layer alone, without retraining")
    other.add_argument("--sweep", metavar="F,F,...", help="a pruned run for each of these shares")
    other.add_argument(
        *("--channels",),
        type=float,
        metavar="F",
        help="take this share of each convolution's channels out: a smaller network, and a faster",
    )
    return p


def _place(args: argparse.Namespace, ending: str) -> Path:
    """--out, or a folder beside RUN and named after it; for weights by name, in runs/."""
    if args.out:
        return Path(args.out)
    run = Path(args.run)
    run = run.resolve() if run.exists() else run  # "." has no name of its own
    beside = run if run.is_dir() else run.with_suffix("")
    return (beside if run.exists() else Path("runs") / beside).with_name(beside.name + ending)


def _dense(args: argparse.Namespace) -> Dense:
    return Dense(args.run, args.data, args.threads, not args.no_export)


def _single(args: argparse.Namespace, wish: Wish) -> int:
    taken = f"-channels-{wish.channels:g}" if wish.channels else ""
    zeros = f"-pruned-{wish.sparsity:g}" if wish.sparsity or not taken else ""
    out = _place(args, taken + zeros)
    result = make(_dense(args), wish, out)
    print("\n" + tables.report(result))
    print(f"\ndone: {out} is a run folder like any other; the figures are in {out / 'prune.json'}")
    return 0


def _sweep(args: argparse.Namespace, wish: Wish) -> int:
    wishes = [dataclasses.replace(wish, sparsity=share) for share in _shares(args.sweep)]
    for each in wishes:
        each.check()
    dense = _dense(args)
    out = _place(args, "-sweep")
    RunFolder(out).create()
    results = []
    for each in wishes:
        print(f"\nsparsity {each.sparsity:g}")
        results.append(make(dense, each, out / f"{each.sparsity:g}"))
    network = dense.network
    title = f"{network.model}, {network.size[0]}x{network.size[1]}, seed {dense.config.seed}"
    pictures.draw_sweep(out / "sparsity.png", results, f"{title}: pruned and retrained")
    text = tables.sweep(results)
    write_text(out / "sparsity.txt", text + "\n")
    print(f"\n{text}\n\n{tables.NO_FASTER}\n\nchart: {out / 'sparsity.png'}")
    return 0


def _shares(text: str) -> list[float]:
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"--sweep {text}: wanted shares of zeros such as 0,0.5,0.9") from None
    if len(set(shares)) != len(shares):
        raise UserError(f"--sweep {text}: a share is named twice")
    return sorted(shares)


def _scan(args: argparse.Namespace, images: int) -> int:
    out = _place(args, "-sensitivity")
    dense = _dense(args)
    RunFolder(out).create()  # told now, not after the scan
    network, data = dense.network, dense.data
    positions = training_positions(data, images)
    classes = len(network.classes)

    def score() -> float:
        tested = figures.outputs(network, data, positions)
        answers = tested.logits.argmax(axis=1)
        return balanced_accuracy(confusion_matrix(answers, tested.labels, classes))

    whole = score()
    rows = sensitivity.scan(network.net, score)
    print(f"balanced accuracy on {len(positions)} training images, the classes taking turns")
    print(tables.sensitivity(rows, sensitivity.SPARSITIES, whole))
    result = {
        "images": len(positions),
        "dense": whole,
        "sparsities": sensitivity.SPARSITIES,
        "layers": [dataclasses.asdict(row) for row in rows],
    }
    write_text(out / "sensitivity.json", json.dumps(result, indent=2) + "\n")
    title = f"{network.model}, {network.size[0]}x{network.size[1]}, one layer pruned"
    picture = out / "sensitivity.png"
    pictures.draw_sensitivity(picture, rows, sensitivity.SPARSITIES, whole, title)
    print(f"\nchart: {picture}")
    return 0
