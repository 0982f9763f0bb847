"""Released weights: what stands in them, and what does not."""

import json

import numpy as np
import pytest
from small import train, write_data

import models
from minicnn import checkpoint, trained
from minicnn.experiments import release


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run with averaged weights, exported."""
    data = write_data(tmp_path_factory.mktemp("ham") / "data")
    out = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--epochs", "1", "--set", "average=0.9"]
    assert train(data, out, *flags, export=True) == 0
    return out


def test_the_averaged_network_without_its_training(run, tmp_path):
    assert release.main([str(run), "--out", str(tmp_path / "weights")]) == 0
    released = tmp_path / "weights" / "squeezenet.npz"
    state, whole = checkpoint.load(released), checkpoint.load(run / "last.npz")
    assert not state.slots and not state.epoch
    for path, value in whole.slots["average"].items():
        assert np.array_equal(state.params[path], value)
        assert state.params[path].dtype == np.float32
    assert state.meta["config"]["data"] == "HAM10000"
    assert str(run.parent.parent) not in json.dumps(state.meta)
    x = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    ours, theirs = trained.load(released), trained.load(run)
    assert np.array_equal(ours.probabilities(x), theirs.probabilities(x))
    copied = tmp_path / "weights" / "squeezenet_int8.tflite"
    assert copied.read_bytes() == (run / "model_int8.tflite").read_bytes()


def test_the_test_lesions_are_listed(run, tmp_path):
    out = tmp_path / "weights"
    assert release.main([str(run), "--out", str(out)]) == 0
    lesions = (out / "squeezenet_test_lesions.txt").read_text().split()
    assert lesions == sorted(set(lesions))
    counts = json.loads((run / "config.json").read_text())["test_images"]
    assert 0 < len(lesions) <= sum(counts)


def test_what_is_not_complete_is_refused(run, tmp_path, capsys, monkeypatch):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "last.npz").write_bytes((run / "last.npz").read_bytes())
    assert release.main([str(bare), "--out", str(tmp_path)]) == 2
    assert "exporters.tflite" in capsys.readouterr().err
    monkeypatch.setattr(release, "LARGEST", 1000)
    assert release.main([str(run), "--out", str(tmp_path / "weights")]) == 2
    assert "1,000" in capsys.readouterr().err
    assert not (tmp_path / "weights").exists()


def test_names_stand_for_released_files(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    (tmp_path / "squeezenet.npz").write_bytes(b"x")
    (tmp_path / "squeezenet_int8.tflite").write_bytes(b"x")
    assert models.released("squeezenet") == tmp_path / "squeezenet.npz"
    assert models.released("squeezenet_int8.tflite") == tmp_path / "squeezenet_int8.tflite"
    assert str(models.released("runs/squeezenet")) == "runs/squeezenet"
    with pytest.raises(Exception, match="there are squeezenet"):
        models.pretrained("alexnet")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squeezenet").mkdir()
    assert str(models.released("squeezenet")) == "squeezenet"  # what is there goes first
