"""How cache files appear, whole and at once, and disappear."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

DAY = 24 * 60 * 60
TEMPORARY = re.compile(
    r"[0-9a-f]{12}-\d+x\d+-[0-9a-f]{32}\.(npy|json)\.(?P<pid>\d{1,9})\.(?P<host>[0-9a-f]{8})"
    r"\.[0-9a-f]{8}\.tmp"
)


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes ``path``'s place, complete and on disk, when the block succeeds."""
    unique = f"{os.getpid()}.{_host()}.{secrets.token_hex(4)}"
    temporary = path.with_name(f"{path.name}.{unique}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            os.replace(temporary, path)
        except PermissionError:
            # Windows: another process made the same cache first and has it open.
            if os.name != "nt" or not path.exists():
                raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_older(base: Path) -> None:
    """Delete the caches of the same source and size under other keys."""
    prefix = base.name.rsplit("-", 1)[0]
    for path in base.parent.glob(f"{prefix}-*"):
        if path.suffix in (".npy", ".json") and path.stem != base.name:
            _unlink(path)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes that were killed while building."""
    for path in folder.glob("*.tmp"):
        match = TEMPORARY.fullmatch(path.name)
        if match and _abandoned(path, int(match["pid"]), match["host"]):
            _unlink(path)


def _abandoned(path: Path, pid: int, host: str) -> bool:
    """Whether nobody writes a temporary file any more.

    After a day without a write it counts as abandoned in any case: its process may have run on
    another machine with the same home folder, or its number may have been given away again.
    """
    try:
        if time.time() - path.stat().st_mtime > DAY:
            return True
    except FileNotFoundError:
        return False
    if host != _host():
        return False
    if os.name == "nt":  # os.kill would end the process there; an open file resists unlink anyway
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it lives, under another user
        pass
    return False


def _unlink(path: Path) -> None:
    # Open in another process (Windows), or another user's in a shared folder: leave it.
    with suppress(PermissionError):
        path.unlink(missing_ok=True)
