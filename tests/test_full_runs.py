"""Runs at full length, as a user starts them; they take minutes."""

import json
import re

import pytest
from small import PHOTOGRAPHS

from minicnn.evaluate import main as evaluate
from minicnn.predict import main as predict
from minicnn.train import main


def last_row(run):
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def agreement(said):
    """The share of test images on which int8 and float32 agree, from the printed report."""
    return float(re.search(r"same answer on ([\d.]+)%", said)[1]) / 100


@pytest.mark.slow
def test_the_first_command_learns_the_generated_set(tmp_path, capsys):
    assert main(["squeezenet", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "42 of 42 operations map" in said
    assert agreement(said) >= 0.97
    tested = last_row(tmp_path / "run")["test"]
    assert 0.50 <= tested["majority_baseline"] <= 0.60
    assert tested["balanced_accuracy"] >= 0.75


@pytest.mark.slow
def test_photographs_train_evaluate_and_predict(tmp_path, capsys):
    if not PHOTOGRAPHS.is_dir():
        pytest.skip(f"no photographs at {PHOTOGRAPHS}: set MINICNN_HAM10000 to HAM10000's folder")
    run = str(tmp_path / "run")
    flags = ["--data", str(PHOTOGRAPHS), "--size", "56x75", "--epochs", "3", "--out", run]
    assert main(["squeezenet", *flags]) == 0
    assert agreement(capsys.readouterr().out) >= 0.95  # three epochs leave many answers close
    tested = last_row(tmp_path / "run")["test"]
    assert tested["balanced_accuracy"] > 0.2  # guessing, and the nv trap, earn 0.143
    assert evaluate([run]) == 0
    assert f"balanced accuracy {tested['balanced_accuracy']:.3f}" in capsys.readouterr().out
    photograph = next((PHOTOGRAPHS / "HAM10000_images_part_1").glob("*.jpg"))
    assert predict([run, str(photograph)]) == 0
    assert photograph.name in capsys.readouterr().out
    file = str(tmp_path / "run" / "model_int8.tflite")
    assert evaluate([file]) == 0
    assert "test images, split by lesion" in capsys.readouterr().out
    assert predict([file, str(photograph)]) == 0
    assert photograph.name in capsys.readouterr().out
