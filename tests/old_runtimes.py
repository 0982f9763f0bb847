"""Older TFLite runtimes, each in a Python environment of its own that is built once and kept.

``run_in(TFLITE_2_14, content, x, "BUILTIN_REF")`` runs a .tflite file in one of them. The test that
calls it skips where the environment's Python or the network to fill it is absent.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / ".pytest_cache" / "old-runtimes"


@dataclass(frozen=True)
class Environment:
    """A runtime, the Python versions it has wheels for, and what pip shall install."""

    name: str
    pythons: tuple[str, ...]
    requirements: tuple[str, ...]


# The last of its name on PyPI, and the one that pycoral 2.0 pins, under another name.
TFLITE_2_14 = Environment(
    "tflite-runtime-2.14.0", ("3.11", "3.10", "3.9"), ("tflite-runtime==2.14.0", "numpy<2")
)
TFLITE_2_5 = Environment("tflrt-2.5.0.post1", ("3.9",), ("tflrt==2.5.0.post1", "numpy<2"))


def run_in(
    environment: Environment, content: bytes, x: np.ndarray, resolver: str = "AUTO"
) -> list[np.ndarray]:
    """All outputs of a .tflite file with one input, each (N, ...), for x (N, ...) in its dtype.

    resolver: the name of one of TFLite's OpResolverType. CalledProcessError where the file does not
    load or run, or the runtime dies of it; what it said is in ``stderr``.
    """
    python = _python(environment)
    with tempfile.TemporaryDirectory() as folder:
        model, inputs, outputs = (Path(folder) / name for name in ("m.tflite", "x.npy", "y.npz"))
        model.write_bytes(content)
        np.save(inputs, x)
        files = [str(path) for path in (HERE / "tflite_child.py", model, inputs)]
        _call([str(python), *files, resolver, str(outputs)])
        with np.load(outputs) as arrays:
            return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]


def _call(command: list[str]) -> str:
    # no PYTHONPATH and the like of ours, which are for another Python
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, timeout=600)
    return done.stdout


@functools.cache
def _python(environment: Environment) -> Path:
    """The interpreter of an environment, which is built where it is not there yet."""
    folder = KEPT / environment.name
    python = folder / "bin" / "python"
    if not python.exists():
        base = _base(environment)
        KEPT.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix="building-", dir=KEPT))
        try:
            _build(environment, base, building)
            os.rename(building, folder)
        except OSError:
            if not python.exists():  # else another run of the tests was first
                raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return python


def _build(environment: Environment, base: str, folder: Path) -> None:
    _call([base, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
    try:
        _call([*pip, "--disable-pip-version-check", *environment.requirements])
    except subprocess.CalledProcessError as failure:
        reason = failure.stderr.strip().splitlines()[-1:]
        pytest.skip(f"{environment.name} cannot be installed: {reason}")


def _base(environment: Environment) -> str:
    """A Python of a version that the environment wants."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    for version in environment.pythons:
        found = [sys.executable, shutil.which(f"python{version}")]
        found += sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python")))
        for python in filter(None, found):
            if _version(python) == version:
                return python
    pytest.skip(f"{environment.name} wants Python {' or '.join(environment.pythons)}")


def _version(python: str) -> str:
    """As "3.9"; "" of what does not run, such as pyenv's stand-in for a version not chosen."""
    try:
        return _call([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
