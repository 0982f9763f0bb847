"""report.html of a small run, as training writes it."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small import CLASSES, train, write_data
from test_html import Page

from minicnn import preparation, trained
from minicnn.data.loader import plain_batches
from minicnn.errors import UserError
from minicnn.evaluate import main as evaluate
from minicnn.evaluation import collect
from minicnn.files import checksum
from minicnn.report import deployed, run_page
from minicnn.report.results import DIAGNOSES, Answers, by_shares, worst_mistakes
from minicnn.runfolder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    assert train(write_data(folder / "data"), folder / "run", "--epochs", "2", export=True) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def parts(run):
    """What ``run_page.write`` wants beside a folder."""
    network = trained.load(run)
    data = preparation.prepare(network.config)
    batches = plain_batches(data.dataset, data.test, 16, network.normalization)
    outputs = collect(network.net.forward, batches)
    name = f"{data.dataset.source}, test images, split by lesion"
    answers = Answers.of(
        name, data.dataset, data.test, outputs, f"python -m minicnn.evaluate {run}"
    )
    return network.net.count_params(), answers


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def written(folder, parts):
    return Page(run_page.write(RunFolder(folder), *parts).read_text(encoding="utf-8"))


def headings(page):
    return [text for tag, text in page.texts if tag == "h2"]


def test_training_leaves_a_page_that_says_what_was_done(run):
    source = (run / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    assert page.inside("h1") == "squeezenet"
    assert headings(page) == [
        *("Results", "Classes", "mel against all others", "Worst mistakes"),
        *("Training", "Settings", "Data"),
        *("Quantization", "Edge TPU", "To do it again"),
    ]
    assert all(attrs["src"].startswith("data:image/") for attrs in page.all("img"))
    assert {*CLASSES, "by lesion: no lesion has photographs on both sides"} <= {
        text for _, text in page.texts
    }
    assert "python -m minicnn.train squeezenet" in page.inside("pre")
    assert f"python -m minicnn.evaluate {run}" in page.inside("pre")


def test_figures_are_those_of_the_last_epoch(run):
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["test"]
    cells = [text for tag, text in page.texts if tag == "td"]
    for key in ("top1", "top2", "top3", "balanced_accuracy", "loss"):
        assert f"{last[key]:.3f}" in cells
    assert f"{last['images']:,} images: " in page.inside("figcaption")


def test_the_same_run_gives_the_same_page(run, copy, parts):
    assert run_page.write(RunFolder(copy), *parts) == copy / "report.html"
    assert (copy / "report.html").read_bytes() == (run / "report.html").read_bytes()


def test_a_page_can_have_another_name(copy, parts, tmp_path):
    place = tmp_path / "other.html"
    assert run_page.write(RunFolder(copy), *parts, place) == place
    assert "squeezenet" in place.read_text(encoding="utf-8")


def test_an_export_of_other_weights_is_left_out(copy, parts):
    shutil.copy(copy / "labels.txt", copy / "last.npz")
    assert not {"Quantization", "Edge TPU"} & set(headings(written(copy, parts)))


def test_a_run_without_a_finished_epoch_has_no_curves(copy, parts):
    (copy / "metrics.jsonl").unlink()
    page = written(copy, parts)
    assert "Training" not in headings(page)
    assert "for less than an epoch" in page.inside("p")


def test_a_damaged_file_is_named(copy, parts):
    (copy / "export.json").write_text("{")
    with pytest.raises(UserError, match=r"export\.json is damaged"):
        written(copy, parts)


def test_what_the_export_saved_agrees_with_its_files(run):
    export = json.loads((run / "export.json").read_text())
    assert export["bytes"] == (run / export["file"]).stat().st_size
    assert export["checkpoint_sha256"] == checksum(run / "last.npz")
    check = (run / "edgetpu.txt").read_text()
    for op, count, status in export["edgetpu"]["operations"]:
        assert re.search(rf"^{op} +{count}  {re.escape(status)}$", check, re.MULTILINE)
    assert {row["path"] for row in export["layers"]} >= {"conv1", "fire2/squeeze", "probabilities"}


PRUNED = {
    "wish": {"sparsity": 0.9, "schedule": "fine", "scope": "layer", "epochs": None},
    "start": "runs/dense one/last.npz",
    "before": {"weights": 1000, "nonzero_weights": 1000, "test": {"top1": 0.7}, "files": None},
    "after": {
        "weights": 1000,
        "nonzero_weights": 100,
        "test": {"top1": 0.69},
        "files": None,
        "layers": [
            {"path": "conv1", "weights": 1000, "nonzero_weights": 100, "sparsity": 0.9},
        ],
    },
    "difference": {"top1": [-0.01, -0.02, 0.003], "balanced_accuracy": [0.0, -0.1, 0.1]},
}


def test_pruning_is_told_where_it_was_done(copy, parts):
    (copy / "prune.json").write_text(json.dumps(PRUNED))
    page = written(copy, parts)
    assert "Pruning" in headings(page)
    cells = [text for tag, text in page.texts if tag in ("th", "td")]
    at = cells.index("weights that are not zero")
    assert cells[at + 1 : at + 3] == ["1,000", "100"]
    assert "int8 file, bytes" not in cells
    assert "top-1 -1.00 [-2.00, +0.30]" in page.inside("p")
    command = "python -m minicnn.prune 'runs/dense one/last.npz' --sparsity 0.9 --schedule fine"
    assert command in page.inside("pre")


def test_a_network_that_is_always_right_has_no_mistakes(copy, parts):
    parameters, answers = parts
    right = dataclasses.replace(answers, probabilities=np.eye(7)[answers.labels])
    assert "Worst mistakes" not in headings(written(copy, (parameters, right)))


def test_diagnoses_are_those_of_the_data_set():
    assert set(DIAGNOSES) == set(CLASSES)


def test_points_are_hundredths():
    assert deployed.points((0.0123, -0.005, 0.02)) == "+1.23 [-0.50, +2.00]"


def test_an_answer_that_never_looks():
    blind = by_shares(np.array([60, 0, 30, 10]))
    assert blind["top1"] == 0.6 and blind["balanced_accuracy"] == 1 / 3
    assert np.isclose(blind["top2"], 0.9) and np.isclose(blind["top3"], 1.0)
    assert np.isclose(blind["loss"], -(0.6 * np.log(0.6) + 0.3 * np.log(0.3) + 0.1 * np.log(0.1)))


@given(
    hnp.arrays(np.float64, (9, 3), elements=st.sampled_from([0.0, 0.1, 0.5, 0.9])),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 2)),
    st.integers(0, 10),
)
def test_worst_mistakes_are_the_most_confident_wrong_answers(probabilities, labels, count):
    wrong = [
        (-row.max(), at)
        for at, (row, label) in enumerate(zip(probabilities, labels, strict=True))
        if row.argmax() != label
    ]
    expected = [at for _, at in sorted(wrong)[:count]]
    assert worst_mistakes(probabilities, labels, count).tolist() == expected


def test_evaluate_writes_the_page_anew_and_says_so(run, copy, capsys):
    (copy / "report.html").unlink()
    assert evaluate([str(copy)]) == 0
    assert f"page of the run:  {copy / 'report.html'}" in capsys.readouterr().out
    page = Page((copy / "report.html").read_text(encoding="utf-8"))
    assert headings(page) == headings(Page((run / "report.html").read_text(encoding="utf-8")))


def test_evaluate_leaves_the_page_alone_for_other_images_and_weights(copy, tmp_path, capsys):
    (copy / "report.html").unlink()
    other = str(write_data(tmp_path / "other", count=90))
    shutil.copy(copy / "last.npz", copy / "mine.npz")
    for argv in (["--data", other], ["--split", "all"]):
        assert evaluate([str(copy), *argv, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["report_html"] is None
    assert evaluate([str(copy / "mine.npz")]) == 0
    assert not (copy / "report.html").exists()


def test_evaluate_writes_a_page_of_anything_where_it_is_told(copy, tmp_path, capsys):
    place = tmp_path / "all images.html"
    assert evaluate([str(copy), "--split", "all", "--report", str(place), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report_html"] == str(place)
    page = Page(place.read_text(encoding="utf-8"))
    assert "120 images: " in page.inside("figcaption")
    assert f"--split all --report '{place}'" in page.inside("pre")


def test_evaluate_has_no_page_of_a_file_without_a_run(copy, tmp_path, capsys):
    shutil.copy(copy / "last.npz", tmp_path / "alone.npz")
    for path in (tmp_path / "alone.npz", copy / "model_int8.tflite"):
        assert evaluate([str(path), "--report", str(tmp_path / "page.html")]) == 2
        assert "is no network of a run folder" in capsys.readouterr().err


def test_intervals_and_reliability_are_shown_where_they_were_measured(copy, parts):
    parameters, answers = parts
    bins = [
        {"low": 0.0, "high": 0.5, "images": 0, "confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "images": 24, "confidence": 0.75, "accuracy": 0.5},
    ]
    more = {"intervals": {"top1": [0.111, 0.222], "recall": [[0.333, 0.444]] * 7}}
    extra = ("intervals", "reliability", "calibration_error", "detection")
    plain = {key: value for key, value in answers.figures.items() if key not in extra}
    before = written(copy, (parameters, dataclasses.replace(answers, figures=plain)))
    figures = plain | more | {"reliability": bins}
    after = written(copy, (parameters, dataclasses.replace(answers, figures=figures)))
    assert "95 % interval" not in before.inside("th") and "95 % interval" in after.inside("th")
    cells = [text for tag, text in after.texts if tag == "td"]
    assert cells.count("0.111 to 0.222") == 1 and cells.count("0.333 to 0.444") == 7
    assert len(after.all("img")) == len(before.all("img")) + 1
    assert "Reliability: " in after.inside("figcaption")
