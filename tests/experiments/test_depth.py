"""The depth experiment as a whole: what it finds, what it writes, that it goes on."""

import json

import pytest
from small import write_data

from minicnn.experiments import trials
from minicnn.experiments.__main__ import main


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """SqueezeNet on a few small images, and a few steps of every training."""
    data = write_data(tmp_path_factory.mktemp("ham") / "data")
    given = ["--data", str(data), "--size", "40x40", "--steps", "3", "--threads", "1"]
    return ["depth", "squeezenet", *given]


@pytest.fixture(scope="module")
def out(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("depth") / "whole"
    assert main([*flags, "--out", str(folder)]) == 0
    return folder


def test_the_thesis_start_loses_the_signal_and_ours_keeps_it(out):
    signals = json.loads((out / "depth.json").read_text())["signals"]["squeezenet"]
    thesis, ours = (signals[name] for name in (trials.THESIS, trials.OURS))
    assert thesis[-2]["between"] < 0.01 * thesis[0]["between"]
    assert ours[-2]["between"] > 0.3 * ours[0]["between"]
    assert thesis[0]["gradient"] < 0.01 * thesis[-2]["gradient"]
    assert all(row["update"] < 1e-6 for row in thesis)
    assert all(row["update"] > 1e-4 for row in ours)
    assert all(0 <= row[key] <= 1 for row in thesis + ours for key in ("dead", "changed"))


def test_every_single_change_is_trained(out):
    found = json.loads((out / "depth.json").read_text())["trials"]
    assert [trial["name"] for trial in found] == list(trials.TRIALS)
    assert len(trials.TRIALS) == 6 and len(trials.TRIALS[trials.OURS]) == 4
    for trial in found:
        assert len(trial["excess"]) == 3
        assert [step for step, _ in trial["spreads"]] == [0, 1, 2, 3]
    thesis, *_, ours = (trial["spreads"][0][1] for trial in found)
    assert ours > 100 * thesis  # before any training


def test_the_report_and_its_picture(out):
    text = (out / "depth.md").read_text()
    for name in trials.TRIALS:
        assert f"| {name} |" in text
    assert "free" in text and "fire9" in text
    assert (out / "depth.png").read_bytes().startswith(b"\x89PNG")


def test_it_goes_on_where_it_was(flags, out, tmp_path, monkeypatch):
    """Ended by Ctrl-C in the third training, it ends with the same figures."""
    again, trained = tmp_path / "again", []
    run = trials.run

    def interrupted(setting, *rest):
        trained.append(setting.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return run(setting, *rest)

    monkeypatch.setattr(trials, "run", interrupted)
    assert main([*flags, "--out", str(again)]) == 130
    assert main([*flags, "--out", str(again)]) == 0
    assert len(trained) == 7  # the third one twice
    for name in ("depth.json", "depth.md"):
        assert (again / name).read_text() == (out / name).read_text()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["depth", "resnet"], "squeezenet"),
        (["depth", "--steps", "0"], "at least 1"),
        (["breadth"], "thesis, depth, release"),
    ],
)
def test_mistakes_are_one_line(given, problem, capsys):
    assert main(given) == 2
    error = capsys.readouterr().err
    assert problem in error and error.count("\n") == 1


def test_a_folder_of_other_settings_is_refused(flags, out, capsys):
    assert main([*flags, "--steps", "4", "--out", str(out)]) == 2
    assert "another steps" in capsys.readouterr().err
