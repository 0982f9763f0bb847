"""evaluate and predict on a finished run, as a user calls them."""

import json

import numpy as np
import pytest
from PIL import Image
from small import CLASSES, train, write_data

from minicnn import checkpoint
from minicnn.evaluate import main as evaluate
from minicnn.predict import main as predict


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("ham") / "data")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train(data, out) == 0
    return out


def last_row(run):
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


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
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_predict_names_a_picture_that_cannot_be_read(run, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert predict([str(run), str(tmp_path / "broken.jpg")]) == 2
    captured = capsys.readouterr()
    assert "broken.jpg cannot be read" in captured.err and not captured.out
