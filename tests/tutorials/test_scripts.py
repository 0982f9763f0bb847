"""Every tutorial as its reader runs it: with the solutions in, and with each blank left empty."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checks import compare

FOLDER = Path(compare.__file__).parents[1]
SCRIPTS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
ASKS = re.compile(r'lesson\.answer\(\s*"(\w+)"')
CODE_CELL = re.compile(r"^# %%(?! \[markdown\])", re.MULTILINE)
SECONDS = 900  # something hangs; each takes about a minute on two quiet cores


def blanks(script: Path) -> list[str]:
    return ASKS.findall(script.read_text())


def run(script: Path, solved: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "MINICNN_SOLUTIONS": solved, "MINICNN_DATA": ""}
    # elsewhere than the checkout: a reader's working folder can be any
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def test_there_are_tutorials_and_each_has_one_to_three_blanks_and_few_cells():
    assert SCRIPTS
    for script in SCRIPTS:
        assert 1 <= len(blanks(script)) <= 3, script.name
        assert len(CODE_CELL.findall(script.read_text())) <= 12, script.name


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_runs_with_the_solutions_and_ends_with_a_picture_and_a_number(script):
    begin = time.time()
    done = run(script, "all")
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.strip().splitlines()
    assert re.match(r"\S*\d\S*  \w", last), last
    picture = FOLDER / "pictures" / f"{script.stem}.png"
    assert picture.stat().st_mtime >= begin - 1
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "blank"),
    [(script, blank) for script in SCRIPTS for blank in blanks(script)],
    ids=lambda value: value.stem[:2] if isinstance(value, Path) else value,
)
def test_an_empty_blank_stops_with_a_friendly_message(script, blank):
    others = ",".join(name for name in blanks(script) if name != blank)
    done = run(script, others or "none")
    assert done.returncode == 1
    assert f"`{blank}` still has its blank" in done.stderr
    assert "Traceback" not in done.stderr
