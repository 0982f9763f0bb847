"""Test a trained network: ``python -m minicnn.evaluate RUN-OR-FILE.tflite``."""

from __future__ import annotations

import argparse
import csv
import io
import json
import shlex
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import models
from minicnn import evaluation, image_set, kernels, report, runtime
from minicnn.data.loader import byte_batches, prefetch
from minicnn.data.split import leaked_lesions
from minicnn.errors import Parser, UserError, command
from minicnn.evaluation import Outputs
from minicnn.files import write_text
from minicnn.image_set import ImageSet
from minicnn.report import evaluation_text, run_page
from minicnn.report.results import Answers
from minicnn.runfolder import RunFolder
from minicnn.runtime import Network
from minicnn.shares import SHARES, answering

BATCH = 32
REPEATS = 20  # single images behind the latency


@dataclass(frozen=True)
class Evaluated:
    """A network's answers to a set of images.

    name     what to call the images, and how they were looked at; ``tag`` the same for files
    latency  seconds for one image
    figures  of ``Outputs.honest_report``, with "leak"
    """

    network: Network
    images: ImageSet
    name: str
    tag: str
    latency: float
    outputs: Outputs
    figures: dict[str, Any]


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    _check_places(args.out, args.report, args.predictions)
    network = runtime.load(args.network, args.runtime, args.delegate, args.threads)
    page = _page(network, args)
    images = image_set.choose(network, args.data, args.split, args.skip_bad)
    images = images.undersampled(args.undersample)
    found = _evaluate(network, images, args.flips, args.shares, args.detect)
    confusion, reliability = _pictures(found, args.out)
    # pictures travel: theirs is the folder's name, not its place on this machine
    source = images.dataset.source
    name = found.name.replace(source, Path(source).name)
    title = "\n".join([network.title, *textwrap.wrap(name, 52)])
    report.draw_confusion(confusion, found.figures, network.classes, title)
    report.draw_reliability(reliability, found.figures["reliability"], title)
    if args.predictions:
        write_text(Path(args.predictions), _csv(found))
    if page:
        _write_page(page, found, sys.argv[1:] if argv is None else argv)
    files = {"confusion_png": confusion, "reliability_png": reliability, "report_html": page}
    print(_json(found, files) if args.json else _text(found, files))
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
    p.add_argument(
        *("--undersample",),
        type=float,
        default=0.0,
        metavar="F",
        help="leave F of the largest class out, as the thesis does with 0.75",
    )
    p.add_argument("--flips", action="store_true", help="average over the four mirrorings")
    p.add_argument(
        *("--shares",),
        choices=tuple(SHARES),
        help="answer as if all classes were equally frequent (best for balanced accuracy), or as "
        "frequent as among the training images (best for top-1)",
    )
    p.add_argument(
        *("--class",),
        dest="detect",
        metavar="NAME",
        help=f"tell how well it is found among the others ({evaluation.MELANOMA}, if there is one)",
    )
    p.add_argument("--out", metavar="PNG", help="where to draw the confusion matrix")
    p.add_argument("--report", metavar="HTML", help="where to write the page (RUN's report.html)")
    p.add_argument("--predictions", metavar="CSV", help="write the probabilities of each image")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be read")
    return p


def _check_places(*files: str | None) -> None:
    """UserError where a file could not be written: told before the long work, not after it."""
    for file in files:
        if file is not None and not Path(file).parent.is_dir():
            raise UserError(f"no such folder: {Path(file).parent}, to write {file} into")
        if file is not None and Path(file).is_dir():
            raise UserError(f"{file} is a folder: name a file")


def _page(network: Network, args: argparse.Namespace) -> Path | None:
    """Where the page of the run goes; None where none is to be written.

    report.html in a run folder is of the run's own test images and its last weights; with anything
    else it is written only where ``--report`` says.
    """
    folder = RunFolder(network.path.parent)
    if network.path.suffix != ".npz" or not folder.config.exists():
        if args.report:
            raise UserError(f"--report: {network.path} is no network of a run folder")
        return None
    if args.report:
        return Path(args.report)
    other = args.data or args.split == "all" or args.undersample or args.flips or args.shares
    return None if other or network.path != folder.last else folder.path / run_page.NAME


