"""Data for tests: a few generated images in HAM10000's layout, where photographs would be."""

import os
from pathlib import Path

from minicnn.data import synthetic
from minicnn.train import main

# No part of the project; tests skip where they are absent:
SHARED = Path(__file__).resolve().parents[2] / "shared"
# real photographs in HAM10000's own layout,
PHOTOGRAPHS = Path(os.environ.get("MINICNN_HAM10000", SHARED / "ham10000" / "dev"))
# and models of others that edgetpu_compiler is known to have taken.
ACCEPTED = Path(os.environ.get("MINICNN_EDGETPU_ACCEPTED", SHARED / "edgetpu-accepted"))

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


# every epoch takes all images, so that its steps are easy to count
SETTINGS = ("--size", "32x32", "--batch", "16", "--epochs", "3", "--threads", "2", "--thin", "0")


def write_data(folder: Path, count: int = 120) -> Path:
    """HAM10000's own layout with ``count`` generated images of 32x32."""
    synthetic.write_folder(folder, synthetic.generate(count=count, size=(32, 32), seed=3))
    return folder


def train(data: Path, out: Path, *flags: str, export: bool = False) -> int:
    """Train SqueezeNet on ``data``; a flag given again overrides SETTINGS."""
    settings = [*SETTINGS, *([] if export else ["--no-export"])]
    return main(["squeezenet", "--data", str(data), "--out", str(out), *settings, *flags])
