"""comparison.md, comparison.json, comparison.html and their pictures, written into one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import minicnn
from minicnn.experiments import claims, comparison_pictures
from minicnn.experiments.comparison_tables import Table, how, markdown, tables
from minicnn.files import write_text
from minicnn.report import html
from minicnn.report.html import Html, Section
from minicnn.runfolder import RunFolder

Figures = dict[str, Any]
TITLE = "The thesis, and its protocol run again"


def write(out: Path, comparison: Figures, command: str) -> None:
    """Everything, from what ``comparison.compare`` gave; ``command`` is what ran it."""
    done = [name for name, each in comparison["networks"].items() if each["here"]]
    write_text(out / "comparison.json", json.dumps(comparison, indent=1) + "\n")
    for name in done:
        rows = RunFolder(out / name).read_rows()
        each = comparison["networks"][name]
        comparison_pictures.draw_curves(out / f"{name}.png", name, each, rows)
    if done:
        comparison_pictures.draw_accuracy(out / "accuracy.png", comparison)
        comparison_pictures.draw_size(out / "size.png", comparison)
    write_text(out / "comparison.md", _markdown(comparison, done, command))
    write_text(out / "comparison.html", _page(out, comparison, done, command))


def _lead(comparison: Figures) -> str:
    here = [each["here"] for each in comparison["networks"].values() if each["here"]]
    if not here:
        return "No network is finished yet."
    images, source = here[0]["images"], here[0]["source"]
    majority = here[0]["test"]["majority_baseline"]
    return (
        f"Trained on {images['train']:,} and tested on {images['test']:,} images of {source}, the "
        f"same for every network (split by image, seed {here[0]['seed']}, 75 % of the largest "
        f"class left out). Always answering the largest class has top-1 {majority:.2%}. The "
        f"thesis: {claims.EPOCHS} epochs at {claims.SIZE[0]}x{claims.SIZE[1]} (height x width); "
        "epochs and image size of each run here stand beside its figures, and images that are "
        "smaller in the data set are enlarged to it."
    )


def _markdown(comparison: Figures, done: list[str], command: str) -> str:
    parts = [f"# {TITLE}", _lead(comparison), *map(markdown, tables(comparison))]
    parts += ["![accuracy](accuracy.png)", "![size](size.png)"] if done else []
    parts += [f"![{name}]({name}.png)" for name in done]
    parts += [f"![{name}: confusion matrix]({name}/confusion.png)" for name in done]
    parts.append(f"Made by `{command}`")
    return "\n\n".join(parts) + "\n"


def _page(out: Path, comparison: Figures, done: list[str], command: str) -> str:
    shown = {table.title: _table(table) for table in tables(comparison)}
    bars = {"Accuracy": "accuracy.png", "Size": "size.png"}
    sections = []
    for title, table in shown.items():
        parts = [table]
        if done and title in bars:
            caption = f"{title} of the finished networks, the thesis's beside ours."
            parts.append(html.figure((out / bars[title]).read_bytes(), caption))
        sections.append(Section(title, parts))
    runs = {name: ", ".join(how(comparison["networks"][name]["here"])) for name in done}
    curves = [_picture(out / f"{name}.png", f"{name}: {run}.") for name, run in runs.items()]
    sections.append(Section("Curves", curves))
    matrices = [
        _picture(out / name / "confusion.png", f"{name}: {run}, test images.")
        for name, run in runs.items()
    ]
    sections.append(Section("Confusion", [html.figures(*matrices)] if matrices else []))
    sections.append(Section("To do it again", [html.commands([command])]))
    footer = f"Written by minicnn {minicnn.__version__}. For education, not for diagnosis."
    return html.page(TITLE, _lead(comparison), sections, footer)


def _table(table: Table) -> Html:
    return html.table(table.columns, table.head, table.rows, table.note)


def _picture(path: Path, caption: str) -> Html:
    return html.figure(path.read_bytes(), caption)