def _evaluate(
    network: Network, images: ImageSet, flips: bool, shares: str | None, detected: str | None
) -> Evaluated:
    if detected not in (None, *network.classes):
        known = ", ".join(network.classes)
        raise UserError(f"--class {detected}: the network's classes are {known}")
    forward: evaluation.Forward = network.logits
    looks = []
    if flips:
        forward = evaluation.mirrored(forward)
        looks.append(("flips", "the mean over four mirrorings"))
    if shares:
        forward = answering(forward, shares, network, images.thinned)
        looks.append((shares, SHARES[shares]))
    batches = byte_batches(images.dataset, images.positions, BATCH)
    with kernels.constant_weights():
        first = images.dataset.images[images.positions[:REPEATS]]
        latency = network.latency(first, REPEATS)
        outputs = evaluation.collect(forward, prefetch(batches))
    figures = outputs.honest_report(images.lesions, network.classes, detected)
    return Evaluated(
        network=network,
        images=images,
        name=", ".join([images.name, *(name for _, name in looks)]),
        tag="-".join(filter(None, [images.tag, *(tag for tag, _ in looks)])),
        latency=latency,
        outputs=outputs,
        figures=figures | {"leak": _leak(outputs, images)},
    )


def _leak(outputs: Outputs, images: ImageSet) -> dict[str, Any] | None:
    """What images of lesions that were trained on gain, where there are any."""
    found = evaluation.leak(outputs, images.trained_on())
    if found is None or images.run is None:
        return None
    lesions = images.dataset.lesions
    return {"lesions": leaked_lesions(lesions, images.run.train, images.positions)} | found


def _pictures(found: Evaluated, out: str | None) -> tuple[Path, Path]:
    """Confusion matrix and reliability: last.npz gives last-evaluation.png in the same folder.

    Pictures of another set have its name in theirs; those of weights that came with minicnn are
    left where the command was given.
    """
    if out is not None:
        return Path(out), Path(out).with_name(f"{Path(out).stem}-reliability.png")
    path = found.network.path
    folder = Path.cwd() if path.is_relative_to(models.WEIGHTS) else path.parent
    tag = f"-{found.tag}" if found.tag else ""
    evaluated, reliability = (
        folder / f"{path.stem}-{what}{tag}.png" for what in ("evaluation", "reliability")
    )
    return evaluated, reliability


def _write_page(page: Path, found: Evaluated, argv: Sequence[str]) -> None:
    answers = Answers(
        name=found.name,
        dataset=found.images.dataset,
        positions=found.images.positions,
        probabilities=found.outputs.probabilities,
        figures=found.figures,
        command=f"python -m minicnn.evaluate {shlex.join(argv)}",
    )
    run = found.network.origin()
    assert run is not None  # or there were no page
    run_page.write(RunFolder(run.path.parent), run.net.count_params(), answers, page)


def _text(found: Evaluated, files: dict[str, Path | None]) -> str:
    network = found.network
    lines = [
        f"network           {network.title}, {network.path}",
        runtime.text(network, found.latency, REPEATS),
        f"set               {found.name}",
        evaluation_text.text(found.figures, network.classes) + "\n",
    ]
    names = ("confusion matrix:", "reliability:", "page of the run:")
    lines += [f"{n:17} {file}" for n, file in zip(names, files.values(), strict=True) if file]
    return "\n".join(lines)


def _json(found: Evaluated, files: dict[str, Path | None]) -> str:
    described = {
        "run": str(found.network.path),
        "runtime": found.network.runtime,
        "latency_seconds": found.latency,
        "classes": found.network.classes,
        "set": found.name,
    }
    paths = {what: file and str(file) for what, file in files.items()}
    return json.dumps(described | found.figures | paths)


def _csv(found: Evaluated) -> str:
    """A line for each image: its name, lesion and class, and the probability of every class."""
    images, classes = found.images, found.network.classes
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["name", "lesion", "class", *(f"p({name})" for name in classes)])
    names = images.dataset.names[images.positions]
    rows = zip(names, images.lesions, images.labels, found.outputs.probabilities, strict=True)
    for name, lesion, label, probabilities in rows:
        table.writerow([name, lesion, classes[label], *(f"{p:.6g}" for p in probabilities)])
    return text.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
