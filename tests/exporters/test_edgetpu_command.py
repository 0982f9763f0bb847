"""``python -m exporters.edgetpu`` and the compiler beside it, which is a script made here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import small_int8
from edgetpu_changes import output

from exporters.edgetpu import compiler
from exporters.edgetpu.__main__ import main
from exporters.flatbuffer import write

SUCCESS = """#!/bin/sh
echo "Edge TPU Compiler version 0 (a fake, for a test)"
echo "$@" > {seen}
echo "Number of operations that will run on CPU: {cpu}"
while [ "$1" != "-o" ]; do shift; done
: > "$2/model_edgetpu.tflite"
"""
FAILURE = """#!/bin/sh
echo "Internal compiler error. Aborting! (a fake, for a test)"
exit 1
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "some model.tflite"
    write(path, small_int8.net())
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first folder of PATH, where a test may put its compiler; the real one is out of reach."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))
    if shutil.which(compiler.NAME):
        pytest.skip("edgetpu_compiler is installed among the system's own commands")
    return folder


def put(folder: Path, script: str) -> None:
    path = folder / compiler.NAME
    path.write_text(script)
    path.chmod(0o755)


def test_it_says_what_it_did_not_do(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(model)]) == 0
    text = capsys.readouterr().out
    assert "edgetpu_compiler was not run: this is a structural check" in text
    assert "all 18 operations would map" in text
    assert "an estimate, not a measurement" in text
    assert text.isascii()


def test_what_does_not_map_is_status_1(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = small_int8.net()
    output(graph, "SOFTMAX").signature = (1, -1)
    write(tmp_path / "a.tflite", graph)
    assert main([str(tmp_path / "a.tflite")]) == 1
    text = capsys.readouterr().out
    assert "refused [static-shape] softmax: has the shape_signature (1, -1)" in text
    assert "the compiler would refuse this file" in text
    assert "nothing maps" in text


def test_json_has_everything(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(model), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["mapped"] and values["compiler"] is None
    assert len(values["operations"]) == 18 and values["operations"][0]["mapped"]
    assert values["estimate"]["ms"] > 0
    assert "median error" in values["estimate_error"]


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\x00\x00\x00TFL3"])
def test_a_file_of_another_kind_is_status_2(
    content: bytes, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_wrong_arguments_are_status_2(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(model), "--compiler-timeout", "-1"]) == 2
    assert main([]) == 2
    assert "wanted seconds above 0" in capsys.readouterr().err


def test_a_fake_compiler_is_run_and_reported(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder, SUCCESS.format(seen=tmp_path / "seen", cpu=0))
    assert main([str(model), "--compiler-timeout", "20"]) == 0
    text = capsys.readouterr().out
    assert "edgetpu_compiler was run as well" in text
    assert "edgetpu_compiler compiled the file; its log:" in text
    assert "version 0 (a fake, for a test)" in text
    assert (tmp_path / "seen").read_text().startswith("-s -t 20 -o ")
    assert not list(model.parent.glob("*_edgetpu*"))


def test_a_fake_compiler_that_leaves_operations_to_the_cpu_is_status_1(
    model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder, SUCCESS.format(seen=tmp_path / "seen", cpu=3))
    assert main([str(model)]) == 1
    assert "left 3 operations to the CPU" in capsys.readouterr().out


def test_a_fake_compiler_that_fails_is_status_1(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder, FAILURE)
    assert main([str(model)]) == 1
    text = capsys.readouterr().out
    assert "edgetpu_compiler did not compile the file" in text
    assert "Internal compiler error. Aborting!" in text


def test_a_fake_compiler_that_hangs_is_stopped(folder: Path) -> None:
    put(folder, "#!/bin/sh\necho begun\nexec sleep 60\n")
    run = compiler.run(b"", seconds=0.2, grace=0)
    assert run is not None and not run.succeeded
    assert "begun" in run.log and "stopped after 0.2 s" in run.log


def test_a_fake_compiler_that_cannot_run_is_reported(folder: Path) -> None:
    put(folder, "")
    (folder / compiler.NAME).write_bytes(b"\x7fELF no program")
    run = compiler.run(b"")
    assert run is not None and not run.succeeded
    assert "does not run" in run.log


@pytest.mark.skipif(shutil.which(compiler.NAME) is None, reason="edgetpu_compiler is not on PATH")
def test_the_real_compiler_takes_what_the_check_takes(model: Path) -> None:
    run = compiler.run(model.read_bytes())
    assert run is not None
    assert run.succeeded, run.log
    assert run.on_cpu == 0, run.log
