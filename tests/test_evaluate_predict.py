"""evaluate and predict on a finished run, as a user calls them."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from small import CLASSES, train, write_data

from exporters.flatbuffer import write
from exporters.read import read
from minicnn import checkpoint, preparation, trained
from minicnn.compress.simulate import Simulator
from minicnn.evaluate import main as evaluate
from minicnn.predict import main as predict


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("ham") / "data")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train(data, out, export=True) == 0
    return out


def last_row(run):
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


@pytest.fixture(scope="module")
def file(run):
    pytest.importorskip("ai_edge_litert")
    return run / "model_int8.tflite"


def as_json(capsys, command, *argv):
    assert command([*map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_evaluate_repeats_the_figures_of_training(run, capsys):
    figures = as_json(capsys, evaluate, run)
    tested = last_row(run)["test"]
    for key in ("images", "top1", "top2", "top3", "balanced_accuracy", "confusion"):
        assert figures[key] == tested[key], key
    assert np.isclose(figures["loss"], tested["loss"], rtol=1e-6)


def test_evaluate_prints_a_table_and_draws_the_confusion_matrix(run, capsys):
    assert evaluate([str(run)]) == 0
    out = capsys.readouterr().out
    balanced = last_row(run)["test"]["balanced_accuracy"]
    assert f"balanced accuracy {balanced:.3f}" in out
    assert "majority baseline" in out
    for name in CLASSES:
        assert any(line.startswith(name) for line in out.splitlines())
    assert (run / "last-evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_takes_all_images_of_another_folder(run, tmp_path, capsys):
    other = write_data(tmp_path / "other", count=90)
    figures = as_json(capsys, evaluate, run, "--data", other)
    assert figures["images"] == 90


def test_evaluate_takes_the_test_side_of_its_own_folder(run, data, capsys):
    own = as_json(capsys, evaluate, run, "--data", data)
    everything = as_json(capsys, evaluate, run, "--data", data, "--split", "all")
    assert own["images"] == last_row(run)["test"]["images"] < everything["images"] == 120


def test_data_that_moved_is_still_the_runs_own(run, data, tmp_path, capsys):
    moved = shutil.copytree(data, tmp_path / "elsewhere")
    own = as_json(capsys, evaluate, run, "--data", data)
    there = as_json(capsys, evaluate, run, "--data", moved)
    assert there["images"] == own["images"] < 120 and there["confusion"] == own["confusion"]
    assert as_json(capsys, evaluate, run, "--data", moved, "--split", "all")["images"] == 120
    next((moved / "HAM10000_images_part_1").iterdir()).rename(moved / "aside.jpg")
    assert as_json(capsys, evaluate, run, "--data", moved, "--skip-bad")["images"] == 119


def test_evaluate_refuses_the_test_side_of_a_foreign_folder(run, tmp_path, capsys):
    other = write_data(tmp_path / "other", count=90)
    assert evaluate([str(run), "--data", str(other), "--split", "test"]) == 2
    assert "not what the run was trained on" in capsys.readouterr().err


def test_evaluate_maps_classes_by_name(run, tmp_path, capsys):
    """A folder with only some of the classes: labels must mean what they meant in training."""
    for name in ("mel", "vasc"):
        (tmp_path / "some" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (90, 60, 50)).save(tmp_path / "some" / name / "a.png")
    confusion = np.array(as_json(capsys, evaluate, run, "--data", tmp_path / "some")["confusion"])
    assert confusion.shape == (7, 7)
    assert confusion.sum(axis=1).tolist() == [0, 0, 0, 0, 1, 0, 1]


def test_a_file_without_momentum_serves_everything_but_resume(run, data, tmp_path, capsys):
    from minicnn.train import main as train_main

    state = checkpoint.load(run / "last.npz")
    state.slots = {}
    lean = tmp_path / "run" / "last.npz"
    lean.parent.mkdir()
    checkpoint.save(lean, state)
    assert as_json(capsys, evaluate, lean)["images"] == last_row(run)["test"]["images"]
    picture = next((data / "HAM10000_images_part_1").iterdir())
    assert len(as_json(capsys, predict, lean, picture)) == 1
    assert train_main(["--resume", str(lean.parent), "--epochs", "9"]) == 2
    assert "cannot be resumed" in capsys.readouterr().err


def test_predict_gives_the_top_three_with_probabilities(run, data, capsys):
    pictures = sorted((data / "HAM10000_images_part_1").iterdir())[:2]
    answers = as_json(capsys, predict, run, *pictures)
    assert [answer["image"] for answer in answers] == [str(p) for p in pictures]
    for answer in answers:
        values = [top["probability"] for top in answer["top"]]
        assert len(values) == 3 and values == sorted(values, reverse=True)
        assert 0 < sum(values) <= 1.00001
        assert {top["class"] for top in answer["top"]} <= set(CLASSES)
        assert answer["runtime"].startswith("minicnn") and answer["latency_seconds"] > 0


def test_predict_agrees_with_evaluate(run, data, capsys):
    """One image a class through both: the same answers."""
    pictures = sorted((data / "HAM10000_images_part_1").iterdir())
    answers = as_json(capsys, predict, run, *pictures)
    confusion = np.array(as_json(capsys, evaluate, run, "--split", "all")["confusion"])
    named = [answer["top"][0]["class"] for answer in answers]
    assert [named.count(name) for name in CLASSES] == confusion.sum(axis=0).tolist()


def test_predict_takes_any_size_and_kind_of_picture(run, tmp_path, capsys):
    Image.new("L", (500, 300), 120).save(tmp_path / "grey.jpg")
    Image.new("RGBA", (31, 77), (200, 150, 120, 255)).save(tmp_path / "clear.png")
    assert predict([str(run), str(tmp_path / "grey.jpg"), str(tmp_path / "clear.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(".jpg:" in line or ".png:" in line for line in lines) == 2


def test_predict_names_a_picture_that_cannot_be_read(run, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert predict([str(run), str(tmp_path / "broken.jpg")]) == 2
    captured = capsys.readouterr()
    assert "broken.jpg cannot be read" in captured.err and not captured.out


# --- a .tflite file in place of a run


def test_a_file_in_a_run_folder_is_tested_on_the_runs_own_test_images(run, file, capsys):
    floats = as_json(capsys, evaluate, run)
    figures = as_json(capsys, evaluate, file)
    assert (figures["set"], figures["images"]) == (floats["set"], floats["images"])
    assert np.sum(figures["confusion"], axis=1).tolist() == (
        np.sum(floats["confusion"], axis=1).tolist()
    )
    assert abs(figures["loss"] - floats["loss"]) < 0.05
    assert figures["runtime"].startswith("ai-edge-litert") and figures["latency_seconds"] > 0
    assert (run / "model_int8-evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_flips_of_a_file(run, file, capsys):
    floats, int8 = as_json(capsys, evaluate, run, "--flips"), as_json(capsys, evaluate, file)
    flipped = as_json(capsys, evaluate, file, "--flips")
    assert abs(flipped["loss"] - floats["loss"]) < 0.05 and flipped["loss"] != int8["loss"]
    assert flipped["confusion_png"] == str(run / "model_int8-evaluation-flips.png")


def test_the_simulator_gives_the_figures_the_export_measured(run, file, capsys):
    figures = as_json(capsys, evaluate, file, "--runtime", "simulator")
    prepared = preparation.prepare(trained.load(run).config)
    (y,) = Simulator(read(file).graph).run(prepared.dataset.images[prepared.test])
    named = np.bincount(y.argmax(axis=1), minlength=len(CLASSES))
    assert np.sum(figures["confusion"], axis=0).tolist() == named.tolist()


def test_a_file_elsewhere_asks_for_data(file, data, tmp_path, capsys):
    alone = shutil.copy(file, tmp_path)
    assert evaluate([str(alone)]) == 2
    assert "does not say what it was trained on: give --data" in capsys.readouterr().err
    assert evaluate([str(alone), "--data", str(data), "--split", "test"]) == 2
    assert "not what the run was trained on" in capsys.readouterr().err
    figures = as_json(capsys, evaluate, alone, "--data", data)
    own = as_json(capsys, evaluate, file, "--data", data)
    assert figures["images"] == 120 > own["images"]


def test_a_file_of_another_size_is_none_of_the_runs(run, data, tmp_path, capsys):
    assert train(data, tmp_path / "other", "--size", "40x40", "--steps", "1", export=True) == 0
    stranger = run / "stranger.tflite"
    shutil.copy(tmp_path / "other" / "model_int8.tflite", stranger)
    assert evaluate([str(stranger)]) == 2
    assert "give --data" in capsys.readouterr().err


def test_a_file_whose_classes_are_not_the_datas(file, tmp_path, capsys):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "mel").mkdir()
    assert evaluate([str(file), "--data", str(tmp_path / "data")]) == 2
    assert "'cat', which is no class of the trained network" in capsys.readouterr().err


def test_a_file_that_does_not_name_its_classes(file, data, tmp_path, capsys):
    write(tmp_path / "bare.tflite", read(file).graph)
    assert evaluate([str(tmp_path / "bare.tflite"), "--data", str(data)]) == 2
    assert "does not name its classes: put a labels.txt" in capsys.readouterr().err
    shutil.copy(file.with_name("labels.txt"), tmp_path)
    assert as_json(capsys, evaluate, tmp_path / "bare.tflite", "--data", data)["images"] == 120


def test_predict_with_a_file_prints_runtime_latency_and_top_three(file, data, capsys):
    picture = next((data / "HAM10000_images_part_1").iterdir())
    assert predict([str(file), str(picture), "--threads", "1"]) == 0
    first, second, answer = capsys.readouterr().out.splitlines()
    assert first.startswith("runtime           ai-edge-litert")
    assert " ms an image, the median of 20" in second
    assert answer.startswith(f"{picture}:  ") and len(answer.split("   ")) == 3


def test_predict_with_a_file_agrees_with_evaluate(file, data, capsys):
    pictures = sorted((data / "HAM10000_images_part_1").iterdir())
    answers = as_json(capsys, predict, file, *pictures)
    confusion = np.array(as_json(capsys, evaluate, file, "--split", "all")["confusion"])
    named = [answer["top"][0]["class"] for answer in answers]
    assert [named.count(name) for name in CLASSES] == confusion.sum(axis=0).tolist()


@pytest.mark.parametrize("flags", [("--runtime", "litert"), ("--delegate", "libedgetpu.so.1")])
def test_flags_of_files_are_refused_with_a_run(run, data, flags, capsys):
    assert evaluate([str(run), *flags]) == 2
    assert f"{flags[0]} is for .tflite files" in capsys.readouterr().err
