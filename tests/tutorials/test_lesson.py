"""Blanks: which forms are noticed, what takes their place, and what a reader is shown."""

from pathlib import Path

import numpy as np
import pytest

import lesson
from lesson import StillBlank

TUTORIAL = str(Path(lesson.__file__).with_name("01_convolution.py"))


def returned(x):
    return ...


def in_a_pair(x):
    return 1, ...


def unpacked(x):
    a, b = ...
    return a + b


def computed(x):
    return 2 * ...


def indexed(x):
    return x[...].sum() * ...


def added(x):
    x[0] += ...
    return x


def nothing(x):
    x + 1


@pytest.mark.parametrize("blank", [returned, in_a_pair, unpacked, computed, indexed, added])
def test_a_call_of_a_function_with_its_blank_says_so(blank):
    asked = lesson.answer("softmax", blank, lambda x: x)
    with pytest.raises(StillBlank, match="`softmax` still has its blank"):
        asked(np.zeros(3))


def test_a_value_that_is_blank_is_noticed_at_once():
    with pytest.raises(StillBlank, match="`scale` still has its blank"):
        lesson.answer("scale", ..., 0.5)
    assert lesson.answer("scale", 0.25, 0.5) == 0.25


def test_a_forgotten_return_is_named():
    with pytest.raises(StillBlank, match="is a `return` missing"):
        lesson.answer("softmax", nothing, nothing)(1)


def test_other_errors_of_a_student_stay_what_they_are():
    with pytest.raises(TypeError, match="unsupported operand"):
        lesson.answer("softmax", lambda x: x + None, nothing)(1)


@pytest.mark.parametrize("wanted", ["all", "scale", "softmax,scale"])
def test_solutions_by_the_environment(monkeypatch, wanted):
    monkeypatch.setenv("MINICNN_SOLUTIONS", wanted)
    assert lesson.answer("scale", ..., 0.5) == 0.5
    with monkeypatch.context() as context:
        context.setenv("MINICNN_SOLUTIONS", "softmax")
        with pytest.raises(StillBlank):
            lesson.answer("scale", ..., 0.5)


def test_the_folder_of_photographs_by_flag_or_environment(monkeypatch):
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    assert lesson.folder() is None
    monkeypatch.setenv("MINICNN_DATA", "somewhere")
    assert lesson.folder() == "somewhere"
    monkeypatch.setattr("sys.argv", [TUTORIAL, "--data", "elsewhere"])
    assert lesson.folder() == "elsewhere"
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    assert lesson.folder() == "somewhere"


def test_a_folder_that_is_not_there_is_a_message(monkeypatch):
    monkeypatch.setattr("sys.argv", [TUTORIAL, "--data", "nowhere"])
    with pytest.raises(lesson.Message, match="no such folder: nowhere"):
        lesson.photographs()


@pytest.mark.parametrize(
    ("flags", "says"),
    [(["--solution", "x"], "unrecognized arguments: x"), (["--data"], "expected one argument")],
)
def test_a_mistyped_flag_ends_a_script_before_it_computes(monkeypatch, capsys, flags, says):
    monkeypatch.setattr("sys.argv", [TUTORIAL, *flags])
    with pytest.raises(SystemExit) as ended:
        lesson.folder()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_notebook_shows_the_message_and_no_traceback():
    assert StillBlank("fill it in")._render_traceback_() == ["fill it in"]


def test_a_picture_is_a_png_of_the_tutorials_name(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lesson, "PICTURES", tmp_path / "pictures")
    figure = lesson.figure(2, 1)
    figure.subplots().plot([0, 1])
    lesson.show(figure, "01_convolution")
    written = tmp_path / "pictures" / "01_convolution.png"
    assert written.read_bytes().startswith(b"\x89PNG")
    assert str(written) in capsys.readouterr().out
