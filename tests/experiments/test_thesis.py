"""The thesis experiment as a whole, at the smallest sizes that work."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from small import write_data

import minicnn.train
from minicnn.experiments import claims, comparison_tables, stages
from minicnn.experiments.__main__ import main
from minicnn.experiments.thesis import main as thesis


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Two epochs of SqueezeNet; the others want images that are too large for quick tests."""
    data = write_data(tmp_path_factory.mktemp("ham") / "data")
    given = ["--networks", "squeezenet", "--size", "32x32", "--epochs", "2", "--threads", "1"]
    return ["--data", str(data), *given]


@pytest.fixture(scope="module")
def out(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("thesis") / "whole"
    assert main(["thesis", *flags, "--out", str(folder)]) == 0
    return folder


def comparison(folder):
    return json.loads((folder / "comparison.json").read_text())


def test_the_comparison_is_that_of_the_run_folders(out):
    each = comparison(out)["networks"]["squeezenet"]
    assert each["thesis"]["top1"] == 0.5056 and each["thesis"]["size"] == [450, 600]
    here = each["here"]
    last = json.loads((out / "squeezenet" / "metrics.jsonl").read_text().splitlines()[-1])
    assert (here["epochs"], here["size"], here["parameters"]) == (2, [32, 32], 726_087)
    assert here["test"]["top1"] == last["test"]["top1"]
    assert here["train"]["top1"] == last["train"]["top1"]
    quality = json.loads((out / "squeezenet" / "export.json").read_text())["quality"]
    assert [here["int8"][top] for top in ("top1", "top2", "top3")] == quality["top"]["int8"]
    int8 = out / "squeezenet" / "model_int8.tflite"
    assert here["int8_bytes"] == int8.stat().st_size
    config = json.loads((out / "squeezenet" / "config.json").read_text())
    assert (config["recipe"], config["split"], config["undersample"]) == ("thesis", "image", 0.75)


def test_every_picture_and_page_is_there(out):
    for name in ("accuracy", "size", "squeezenet", "squeezenet/confusion"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for run in ("squeezenet", "squeezenet-pruned"):
        for name in ("report.html", "model_int8.tflite", "export.json"):
            assert (out / run / name).exists()
    page = (out / "comparison.html").read_text()
    assert page.count("data:image/png;base64,") == 4  # bars, curves, confusion
    assert "http" not in page.replace("http-equiv", "")


def test_every_figure_stands_beside_its_epochs_and_size(out):
    text = (out / "comparison.md").read_text()
    assert "| squeezenet | thesis | 100 | 450x600 | 50.56% | 73.71% | 87.11% |" in text
    assert "| squeezenet | here | 2 | 32x32 |" in text
    assert "| squeezenet | 2 | 32x32 |" in text  # pruned and int8


def test_the_same_command_again_does_nothing_anew(flags, out, capsys):
    before = {path: path.stat().st_mtime_ns for path in out.glob("squeezenet*/*")}
    assert thesis([*flags, "--out", str(out)]) == 0
    assert {path: path.stat().st_mtime_ns for path in out.glob("squeezenet*/*")} == before
    printed = capsys.readouterr().out
    assert "trained already: 2 epochs" in printed and "pruned already" in printed


@pytest.mark.parametrize(
    "wanted",
    [
        "squeezenet/metrics.jsonl",
        pytest.param("squeezenet-pruned/last.npz", marks=pytest.mark.slow),
        pytest.param("squeezenet-pruned/export.json", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_to_the_same_comparison(flags, out, tmp_path, wanted):
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "minicnn.experiments", "thesis", *flags, "--out", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not (folder / wanted).exists() and process.poll() is None:
        assert time.monotonic() < deadline, "the run did not get going"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "comparison.json").exists()
    assert thesis([*flags, "--out", str(folder)]) == 0
    assert comparison(folder) == comparison(out)


def test_all_networks_have_one_split(flags, tmp_path, monkeypatch, capsys):
    sides = iter((["a", "b"], ["a", "c"]))
    monkeypatch.setattr(stages, "tested_names", lambda config: next(sides))
    given = [*flags, "--networks", "squeezenet,alexnet", "--size", "32x32,alexnet=215x215"]
    assert thesis([*given, "--out", str(tmp_path / "run")]) == 2
    assert "alexnet would be tested on other images than squeezenet" in capsys.readouterr().err


def test_a_stop_is_passed_on(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(minicnn.train, "main", lambda argv: 130)
    assert thesis([*flags, "--out", str(tmp_path / "run")]) == 130
    assert "the same command goes on" in capsys.readouterr().out


def test_a_stage_that_was_cut_short_is_done_again(flags, out, tmp_path):
    """Without export.json, the file of an export that is written last, the export is not done."""
    folder = tmp_path / "copy"
    shutil.copytree(out, folder)
    (folder / "squeezenet" / "export.json").unlink()
    assert not stages._exported(folder / "squeezenet")
    assert stages._exported(folder / "squeezenet-pruned")


def test_a_folder_serves_one_plan(flags, out, capsys):
    assert thesis([*flags, "--epochs", "3", "--out", str(out)]) == 2
    assert "another --epochs" in capsys.readouterr().err


def test_a_mistyped_folder_does_not_claim_the_place(flags, tmp_path, capsys):
    run = tmp_path / "run"
    wrong = ["--data", str(tmp_path / "nosuch"), *flags[2:], "--out", str(run)]
    assert thesis(wrong) == 2
    assert "no such folder" in capsys.readouterr().err
    assert not run.exists()


def test_a_damaged_plan_is_named(flags, tmp_path, capsys):
    (tmp_path / "plan.json").write_text("{")
    assert thesis([*flags, "--out", str(tmp_path)]) == 2
    assert "plan.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--budget", "nan"], "--budget nan: wanted minutes above 0"),
        (["--budget", "-5"], "--budget -5: wanted minutes above 0"),
        (["--budget", "inf"], "--budget inf: wanted minutes above 0"),
        (["--threads", "0"], "--threads 0: wanted a whole number of at least 1"),
    ],
)
def test_bad_numbers_are_told_before_anything_is_timed(flags, tmp_path, capsys, extra, says):
    assert thesis([*flags, *extra, "--out", str(tmp_path / "run")]) == 2
    out, error = capsys.readouterr()
    assert says in error and "timing" not in out


def test_a_place_that_is_a_file(flags, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert thesis([*flags, "--out", str(tmp_path / "file")]) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_a_plan_is_printed_and_nothing_begun(flags, tmp_path, capsys):
    run = tmp_path / "run"
    assert thesis([*flags, "--plan", "--out", str(run)]) == 0
    assert "cut: squeezenet: epochs 100 -> 2" in capsys.readouterr().out
    assert not run.exists()


def test_a_budget_is_measured_and_kept(flags, tmp_path, capsys):
    given = [*flags, "--epochs", "1000000", "--budget", "2", "--plan", "--out", str(tmp_path / "x")]
    assert thesis(given) == 0
    line = next(s for s in capsys.readouterr().out.splitlines() if s.startswith("all"))
    minutes = float(line.split()[1])
    assert 0 < minutes <= 1.8


def test_a_budget_that_holds_no_epoch_is_refused(flags, tmp_path, capsys):
    assert thesis([*flags, "--budget", "0.0001", "--out", str(tmp_path / "run")]) == 2
    assert "takes about" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_does_not_fit_is_told_before_hours_of_work(flags, tmp_path, capsys):
    networks = ["--networks", "squeezenet,deepsqueeze"]
    assert thesis([*flags, *networks, "--out", str(tmp_path / "run")]) == 2
    assert "smallest side that works is 255" in capsys.readouterr().err


def test_a_network_that_is_not_finished_has_its_row(out):
    networks = comparison(out)["networks"]
    networks["alexnet"] = {"thesis": dict(vars(claims.CLAIMS["alexnet"])), "here": None}
    networks["alexnet"]["thesis"] |= {"epochs": 100, "size": [450, 600]}
    text = "\n".join(
        map(comparison_tables.markdown, comparison_tables.tables({"networks": networks}))
    )
    assert "| alexnet | thesis | 100 | 450x600 | 54.21% |" in text
    assert "| alexnet | here | none yet |" in text


def test_an_unknown_experiment_is_one_line_and_help_lists_them(capsys):
    assert main(["breadth"]) == 2
    error = capsys.readouterr().err
    assert "thesis, depth, release" in error and error.count("\n") == 1
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("thesis", "depth", "release"))
