"""``@jit``: Numba's ``@njit`` with a disk cache of the project's own.

Numba's cache watches a function's own file alone: after a change of a helper or an intrinsic in
another file the old machine code runs on. And it keeps one index for all signatures of a function:
two processes that write it at once can leave a signature that leads to the other's code. Here

    PLACE/kernels-STATE/MODULE.FUNCTION-DIGEST     is the machine code of one signature
    STATE    a hash of this folder's sources, the versions and the compiler's settings
    DIGEST   a hash of the function's own file, its signature and the processor

so a change of any of them is another file, and no index is needed. A compiled function must take
helpers and constants from this folder or its own file: changes elsewhere go unnoticed.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import llvmlite
import numba
import numpy as np
from numba import config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from minicnn.errors import UserError
from minicnn.files import cache_folder, replacing

SOURCES = os.path.dirname(os.path.abspath(__file__))
SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
KEPT = 10  # states: the last used ones


def jit(function: Callable | None = None, **options) -> Callable:
    """``@jit`` or ``@jit(parallel=True, ...)``: ``njit(nogil=True, ...)``, kept on disk.

    Nothing here divides by zero, so nothing checks for it (error_model "numpy"): less to compile.
    Under NUMBA_DISABLE_JIT it is the function itself.
    """
    if function is None:
        return partial(jit, **options)
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    if not config.DISABLE_JIT:
        with suppress(OSError):  # no sources in sight, as in a .zip: compiled by every process
            dispatcher._cache = _Cache(function)
    return dispatcher


def place() -> Path:
    """The folder of caches: NUMBA_CACHE_DIR, MINICNN_CACHE or the platform's."""
    try:
        return Path(config.CACHE_DIR).expanduser() if config.CACHE_DIR else cache_folder()
    except UserError:  # no home: nothing can be kept, which is said when it is tried
        return Path("/nonexistent")


class _Cache(NullCache):
    """Numba asks it for a function's machine code before it compiles, and hands it over after."""

    def __init__(self, function: Callable):
        self._function = function
        # hashed now and not at the first call: sources may change while the process runs
        self._own_file = _hash((_stamp(function.__code__.co_filename),))
        paths = sorted(entry.path for entry in os.scandir(SOURCES) if entry.name.endswith(".py"))
        settings = tuple(str(getattr(config, name, None)) for name in SETTINGS)
        self._folder = _folder(_hash(tuple(map(_stamp, paths))), settings)

    def _path(self, signature, codegen) -> Path:
        code, closure = self._function.__code__, self._function.__closure__
        values = dumps([cell.cell_contents for cell in closure or ()])
        key = self._own_file, code.co_firstlineno, signature, codegen.magic_tuple(), values
        name = f"{self._function.__module__}.{self._function.__qualname__}-{_digest(key)}"
        return self._folder / name.replace("<", "").replace(">", "")

    def load_overload(self, signature, context):
        context.refresh()  # the compiler's tables, as Numba's own cache does
        path = self._path(signature, context.codegen())
        try:
            content = pickle.loads(path.read_bytes())
        except Exception:  # absent; or damaged, when pickle may raise anything
            _say("compiling kernels (once)…")
            return None
        return CompileResult._rebuild(context, *content)

    def save_overload(self, signature, result) -> None:
        # such code holds addresses, of a large global array say, that are wrong in other processes
        assert not result.library.has_dynamic_globals, f"{self._function} cannot be kept"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._path(signature, result.codegen)) as file:
                file.write(dumps(result._reduce()))
            _remove_older(self._folder)
        except OSError as error:
            where = f"compiled kernels cannot be kept in {self._folder} ({error.strerror})"
            _say(f"{where}: set NUMBA_CACHE_DIR to a folder that can be written")


def _digest(key: object) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]


def _stamp(path: str) -> tuple[str, int, int]:
    stat = os.stat(path)
    return path, stat.st_mtime_ns, stat.st_size


@cache
def _hash(stamps: tuple[tuple[str, int, int], ...]) -> str:
    """Over the files' names and contents; a new stamp has a file read again."""
    return _digest([(os.path.basename(path), Path(path).read_bytes()) for path, *_ in stamps])


@cache
def _folder(sources: str, settings: tuple[str, ...]) -> Path:
    """STATE's folder, marked as used now if it is there."""
    versions = sys.version, numba.__version__, llvmlite.__version__, np.__version__
    folder = place() / f"kernels-{_digest((sources, settings, versions))}"
    with suppress(OSError):
        os.utime(folder)
    return folder


@cache
def _remove_older(folder: Path) -> None:
    states = list(folder.parent.glob("kernels-" + "[0-9a-f]" * 32))
    with suppress(OSError):  # another process may remove them as well
        states.sort(key=lambda state: state.stat().st_mtime)
        for state in states[:-KEPT]:
            shutil.rmtree(state, ignore_errors=True)


@cache
def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
