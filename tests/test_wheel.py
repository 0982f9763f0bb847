"""The wheel alone, without the checkout: it holds what it should and runs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RELEASED = ("README.md", "squeezenet.npz", "squeezenet_int8.tflite")


@pytest.mark.slow
def test_the_wheel_installs_and_trains_outside_the_checkout(tmp_path):
    site, environment = tmp_path / "site", dict(os.environ, PYTHONPATH=str(tmp_path / "site"))

    def python(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    pip = ("-m", "pip", "--disable-pip-version-check")
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    python(*pip, "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(source))
    (wheel,) = tmp_path.glob("minicnn-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"models/weights/{file}" for file in RELEASED} <= names
    tops = {name.split("/")[0] for name in names}
    assert {"minicnn", "models", "exporters"} <= tops
    assert not tops & {"tests", "tutorials", "benchmarks", "docs"}

    python(*pip, "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))
    where = python("-c", "import minicnn, models; print(minicnn.__file__, models.__file__)")
    assert where.count(str(site)) == 2, where
    count = python("-c", "import models; print(models.pretrained('squeezenet').count_params())")
    assert count.strip() == "726087"
    python("-m", "minicnn.train", "squeezenet", "--steps", "2", "--size", "32x32")
    assert list((tmp_path / "runs").glob("squeezenet-*/last.npz"))
