"""Writing files so that nobody ever meets half of one; and where caches are kept."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from minicnn.errors import UserError


def host() -> str:
    """Eight hexadecimal digits that stand for this machine in temporary names."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes ``path``'s place, complete and on disk, when the block succeeds.

    A crash leaves the old file or the new one, whole, and at most a temporary file beside it,
    ``NAME.PID.HOST.RANDOM.tmp``. UserError where the folder is not there.
    """
    if not path.parent.is_dir():
        raise UserError(f"no such folder: {path.parent}, to write {path.name} into")
    unique = f"{os.getpid()}.{host()}.{secrets.token_hex(4)}"
    temporary = path.with_name(f"{path.name}.{unique}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            os.replace(temporary, path)
        except PermissionError:
            # Windows: another process made the same file first and has it open.
            if os.name != "nt" or not path.exists():
                raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, UTF-8."""
    with replacing(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> dict[str, Any]:
    """What a file of ours holds; UserError where it is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON or of UTF-8
        raise UserError(f"{path} is damaged: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it holds no object")
    return values


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cache_folder() -> Path:
    """Where caches are kept: ``$MINICNN_CACHE``, or the platform's folder for such files."""
    if chosen := os.environ.get("MINICNN_CACHE"):
        return Path(chosen).expanduser()
    try:
        home = Path.home()
    except RuntimeError as error:
        message = "no home folder to keep a cache in: set MINICNN_CACHE to a folder"
        raise UserError(message) from error
    if platform.system() == "Darwin":
        return home / "Library" / "Caches" / "minicnn"
    if platform.system() == "Windows":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "minicnn"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "minicnn"
