"""Running Google's ``edgetpu_compiler`` where it is installed; nothing else needs it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

NAME = "edgetpu_compiler"
SECONDS = 180.0  # the compiler's own limit
LINES = 60


@dataclass(frozen=True)
class Run:
    """What the compiler did; ``log`` is its output with ``-s``, the table of operations."""

    succeeded: bool
    log: str

    @property
    def on_cpu(self) -> int:
        """Operations that its log counts as left to the CPU; 0 where it says nothing."""
        found = re.search(r"operations that will run on CPU: *(\d+)", self.log)
        return int(found[1]) if found else 0

    def summary(self) -> list[str]:
        """The lines of the log that say something, the last ones where there are very many."""
        return [line.rstrip() for line in self.log.splitlines() if line.strip()][-LINES:]


def run(content: bytes, seconds: float = SECONDS, grace: float = 5.0) -> Run | None:
    """Compile a file's bytes in a temporary folder; None where there is no compiler on PATH.

    succeeded means exit status 0 and a compiled file. The seconds are also set as its own limit;
    ``grace`` seconds later it is stopped.
    """
    path = shutil.which(NAME)
    if path is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.tflite"
        model.write_bytes(content)
        words = [path, "-s", "-t", str(max(1, round(seconds))), "-o", str(folder), str(model)]
        try:
            done = subprocess.run(
                words,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds + grace,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            log = (late.stdout or b"").decode("utf-8", "replace")
            return Run(False, f"{log}stopped after {seconds:g} s")
        except OSError as failure:
            return Run(False, f"{path} does not run: {failure.strerror}")
        log = done.stdout.decode("utf-8", "replace").strip()
        compiled = (folder / "model_edgetpu.tflite").is_file()
        return Run(done.returncode == 0 and compiled, log)
