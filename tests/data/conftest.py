"""A small set of images on disk, and a record of what is decoded, for the tests of the cache."""

import numpy as np
import pytest
from PIL import Image

from minicnn.data import images


@pytest.fixture
def write_image():
    """A function (path, seed) that writes a PNG of noise."""
    return _write


def _write(path, value):
    noise = np.random.default_rng(value).integers(0, 256, (20, 24, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Classes a and b with four images each; caches go to tmp_path/cache."""
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    for i in range(8):
        _write(tmp_path / "set" / "ab"[i % 2] / f"{i}.png", i)
    return tmp_path / "set"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded, as it happens."""
    names = []
    original = images.load

    def load(path, size):
        names.append(path.name)
        return original(path, size)

    monkeypatch.setattr(images, "load", load)
    return names
