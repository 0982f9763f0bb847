"""How the experiments draw: as ``minicnn.report`` does, in colours that everybody tells apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from minicnn.files import replacing
from minicnn.report.pictures import BASELINE, TEST, TRAIN, png

OURS, THESIS, GREY = TRAIN, TEST, BASELINE
OTHERS = ("#228833", "#aa3377", "#66ccee", "#777777")  # more of Paul Tol's bright scheme


def save(path: Path, inches: tuple[float, float], fill: Callable[[Figure], None]) -> None:
    """Let ``fill`` draw on a figure of so many inches (width, height), and write it as a PNG."""
    content = png(inches, fill)
    with replacing(path) as file:
        file.write(content)
