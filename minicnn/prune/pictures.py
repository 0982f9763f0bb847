"""Pictures of pruning, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minicnn.compress.sensitivity import Sensitivity
from minicnn.report import pictures


def draw_sensitivity(
    path: Path, rows: Sequence[Sensitivity], sparsities: Sequence[float], dense: float, title: str
) -> None:
    """Balanced accuracy with one layer pruned: a row a layer, a column a sparsity."""
    scores = np.array([row.scores for row in rows])
    low = min(float(scores.min()), dense)

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(scores, cmap="cividis", vmin=low, vmax=dense, aspect="auto")
        middle = (low + dense) / 2
        for i, j in np.ndindex(scores.shape):
            colour = "black" if scores[i, j] > middle else "white"
            axes.text(j, i, f"{scores[i, j]:.2f}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(sparsities)), [f"{sparsity:.0%}" for sparsity in sparsities])
        axes.set_yticks(range(len(rows)), [row.path.removesuffix("/w") for row in rows])
        axes.set(xlabel="share of zeros in this layer alone, not retrained", ylabel="layer")
        figure.colorbar(image, ax=axes, label="balanced accuracy, training images")
        figure.suptitle(f"{title}; dense {dense:.3f}")

    pictures.save(path, (7.5, 1.5 + 0.22 * len(rows)), fill)


def draw_sweep(path: Path, results: Sequence[dict[str, Any]], title: str) -> None:
    """Accuracy on test images against the share of zeros, with the dense network's level."""
    shares = [100 * result["after"]["sparsity"] for result in results]
    kinds = (
        ("top1", "top-1", pictures.TRAIN, "o"),
        ("balanced_accuracy", "balanced accuracy", pictures.TEST, "s"),
    )

    def fill(figure: Figure) -> None:
        axes = figure.subplots()
        for key, name, colour, marker in kinds:
            dense = results[0]["before"]["test"][key]
            axes.axhline(dense, color=colour, lw=1, ls="--", label=f"{name}, dense")
            values = [result["after"]["test"][key] for result in results]
            ends = np.array([result["difference"][key][1:] for result in results])
            # of the difference from the dense network: what chance may have done to this point
            error = np.abs(dense + ends - np.array(values)[:, None]).T
            axes.errorbar(
                *(shares, values, error),
                color=colour,
                marker=marker,
                markersize=4,
                elinewidth=0.8,
                capsize=2,
                label=f"{name}, pruned and retrained",
            )
        axes.set(xlabel="weights that are zero, %", ylabel="accuracy on test images")
        axes.set(xlim=(-2, 102))
        axes.grid(alpha=0.25)
        legend = "bars: 95 % of the difference from dense"
        axes.legend(frameon=False, loc="best", title=legend)
        figure.suptitle(title)

    pictures.save(path, (6.5, 4.2), fill)
