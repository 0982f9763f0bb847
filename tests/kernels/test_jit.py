"""The disk cache of compiled functions, tried on a package of three small files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.kernels import jit

ROOT = Path(jit.__file__).parents[2]
LINE = "compiling kernels (once)…\n"
HELPER = """
from numba import types
from numba.extending import intrinsic
from tiny.jit import jit

@intrinsic
def plus(typing, x):
    return x(x), lambda context, builder, signature, args: builder.add(args[0], args[0].type(10))

@jit
def more(x):
    return x + 1
"""
MAIN = """
from numba import njit, prange
from tiny.helper import more, plus
from tiny.jit import jit

@jit
def f(x):
    return more(x) * 2

@jit(parallel=True, fastmath=True)
def total(a):
    s = 0
    for i in prange(len(a)):
        s += a[i]
    return s

@jit
def tens(x):
    return plus(x)

@njit(cache=True)
def foreign(x):
    return x
"""


@pytest.fixture
def tiny(tmp_path):
    """A folder with the package ``tiny``: jit.py itself, a helper, and main.py."""
    package = tmp_path / "site" / "tiny"
    package.mkdir(parents=True)
    shutil.copy(jit.__file__, package)
    (package / "__init__.py").touch()
    (package / "helper.py").write_text(HELPER)
    (package / "main.py").write_text(MAIN)
    return package


def start(tiny, what, **environment):
    """Print ``what``, an expression of main.py's names, in a process of its own."""
    given = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "MINICNN_"))}
    given.update(
        PYTHONPATH=os.pathsep.join([str(tiny.parent), str(ROOT)]),
        PYTHONIOENCODING="utf-8",
        PYTHONDONTWRITEBYTECODE="1",  # an edit within one second would go unseen by Python itself
        MINICNN_CACHE=str(tiny.parent.parent / "cache"),
    )
    return subprocess.Popen(
        [sys.executable, "-c", f"from tiny.main import *; print(({what}))"],
        env={**given, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process):
    """(what it printed, what it said on stderr)"""
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out.strip(), err


def run(tiny, what, **environment):
    return finish(start(tiny, what, **environment))


def edit(path, old, new):
    """Change a file to one of the same size and time: only its content tells."""
    before, text = path.stat(), path.read_text()
    assert old in text
    assert len(old) == len(new)
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_compiled_once_and_announced_once(tiny):
    what = "f(1), f(1.0), f(2), total(__import__('numpy').arange(5))"
    assert run(tiny, what) == ("(4, 4.0, 6, 10)", LINE)
    assert run(tiny, what) == ("(4, 4.0, 6, 10)", "")
    hits = "f(1), sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values())"
    assert run(tiny, hits) == ("(4, 1, 0)", "")
    assert run(tiny, "f(1), f(1j)") == ("(4, (2+2j))", LINE)


def test_nothing_compiled_nothing_announced(tiny):
    assert run(tiny, "foreign(3)") == ("3", "")


def test_an_edit_of_a_helper_or_an_intrinsic_elsewhere_is_seen(tiny):
    assert run(tiny, "f(1), tens(1)")[0] == "(4, 11)"
    edit(tiny / "helper.py", "x + 1", "x + 2")
    assert run(tiny, "f(1), tens(1)") == ("(6, 11)", LINE)
    edit(tiny / "helper.py", "type(10)", "type(20)")
    assert run(tiny, "f(1), tens(1)") == ("(6, 21)", LINE)
    edit(tiny / "helper.py", "type(20)", "type(10)")
    assert run(tiny, "f(1), tens(1)") == ("(6, 11)", "")


def test_an_edit_of_a_function_outside_the_kernels_folder_is_seen(tiny):
    outside = tiny.parent / "outside.py"
    outside.write_text("from tiny.jit import jit\n\n@jit\ndef g(x):\n    return x + 5\n")
    what = "__import__('outside').g(1)"
    assert run(tiny, what) == ("6", LINE)
    assert run(tiny, what) == ("6", "")
    edit(outside, "x + 5", "x + 7")
    assert run(tiny, what) == ("8", LINE)


def test_an_edit_while_a_process_runs_is_for_the_next_one(tiny):
    later = (
        f"__import__('pathlib').Path({str(tiny / 'helper.py')!r}).write_text({HELPER!r} + ' '), "
    )
    source = HELPER.replace("x + 1", "x + 3")
    (tiny / "helper.py").write_text(source)
    assert run(tiny, later + "f(1)")[0].endswith(", 8)")  # imported before the edit
    assert run(tiny, "f(1)") == ("4", LINE)


def test_the_compilers_settings_have_code_of_their_own(tiny):
    assert run(tiny, "f(1)") == ("4", LINE)
    assert run(tiny, "f(1)", NUMBA_BOUNDSCHECK="1") == ("4", LINE)
    assert run(tiny, "f(1)", NUMBA_CPU_NAME="generic") == ("4", LINE)
    assert run(tiny, "f(1)") == ("4", "")


def test_two_processes_at_once(tiny):
    first, second = start(tiny, "f(1), f(2.0)"), start(tiny, "f(2.0), f(1j), f(1)")
    assert finish(first)[0] == "(4, 6.0)"
    assert finish(second)[0] == "(6.0, (2+2j), 4)"
    assert run(tiny, "f(1), f(2.0), f(1j)") == ("(4, 6.0, (2+2j))", "")
    assert not list(tiny.parent.parent.rglob("*.tmp"))


def test_damaged_files_are_made_anew(tiny):
    assert run(tiny, "f(1)") == ("4", LINE)
    for path in (tiny.parent.parent / "cache").glob("kernels-*/*"):
        path.write_bytes(path.read_bytes()[:-100])
    assert run(tiny, "f(1)") == ("4", LINE)
    assert run(tiny, "f(1)") == ("4", "")


def test_a_place_that_cannot_be_written(tiny, tmp_path):
    (tmp_path / "file").touch()
    for _ in range(2):
        out, err = run(tiny, "f(1), f(1.0)", NUMBA_CACHE_DIR=str(tmp_path / "file" / "below"))
        assert out == "(4, 4.0)"
        assert err.startswith(LINE)
        assert err.count("\n") == 2
        assert "set NUMBA_CACHE_DIR" in err


def test_a_filled_place_that_can_only_be_read(tiny):
    assert run(tiny, "f(1)") == ("4", LINE)
    (folder,) = (tiny.parent.parent / "cache").glob("kernels-*")
    folder.chmod(0o500)
    try:
        assert run(tiny, "f(1)") == ("4", "")
    finally:
        folder.chmod(0o700)


def test_others_keep_their_own_place(tiny):
    out, err = run(
        tiny, "foreign(1), foreign.stats.cache_path, __import__('numba').config.CACHE_DIR"
    )
    assert out == str((1, str(tiny / "__pycache__"), ""))
    assert err == ""


def test_without_the_compiler(tiny):
    what = "f(1), f.__class__.__name__, total([1, 2])"
    assert run(tiny, what, NUMBA_DISABLE_JIT="1") == ("(4, 'function', 3)", "")


def test_only_the_last_used_states_are_kept(tiny, tmp_path):
    cache = tmp_path / "numba"
    states = [cache / f"kernels-{number:032x}" for number in range(jit.KEPT + 5)]
    for age, state in enumerate(reversed(states), 1):
        state.mkdir(parents=True)
        (state / "code").touch()
        os.utime(state, (10**9 - age, 10**9 - age))
    other = cache / "kernels-of-another-program"
    other.mkdir()
    assert run(tiny, "f(1)", NUMBA_CACHE_DIR=str(cache)) == ("4", LINE)
    assert other.exists()
    assert [state for state in states if state.exists()] == states[-jit.KEPT + 1 :]

    (own,) = set(cache.glob("kernels-*")) - {*states, other}
    os.utime(own, (0, 0))
    assert run(tiny, "f(1)", NUMBA_CACHE_DIR=str(cache)) == ("4", "")
    assert own.stat().st_mtime > 10**9  # marked as used


def test_the_place(tmp_path, monkeypatch):
    monkeypatch.setattr(jit.config, "CACHE_DIR", "")
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "ours"))
    assert jit.place() == tmp_path / "ours"
    monkeypatch.setattr(jit.config, "CACHE_DIR", str(tmp_path / "numba's"))
    assert jit.place() == tmp_path / "numba's"
