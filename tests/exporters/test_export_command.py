"""``python -m exporters.tflite RUN``: a checked file out of a run folder, and what can go wrong."""

import re
import shutil

import numpy as np
import pytest
from small import CLASSES, train, write_data

from exporters import metadata
from exporters.read import read
from exporters.tflite import main
from minicnn import checkpoint


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("ham") / "data")


@pytest.fixture(scope="module")
def trained_run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train(data, out, "--epochs", "2") == 0
    return out


@pytest.fixture
def run(trained_run, tmp_path):
    """A copy, for a test to write into."""
    return shutil.copytree(trained_run, tmp_path / "run")


def files(folder):
    return {path.name for path in folder.iterdir()}


def refused(capsys, *argv):
    """The one line on stderr of a command that ends with status 2."""
    assert main([str(arg) for arg in argv]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_what_is_written_and_said(run, capsys):
    before = files(run)
    assert main([str(run)]) == 0
    made = {"model_int8.tflite", "labels.txt", "edgetpu.txt", "export.json"}
    assert files(run) - before == made
    said = capsys.readouterr().out
    size = (run / "model_int8.tflite").stat().st_size
    assert f"{size:,} bytes" in said
    assert f"{(run / 'last.npz').stat().st_size:,}" in said
    assert "mse over 96 training images" in said
    assert re.search(r"^fire9/expand3 +CONV_2D +[\d.e-]+ +-128 +\d+\.\d +\d+\.\d+%$", said, re.M)
    figures = re.findall(r"^(float32|int8) +0\.\d{3}  0\.\d{3}  0\.\d{3}  0\.\d{3}$", said, re.M)
    assert figures == ["float32", "int8"]
    assert re.search(r"^same answer on [\d.]+%$", said, re.M)
    assert "42 of 42 operations map" in said
    assert "the compiler was not run" in said
    assert (run / "labels.txt").read_text().split() == list(CLASSES)
    assert "model_int8.tflite" in (run / "edgetpu.txt").read_text().splitlines()[0]


def test_the_file(run):
    assert main([str(run)]) == 0
    file = read(run / "model_int8.tflite")
    graph = file.graph
    first, last = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert (first.name, first.dtype, first.shape) == ("input", "uint8", (1, 32, 32, 3))
    assert (last.name, last.dtype, last.shape) == ("probabilities", "uint8", (1, 7))
    names = {tensor.name for tensor in graph.tensors}
    assert {"fire2/expand3", "fire2/expand3/w", "fire2/expand3/b", "conv10"} <= names
    assert metadata.labels(file) == list(CLASSES)
    assert metadata.normalization(file) == (0.0, 255.0)
    assert graph.shape(graph.outputs[0]) == (len(CLASSES),)


def test_the_same_input_gives_the_same_bytes(run, tmp_path):
    assert main([str(run)]) == 0
    assert main([str(run), "--out", str(tmp_path / "again.tflite")]) == 0
    assert (run / "model_int8.tflite").read_bytes() == (tmp_path / "again.tflite").read_bytes()


@pytest.mark.parametrize("io", ["int8", "float32"])
def test_other_ends(run, io, capsys):
    assert main([str(run), "--io", io]) == 0
    on_cpu = "2 that convert floats at the ends stay on the CPU" in capsys.readouterr().out
    assert on_cpu == (io == "float32")
    graph = read(run / "model_int8.tflite").graph
    ends = [graph.tensors[t].dtype for t in (*graph.inputs, *graph.outputs)]
    assert ends == [io, io]


def test_the_float_file_too(run):
    assert main([str(run), "--float32"]) == 0
    graph = read(run / "model_float32.tflite").graph
    assert {t.dtype for t in graph.tensors} == {"float32", "int32"}
    assert metadata.normalization(run / "model_float32.tflite") == (0.0, 255.0)


def test_settings_of_calibration(run, capsys):
    assert main([str(run), "--method", "minmax", "--plain", "--images", "10"]) == 0
    assert "minmax (plain) over 10 training images" in capsys.readouterr().out


def test_weights_without_their_data(run, data, tmp_path, capsys):
    state = checkpoint.load(run / "last.npz")
    for key in ("config", "data_fingerprint"):
        del state.meta[key]
    weights = tmp_path / "weights.npz"
    checkpoint.save(weights, checkpoint.Checkpoint(state.params, meta=state.meta))
    assert "does not say what it was trained on" in (said := refused(capsys, weights))
    assert "or give --calibrate DIR" in said
    assert files(tmp_path) == {"run", "weights.npz"}
    assert main([str(weights), "--calibrate", str(data), "--images", "20"]) == 0
    said = capsys.readouterr().out
    assert "accuracy is not measured" in said
    assert f"mse over 20 images of {data}" in said
    assert "test images  top-1" not in said
    assert (tmp_path / "model_int8.tflite").exists()


def test_data_that_moved(run, data, tmp_path, capsys):
    state = checkpoint.load(run / "last.npz")
    state.meta["config"]["data"] = str(tmp_path / "gone")
    checkpoint.save(run / "last.npz", state)
    assert "which is not there: say with --data DIR" in refused(capsys, run)
    assert main([str(run), "--data", str(data)]) == 0
    assert "test images  top-1" in capsys.readouterr().out


def test_data_that_changed_since(run, tmp_path, capsys):
    state = checkpoint.load(run / "last.npz")
    state.meta["data_fingerprint"] = "another"
    checkpoint.save(run / "last.npz", state)
    assert "or changed since" in refused(capsys, run)


def test_a_weight_that_is_no_number(run, capsys):
    state = checkpoint.load(run / "last.npz")
    state.slots["average"]["fire3/expand1/w"][3, 0, 0, 1] = np.nan
    checkpoint.save(run / "last.npz", state)
    before = files(run)
    assert "fire3/expand1/w holds NaN or infinite values" in refused(capsys, run)
    assert files(run) == before


def test_calibration_images_that_will_not_do(run, tmp_path, capsys):
    from PIL import Image

    assert "no such folder" in refused(capsys, run, "--calibrate", tmp_path / "absent")
    black = tmp_path / "black"
    black.mkdir()
    assert "no images in it" in refused(capsys, run, "--calibrate", black)
    Image.new("RGB", (40, 30)).save(black / "night.png")
    assert "all calibration images are black" in refused(capsys, run, "--calibrate", black)
    assert "wanted a whole number of at least 1" in refused(capsys, run, "--images", "0")
    assert not (run / "model_int8.tflite").exists()


def test_places_that_will_not_do(run, tmp_path, capsys):
    assert "no run folder" in refused(capsys, tmp_path / "nothing")
    assert "no such folder" in refused(capsys, run, "--out", tmp_path / "absent" / "a.tflite")
    assert "ends in .tflite" in refused(capsys, run, "--out", tmp_path / "model.lite")
    assert files(tmp_path) == {"run"}
