"""A few generated images in HAM10000's layout, and quick training runs on them."""

from pathlib import Path

from minicnn.data import synthetic
from minicnn.train import main

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def write_data(folder: Path, count: int = 120) -> Path:
    """HAM10000's own layout with ``count`` generated images of 32x32."""
    synthetic.write_folder(folder, synthetic.generate(count=count, size=(32, 32), seed=3))
    return folder


def train(data: Path, out: Path, *flags: str) -> int:
    """Train SqueezeNet on ``data``; a flag given again overrides the one here."""
    settings = ["--size", "32x32", "--batch", "16", "--epochs", "3", "--threads", "2"]
    return main(["squeezenet", "--data", str(data), "--out", str(out), *settings, *flags])
