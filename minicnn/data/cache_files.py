"""Which files of the cache may go: those of older data, and those of processes that were killed."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from minicnn import files

DAY = 24 * 60 * 60
TEMPORARY = re.compile(
    r"[0-9a-f]{12}-\d+x\d+-[0-9a-f]{32}\.(npy|json)\.(?P<pid>\d{1,9})\.(?P<host>[0-9a-f]{8})"
    r"\.[0-9a-f]{8}\.tmp"
)


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
    if host != files.host():
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
