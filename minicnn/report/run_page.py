"""The page of a run, report.html: what was trained on what, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minicnn
from minicnn.config import Config
from minicnn.files import checksum, read_json, write_text
from minicnn.report import deployed, html, pictures, results, settings
from minicnn.report.html import Html, Section
from minicnn.report.results import Answers
from minicnn.runfolder import RunFolder

NAME = "report.html"


@dataclass(frozen=True)
class RunPage:
    """All that the page shows, as plain values.

    parameters  of the network
    config      its settings
    record      config.json, rows metrics.jsonl, export export.json, prune prune.json; empty or None
                where there is none
    answers      answers to test images
    """

    parameters: int
    config: Config
    record: dict[str, Any]
    rows: list[dict[str, Any]]
    export: dict[str, Any] | None
    prune: dict[str, Any] | None
    answers: Answers


def of_run(folder: RunFolder, parameters: int, answers: Answers) -> RunPage:
    """What a run folder holds, with the answers of its network, which has so many parameters.

    An export of other weights than the folder's is left out. UserError for a damaged file.
    """
    record = _json(folder.config) or {}
    known = {field.name for field in dataclasses.fields(Config)}
    export = _json(folder.path / "export.json")
    if export is not None:
        checkpoint = folder.path / export["checkpoint"]
        if not checkpoint.exists() or checksum(checkpoint) != export["checkpoint_sha256"]:
            export = None
    return RunPage(
        parameters=parameters,
        config=Config.from_json({key: record[key] for key in known & set(record)}),
        record=record,
        rows=folder.read_rows(),
        export=export,
        prune=_json(folder.path / "prune.json"),
        answers=answers,
    )


def _json(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.exists() else None


def write(folder: RunFolder, parameters: int, answers: Answers, path: Path | None = None) -> Path:
    """Save the page of a run (see :func:`of_run`); where it is: ``path``, or in the folder."""
    path = path or folder.path / NAME
    write_text(path, render(of_run(folder, parameters, answers)))
    return path


def render(run: RunPage) -> str:
    """The page as one HTML document, with its pictures inside."""
    config, answers = run.config, run.answers
    lead = (
        f"{run.parameters:,} parameters, {config.height} x {config.width} images (height x width), "
        f"seed {config.seed}. Trained {_length(run)} on {run.record['source']}."
    )
    sections = results.sections(answers)
    sections.append(Section("Training", _curves(run)))
    sections.append(Section("Settings", [html.settings(settings.in_words(config))]))
    sections.append(Section("Data", _data(run)))
    if run.prune is not None:
        sections.append(deployed.pruning(run.prune))
    if run.export is not None:
        sections.append(deployed.quantization(run.export))
        sections.append(deployed.edgetpu(run.export["edgetpu"]))
    sections.append(Section("To do it again", [html.commands(_commands(run))]))
    footer = f"Written by minicnn {minicnn.__version__}. For education, not for diagnosis."
    return html.page(config.model, lead, sections, footer)


def _length(run: RunPage) -> str:
    if not run.rows:
        return "for less than an epoch"
    last = run.rows[-1]
    count = len(run.rows)
    text = f"for {count} epoch{'s' * (count > 1)} ({last['step']:,} steps)"
    return text + (", the last one cut short," if last["partial"] else "")


def _curves(run: RunPage) -> Sequence[Html]:
    if not run.rows:
        return []
    loss, accuracy = pictures.curves(run.rows)
    return [
        html.figures(
            html.figure(loss, "Loss by epoch."),
            html.figure(accuracy, "Accuracies by epoch, and what they must beat."),
        )
    ]


def _data(run: RunPage) -> Sequence[Html]:
    record, classes = run.record, run.answers.classes
    if tuple(record.get("classes", ())) != classes:
        return []
    counts = zip(record["train_images"], record["test_images"], strict=True)
    weights = record["class_weight_values"]
    rows: list[Sequence[object]] = [
        (name, f"{train:,}", f"{test:,}", f"{weight:.3f}")
        for name, (train, test), weight in zip(classes, counts, weights, strict=True)
    ]
    totals = [f"{sum(record[key]):,}" for key in ("train_images", "test_images")]
    rows.append(("all", *totals, None))
    head = ("class", "training images", "test images", "weight in the loss")
    parts = [html.table("lrrr", head, rows, f"From {record['source']}.")]
    if record.get("skipped"):
        parts.append(html.paragraph(f"{len(record['skipped'])} images could not be read."))
    return parts


def _commands(run: RunPage) -> list[str]:
    """Training exports as well; what begins with another run's weights needs that run."""
    begun = [settings.train_command(run.config)] if run.config.start is None else []
    pruned = [deployed.prune_command(run.prune)] if run.prune and "wish" in run.prune else []
    return [*begun, *pruned, run.answers.command]
