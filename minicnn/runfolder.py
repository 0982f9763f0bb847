"""A run folder: config.json, metrics.jsonl, last.npz, best.npz and the pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minicnn.errors import UserError
from minicnn.files import write_text


class RunFolder:
    """Paths and text files of one run; everything is written atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.jsonl"
        self.last = path / "last.npz"
        self.best = path / "best.npz"
        self.curves = path / "curves.png"
        self.confusion = path / "confusion.png"

    def check_free(self) -> None:
        """UserError where something stands already: told before the long work, not after it."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--out {self.path} is a file: name a new folder")
        if self.path.is_dir() and any(self.path.iterdir()):
            raise UserError(
                f"--out {self.path} is not empty: name a new folder, "
                f"or go on with --resume {self.path}"
            )

    def create(self) -> None:
        """Make the folder; UserError where that fails."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {self.path} cannot be made: {error.strerror}") from None

    def remove_leftovers(self) -> None:
        """Delete what a process that was killed while writing left behind."""
        for path in self.path.glob("*.tmp"):
            path.unlink(missing_ok=True)

    def write_config(self, values: dict[str, Any]) -> None:
        """Save the settings as JSON."""
        write_text(self.config, json.dumps(values, indent=2) + "\n")

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """Save the figures of all epochs, a JSON object a line."""
        write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))

    def read_rows(self) -> list[dict[str, Any]]:
        """The figures of all epochs so far; none when there is no file yet."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8").splitlines()
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError as error:
            raise UserError(f"{self.metrics} is damaged: {error}") from None


def find_checkpoint(run: Path) -> Path:
    """The .npz file that RUN on a command line means: itself, or a run folder's last.npz."""
    if run.is_dir():
        if not (last := RunFolder(run).last).exists():
            raise UserError(f"{run} is no run folder: it has no last.npz")
        return last
    if not run.exists():
        raise UserError(f"no run folder or .npz file at {run}")
    return run
