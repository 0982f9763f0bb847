"""Channels taken out by the command: a smaller network that every other command takes as well."""

import json

import numpy as np
import pytest
from small import train, write_data

import minicnn.evaluate
import minicnn.predict
import minicnn.prune
import minicnn.train
from exporters import tflite
from exporters.read import read
from minicnn import checkpoint, trained
from minicnn.prune import tables

FLAGS = ("--channels", "0.5", "--epochs", "2", "--threads", "2")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("channels")
    data = write_data(folder / "data")
    assert train(data, folder / "run", "--epochs", "1", "--set", "average=0.9") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def narrow(run, tmp_path_factory):
    """Half of the channels taken out, retrained and exported."""
    out = tmp_path_factory.mktemp("narrow") / "whole"
    assert minicnn.prune.main([str(run), "--out", str(out), *FLAGS]) == 0
    return out


def shapes(folder):
    return {path: w.shape for path, w in checkpoint.load(folder / "last.npz").params.items()}


def test_the_network_is_really_smaller(run, narrow):
    whole, left = shapes(run), shapes(narrow)
    assert left["conv1/w"] == (32, 3, 3, 3) and left["fire9/expand3/w"] == (128, 3, 3, 32)
    assert left["conv10/w"] == (7, 1, 1, 256) and whole["conv10/w"] == (7, 1, 1, 512)
    network = trained.load(narrow)
    assert {path: p.value.shape for path, p in network.net.named_params().items()} == left
    assert network.normalization == trained.load(run).normalization
    assert network.config.channels == 0.5 and network.config.pruning is None


def test_the_figures_are_those_of_the_smaller_network(narrow):
    result = json.loads((narrow / "prune.json").read_text())
    before, after = result["before"], result["after"]
    assert after["parameters"] == sum(np.prod(shape) for shape in shapes(narrow).values())
    assert before["parameters"] == 726_087
    assert after["multiply_adds"] < 0.4 * before["multiply_adds"]
    assert after["nonzero_weights"] == after["weights"] < 0.4 * before["weights"]
    assert after["files"]["int8"]["bytes"] < 0.6 * before["files"]["int8"]["bytes"]
    assert after["milliseconds"] > 0 and before["milliseconds"] > 0
    row = next(row for row in after["layers"] if row["path"] == "fire2/expand3")
    assert row["shape"] == [32, 3, 3, 8]
    text = tables.report(result)
    assert "64x3x3x16 -> 32x3x3x8" in text and "9,216 -> 2,304" in text
    assert "gone from every shape" in text and "Zeros alone" not in text


def test_the_int8_file_has_the_smaller_shapes(narrow):
    graph = read((narrow / "model_int8.tflite").read_bytes()).graph
    stored = [graph.data(n.inputs[1]).shape for n in graph.nodes if n.op == "CONV_2D"]
    assert stored == [shape for path, shape in shapes(narrow).items() if path.endswith("/w")]


def test_other_commands_take_it(run, narrow, tmp_path, capsys):
    assert minicnn.evaluate.main([str(narrow), "--threads", "2"]) == 0
    image = next((run.parent / "data").rglob("*_images_*/*"))
    assert minicnn.predict.main([str(narrow), str(image)]) == 0
    assert tflite.main([str(narrow), "--out", str(tmp_path / "again.tflite")]) == 0
    assert (tmp_path / "again.tflite").read_bytes() == (narrow / "model_int8.tflite").read_bytes()
    flags = ["--epochs", "1", "--no-export", "--threads", "2", "--out", str(tmp_path / "both")]
    assert minicnn.prune.main([str(narrow), *flags]) == 0  # zeros among what is left
    assert shapes(tmp_path / "both") == shapes(narrow)
    result = json.loads((tmp_path / "both" / "prune.json").read_text())
    assert result["after"]["sparsity"] == pytest.approx(0.9, abs=0.001)


def test_a_run_cut_short_and_resumed_ends_the_same(run, narrow, tmp_path, monkeypatch):
    out = tmp_path / "run"
    ready = minicnn.prune.retrain.ready

    def short(config, folder, start):
        trainer = ready(config, folder, start)
        update = trainer.optimizer.step

        def step(params):
            update(params)
            trainer.stop_asked = trainer.optimizer.steps == 4

        trainer.optimizer.step = step
        return trainer

    with monkeypatch.context() as patch:
        patch.setattr(minicnn.prune.retrain, "ready", short)
        assert minicnn.prune.main([str(run), "--out", str(out), *FLAGS]) == 130
    assert checkpoint.load(out / "last.npz").meta["step"] == 4
    assert shapes(out) == shapes(narrow)
    assert minicnn.train.main(["--resume", str(out), "--no-export"]) == 0
    one, two = (checkpoint.load(folder / "last.npz") for folder in (out, narrow))
    for path, value in one.params.items():
        assert np.array_equal(value, two.params[path]), path


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--channels", "0"], "a share of the channels, between 0 and 1"),
        (["--channels", "1"], "between 0 and 1"),
        (["--channels", "30"], "between 0 and 1"),
        (["--channels", "nan"], "between 0 and 1"),
        (["--channels", "0.3", "--scan"], "not allowed with"),
        (["--channels", "0.3", "--initial", "0.5"], "at most the sparsity, 0"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(run, tmp_path, capsys, flags, says):
    assert minicnn.prune.main([str(run), "--out", str(tmp_path / "out"), *flags]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and "\n" not in error
    assert not (tmp_path / "out").exists()
