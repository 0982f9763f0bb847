"""The wheel alone, without the checkout: it holds what it should and runs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_installs_and_trains_outside_the_checkout(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    build = [*pip, "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("minicnn-*.whl")
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {"minicnn", "models"} <= tops
    assert not tops & {"tests", "tutorials", "benchmarks", "docs"}

    site = tmp_path / "site"
    install = [*pip, "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True)
    train = [sys.executable, "-m", "minicnn.train", "squeezenet", "--steps", "2", "--size", "32x32"]
    environment = dict(os.environ, PYTHONPATH=str(site))
    where = "import minicnn, models; print(minicnn.__file__, models.__file__)"
    shown = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert shown.stdout.count(str(site)) == 2, shown.stdout + shown.stderr
    done = subprocess.run(train, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "runs").glob("squeezenet-*/last.npz"))
