"""The comparison's tables: heads and rows of text, for Markdown and for the page alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from minicnn.experiments import claims

Figures = dict[str, Any]


class Table(NamedTuple):
    """``columns`` has a letter for each: l for text, r for figures. A cell of None is a dash."""

    title: str
    columns: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | None]]
    note: str


def tables(comparison: Figures) -> list[Table]:
    """Accuracy, sizes, and what pruning and int8 make of each network."""
    networks = comparison["networks"]
    return [_accuracy(networks), _sizes(networks), _smaller(networks)]


def markdown(table: Table) -> str:
    """A heading, the table and its note."""
    marks = ["---:" if column == "r" else "---" for column in table.columns]
    rows = [[cell if cell is not None else "-" for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in [table.head, marks, *rows]]
    return "\n".join([f"## {table.title}", "", *lines, "", table.note])


def how(figures: Figures) -> tuple[str, str]:
    """("12 epochs", "225x300") of a run."""
    height, width = figures["size"]
    epochs = figures["epochs"]
    return f"{epochs} epoch{'s' * (epochs != 1)}", f"{height}x{width}"


def _run(figures: Figures) -> tuple[str, str]:
    return str(figures["epochs"]), how(figures)[1]


def _accuracy(networks: Figures) -> Table:
    rows: list[Sequence[str | None]] = []
    for name, each in networks.items():
        told, here = each["thesis"], each["here"]
        top1 = f"about {told['top1']:.0%}" if told["note"] == "about" else _percent(told["top1"])
        row = [
            name,
            "thesis",
            *_run(told),
            top1,
            *(_percent(told[key]) for key in ("top2", "top3")),
        ]
        rows.append([*row, _percent(told["train_top1"]), _number(told["loss"]), None])
        if here is None:
            rows.append([name, "here", "none yet", *[None] * 7])
            continue
        test = here["test"]
        row = [
            name,
            "here",
            *_run(here),
            *(_percent(test[key]) for key in ("top1", "top2", "top3")),
        ]
        row += [_percent(here["train"]["top1"]), _number(test["loss"])]
        rows.append([*row, _percent(test["balanced_accuracy"])])
    head = ["network", "run", "epochs", "images", "top-1", "top-2", "top-3", "train top-1"]
    return Table(
        "Accuracy",
        "llrrrrrrrr",
        [*head, "test loss", "balanced"],
        rows,
        "Test images, after the last epoch. The split is by image, as in the thesis, so "
        "photographs of one lesion can be on both sides. No figure is extrapolated to more epochs "
        "or larger images.",
    )


def _sizes(networks: Figures) -> Table:
    rows: list[Sequence[str | None]] = []
    for name, each in networks.items():
        told, here = each["thesis"], each["here"]
        row = [name, "thesis", *_run(told), f"{told['parameters']:,}", told["file"], None]
        rows.append([*row, size(told["int8_bytes"])])
        if here is not None:
            row = [name, "here", *_run(here), f"{here['parameters']:,}"]
            kinds = ("checkpoint_bytes", "float32_bytes", "int8_bytes")
            rows.append([*row, *(size(here[kind]) for kind in kinds)])
    head = ["network", "run", "epochs", "images", "parameters", "with momentum"]
    return Table(
        "Size",
        "llrrrrrr",
        [*head, "weights alone, float32", "int8"],
        rows,
        "The thesis's files are Keras's and hold the momentum beside the weights, 8 bytes a "
        "parameter, as last.npz does here: of its 8x by quantization, 2x is the momentum left out. "
        "AlexNet's first dense layer grows with the image, so its parameters depend on the size.",
    )


def _smaller(networks: Figures) -> Table:
    rows: list[Sequence[str | None]] = []
    for name, each in networks.items():
        if (here := each["here"]) is None:
            continue
        pruned = here["pruned"]
        top = (here["test"], here["int8"], pruned["test"], pruned["int8"])
        row: list[str | None] = [name, *_run(here), *(_percent(form["top1"]) for form in top)]
        left = f"{pruned['nonzero_weights']:,}"
        row += [f"{pruned['sparsity']:.1%}", left, size(pruned["int8_gzip_bytes"])]
        rows.append(row)
    head = ["network", "epochs", "images", "top-1", "int8", "pruned", "pruned, int8", "zeros"]
    return Table(
        "Pruned and int8",
        "lrrrrrrrrr",
        [*head, "weights not zero", "pruned, int8, gzip -9"],
        rows,
        "Top-1 on test images of the network, of its int8 file, and of both after pruning by the "
        "thesis's schedule: from 50 % to 90 % zeros in one more epoch, from step 20, every 100 "
        "steps: the zeros here show for how many of these prunings an epoch had room. The thesis "
        f"gives SqueezeNet {claims.PRUNED_PARAMETERS:,} parameters after pruning, 254x fewer; 90 % "
        "zeros leave a tenth. Zeros alone make a dense kernel no faster. A network that has "
        "learned nothing yet gives all classes nearly the same probability, which int8 cannot tell "
        "apart: its int8 file then answers the first class.",
    )


def size(count: float | None) -> str | None:
    """Bytes as people write them."""
    if count is None:
        return None
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= scale:
            return f"{count / scale:.2f} {unit}"
    return f"{count / 2**10:.1f} KiB"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
