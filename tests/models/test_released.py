"""The weights that come with the project: complete, small, and what their card says they are."""

import dataclasses
import json
import re

import numpy as np
import pytest
from small import PHOTOGRAPHS

import models
from exporters import edgetpu
from exporters.dump import main as dump
from exporters.edgetpu.__main__ import main as edgetpu_command
from exporters.read import read
from exporters.tflite import main as export
from minicnn import checkpoint, preparation, runtime, trained
from minicnn.data import synthetic
from minicnn.evaluate import main as evaluate
from minicnn.experiments.release import LARGEST
from minicnn.predict import main as predict
from minicnn.prune import main as prune

CARD = models.WEIGHTS / "README.md"
INT8 = "squeezenet_int8.tflite"
# | `python -m minicnn.evaluate squeezenet --data DIR ...` | top-1 | top-3 | balanced accuracy |
ROW = re.compile(
    r"`python -m minicnn\.evaluate ([^`]+)` \| ([\d.]+)[^|]*\| ([\d.]+)[^|]*\| ([\d.]+)"
)


def photographs():
    if not PHOTOGRAPHS.is_dir():
        pytest.skip(f"no photographs at {PHOTOGRAPHS}: set MINICNN_HAM10000 to HAM10000's folder")
    return PHOTOGRAPHS


def test_the_network_is_whole_and_nothing_else():
    net = models.pretrained("squeezenet")
    assert net.count_params() == 726_087
    assert {param.value.dtype for param in net.named_params().values()} == {np.dtype(np.float32)}
    state = checkpoint.load(models.WEIGHTS / "squeezenet.npz")
    assert not state.slots and not state.epoch
    files = list(models.WEIGHTS.iterdir())
    assert sum(file.stat().st_size for file in files) <= LARGEST
    lesions = (models.WEIGHTS / "squeezenet_test_lesions.txt").read_text().split()
    assert len(lesions) == len(set(lesions)) > 1000


def test_the_edge_tpu_would_take_all_of_the_file():
    verdict = edgetpu.check(read(models.WEIGHTS / INT8))
    assert not verdict.refused and verdict.mapped and not verdict.findings
    assert len(verdict.operations) == 42


def test_float_and_int8_agree():
    ours = trained.load("squeezenet")
    x = synthetic.generate(count=50, size=ours.size, seed=1).images
    p, q = ours.probabilities(x), runtime.load(INT8).probabilities(x)
    assert p.argmax(axis=1).tolist() != [5] * len(x)  # or agreeing were easy
    assert (p.argmax(axis=1) == q.argmax(axis=1)).mean() >= 0.9
    assert np.abs(p - q).mean() < 0.02


def test_predict_knows_them_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    synthetic.write_folder(tmp_path / "data", synthetic.generate(count=14, size=(64, 64), seed=1))
    image = str(next(tmp_path.rglob("*.png")))
    for name in ("squeezenet", INT8):
        assert predict([name, image, "--json"]) == 0
        (answer,) = json.loads(capsys.readouterr().out)
        assert {top["class"] for top in answer["top"]} <= set(trained.load("squeezenet").classes)


def test_the_card_says_what_a_user_must_know():
    card = CARD.read_text(encoding="utf-8")
    for needed in ("CC BY-NC", "not for diagnosis", "seed 0", "squeezenet_test_lesions.txt"):
        assert needed in card, needed
    assert len(ROW.findall(card)) >= 3


@pytest.mark.parametrize("command", [evaluate, export, prune])
def test_what_needs_their_photographs_says_so(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert command(["squeezenet"]) == 2
    error = capsys.readouterr().err
    assert "was trained on HAM10000, which is not there: say with --data DIR" in error
    assert not list(tmp_path.iterdir())


def test_every_command_for_files_knows_the_int8_one_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert edgetpu_command([INT8]) == 0 and "all 42 operations" in capsys.readouterr().out
    assert dump([INT8]) == 0 and "775,747 bytes" in capsys.readouterr().out


@pytest.mark.slow
def test_they_are_exported_and_pruned_like_any_run(tmp_path, monkeypatch, capsys):
    data = ["--data", str(photographs())]
    monkeypatch.chdir(tmp_path)
    assert export(["squeezenet", *data]) == 0
    assert (tmp_path / "model_int8.tflite").exists()
    assert prune(["squeezenet", *data, "--scan", "--images", "7"]) == 0
    assert (tmp_path / "runs" / "squeezenet-sensitivity" / "sensitivity.png").exists()


@pytest.mark.slow
def test_the_cards_figures_are_measured(tmp_path, monkeypatch, capsys):
    data = photographs()
    monkeypatch.chdir(tmp_path)
    for command, *figures in ROW.findall(CARD.read_text(encoding="utf-8")):
        words = command.replace("DIR", str(data)).split()
        assert evaluate([*words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        measured = [found[name] for name in ("top1", "top3", "balanced_accuracy")]
        # an image in a thousand may fall otherwise where another processor adds in another order
        assert measured == pytest.approx([float(f) for f in figures], abs=0.002), command


@pytest.mark.slow
def test_the_listed_lesions_are_those_of_the_split():
    config = dataclasses.replace(trained.load("squeezenet").config, data=str(photographs()))
    prepared = preparation.prepare(config)
    held_out = set(prepared.dataset.lesions[prepared.test])
    listed = (models.WEIGHTS / "squeezenet_test_lesions.txt").read_text().split()
    assert set(listed) == held_out
    assert not held_out & set(prepared.dataset.lesions[prepared.train])
