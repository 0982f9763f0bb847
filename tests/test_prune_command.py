"""Pruning as a whole: the folders it leaves, exact resuming, files with zeros in them, refusals."""

import dataclasses
import gzip
import json
import shutil

import numpy as np
import pytest
from small import train, write_data

import minicnn.prune
import minicnn.train
from exporters.read import read
from minicnn import checkpoint, trained
from minicnn.compress.prune import Pruner, prunable, schedule_of
from minicnn.config import Config
from minicnn.prune import tables
from minicnn.prune.settings import Wish, pruning

THREE = ("--epochs", "3", "--scope", "layer")


def prune(run, out, *flags, export=False):
    """The command; of six steps an epoch, the fine schedule prunes before every one for a while."""
    flags = [*flags, *([] if export else ["--no-export"])]
    return minicnn.prune.main([str(run), "--out", str(out), "--threads", "2", *flags])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained network, with averaged weights."""
    folder = tmp_path_factory.mktemp("prune")
    data = write_data(folder / "data")
    assert train(data, folder / "run", "--epochs", "2", "--set", "average=0.9") == 0
    return folder / "run"


@pytest.fixture(scope="module")
def pruned(run, tmp_path_factory):
    """Pruned to 90 %, without interruption, and exported."""
    out = tmp_path_factory.mktemp("pruned") / "whole"
    assert prune(run, out, *THREE, export=True) == 0
    return out


def test_the_result_is_a_run_folder_with_prune_json(run, pruned):
    names = {"config.json", "metrics.jsonl", "last.npz", "best.npz", "curves.png", "confusion.png"}
    names |= {"model_int8.tflite", "model_float32.tflite", "labels.txt", "edgetpu.txt"}
    assert {path.name for path in pruned.iterdir()} >= names | {"prune.json"}
    own, other = trained.load(pruned), trained.load(run)
    assert own.normalization == other.normalization
    assert own.config.start == str(run / "last.npz")
    assert own.config.augment == other.config.augment
    for path, param in prunable(own.net.named_params()).items():
        size = param.value.size
        assert np.count_nonzero(param.value) <= max(1, round(0.1 * size)), path


def test_the_figures_are_those_of_the_files(run, pruned):
    result = json.loads((pruned / "prune.json").read_text())
    before, after = result["before"], result["after"]
    total = sum(p.value.size for p in prunable(trained.load(run).net.named_params()).values())
    assert before["weights"] == after["weights"] == before["nonzero_weights"] == total
    assert after["nonzero_weights"] == sum(row["nonzero_weights"] for row in after["layers"])
    assert after["nonzero_weights"] == pytest.approx(0.1 * total, rel=0.001)
    assert after["multiply_adds"] == before["multiply_adds"]
    assert after["nonzero_multiply_adds"] == pytest.approx(0.1 * after["multiply_adds"], rel=0.01)
    for form in ("float32", "int8"):
        content = (pruned / f"model_{form}.tflite").read_bytes()
        sizes = after["files"][form]
        assert sizes["bytes"] == len(content) == before["files"][form]["bytes"]
        assert sizes["gzip_bytes"] == len(gzip.compress(content, 9, mtime=0))
        assert sizes["gzip_bytes"] < 0.4 * before["files"][form]["gzip_bytes"]
    last = json.loads((pruned / "metrics.jsonl").read_text().splitlines()[-1])
    assert after["test"]["top1"] == last["test"]["top1"]
    difference = after["test"]["top1"] - before["test"]["top1"]
    assert result["difference"]["top1"][0] == pytest.approx(difference)


def test_the_int8_file_is_zero_wherever_a_mask_is(pruned):
    masks = checkpoint.load(pruned / "last.npz").slots["mask"]
    graph = read((pruned / "model_int8.tflite").read_bytes()).graph
    stored = [graph.data(n.inputs[1]) for n in graph.nodes if n.op == "CONV_2D"]
    assert len(stored) == len(masks)
    for (path, mask), w in zip(masks.items(), stored, strict=True):
        assert mask.shape == w.shape
        assert (w[~mask] == 0).all(), path
        assert np.count_nonzero(w) > 0


def assert_same_end(one, two):
    first, second = (checkpoint.load(folder / "last.npz") for folder in (one, two))
    assert first.meta["step"] == second.meta["step"]
    assert set(first.slots) == set(second.slots) >= {"mask", "average", "momentum"}
    for name, value in first.params.items():
        assert np.array_equal(value, second.params[name]), name
    for slot, values in first.slots.items():
        for name, value in values.items():
            assert np.array_equal(value, second.slots[slot][name]), (slot, name)


class Killed(Exception):
    """Stands for a process that ends between two steps."""


@pytest.mark.parametrize("steps", [5, 15])  # amid the prunings, and after the last
def test_a_run_killed_amid_pruning_and_resumed_ends_the_same(
    run, pruned, tmp_path, monkeypatch, steps
):
    out, trainers = tmp_path / "run", []
    ready, before_step = minicnn.prune.retrain.ready, Pruner.before_step

    def remembered(*args):
        trainers.append(ready(*args))
        return trainers[-1]

    def dying(pruner, params, step):
        if step == steps:
            trainers[0].save()
            raise Killed
        before_step(pruner, params, step)

    with monkeypatch.context() as patch:
        patch.setattr(minicnn.prune.retrain, "ready", remembered)
        patch.setattr(Pruner, "before_step", dying)
        with pytest.raises(Killed):
            prune(run, out, *THREE)
    assert checkpoint.load(out / "last.npz").meta["step"] == steps
    if steps == 5:  # the same command goes on,
        assert prune(run, out, *THREE) == 0
        assert (out / "prune.json").exists()
    else:  # and so does training
        assert minicnn.train.main(["--resume", str(out), "--no-export"]) == 0
    assert_same_end(out, pruned)


def test_a_finished_run_is_only_read(run, pruned, capsys):
    before = (pruned / "prune.json").read_bytes()
    assert prune(run, pruned, *THREE, export=True) == 0
    out = capsys.readouterr().out
    assert "finished already" in out and "Zeros alone make nothing faster" in out
    assert (pruned / "prune.json").read_bytes() == before


def test_another_wish_does_not_overwrite_a_run(run, pruned, capsys):
    assert prune(run, pruned, "--epochs", "2") == 2
    assert "holds another run" in capsys.readouterr().err


def test_a_run_killed_before_its_first_checkpoint_begins_anew(run, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text("{}")
    (out / "last.npz.1.aa.bb.tmp").write_bytes(b"half")
    assert prune(run, out, "--epochs", "1") == 0
    assert (out / "prune.json").exists() and not list(out.glob("*.tmp"))


def test_a_folder_with_something_else_in_it_is_left_alone(run, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert prune(run, tmp_path, "--epochs", "1") == 2
    assert "is not empty: name a new folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_sweep_makes_a_run_for_each_share_and_a_chart(run, tmp_path, capsys):
    out = tmp_path / "sweep"
    flags = ["--sweep", "0.9,0", "--epochs", "1"]
    assert prune(run, out, *flags) == 0
    assert (out / "sparsity.png").read_bytes().startswith(b"\x89PNG")
    text = capsys.readouterr().out
    assert "   dense" in text and "   90.0%" in text
    control = json.loads((out / "0" / "prune.json").read_text())
    assert control["after"]["sparsity"] == 0  # retrained as the others are, and not pruned
    assert control["after"]["files"] is None
    assert prune(run, out, *flags) == 0
    assert capsys.readouterr().out.count("finished already") == 2


def test_a_scan_names_every_layer_and_leaves_the_run_alone(run, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    out = tmp_path / "scan"
    flags = ["--scan", "--images", "7", "--out", str(out), "--threads", "2"]
    assert minicnn.prune.main([str(run), *flags]) == 0
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    rows = json.loads((out / "sensitivity.json").read_text())["layers"]
    assert [row["path"] for row in rows] == list(prunable(trained.load(run).net.named_params()))
    assert (out / "sensitivity.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert all(row["path"] in printed for row in rows)


def test_the_thesis_schedule_is_the_thesis_protocol(run):
    config = trained.load(run).config
    wish = Wish(schedule="thesis")
    made = pruning(wish, 125)
    assert (made.initial, made.final, made.begin, made.end, made.every) == (0.5, 0.9, 20, 125, 100)
    assert made.scope == "layer"
    settings = minicnn.prune.settings.retraining(config, wish, "/start.npz")
    assert (settings.epochs, settings.schedule, settings.lr) == (1, "constant", config.lr)
    assert settings.weight_decay == config.weight_decay


def test_the_fine_schedule_decays_less(run):
    config = trained.load(run).config
    settings = minicnn.prune.settings.retraining(config, Wish(), "/start.npz")
    assert settings.weight_decay == config.weight_decay / 4 > 0


def test_retraining_takes_four_tenths_of_the_runs_epochs_and_at_least_ten(run):
    config = trained.load(run).config
    for epochs, wanted in ((150, 60), (25, 10), (2, 10)):
        longer = dataclasses.replace(config, epochs=epochs)
        assert minicnn.prune.settings.retraining(longer, Wish(), "/start.npz").epochs == wanted


@pytest.mark.parametrize(
    "steps, zeros, reached",
    [
        (125, "50.0% before step 20, 90.0% before step 120", True),
        (201, "50.0% before step 20, 86.4% before step 120", False),
        (100, "50.0% before step 20", False),
    ],
)
def test_the_plan_says_where_a_schedule_ends_short_of_the_sparsity(run, steps, zeros, reached):
    config = trained.load(run).config
    made = dataclasses.replace(config, pruning=pruning(Wish(schedule="thesis"), steps))
    text = tables.plan(made, steps)
    assert f"zeros: {zeros}\n" in text + "\n"
    assert ("90.0% is not reached" in text) != reached


@pytest.mark.parametrize("steps", [2, 7, 84, 1005])
def test_the_fine_schedule_ends_at_the_sparsity_with_steps_to_spare(steps):
    turns = schedule_of(pruning(Wish(sparsity=0.8), steps)).turns(steps)
    assert turns[0] == (0, pytest.approx(0.5))
    assert turns[-1][1] == pytest.approx(0.8)
    assert turns[-1][0] < steps and turns[-1][0] <= max(1, 0.75 * steps + 1)


def test_settings_without_pruning_are_read_as_before(run):
    values = json.loads((run / "config.json").read_text())
    names = {field.name for field in dataclasses.fields(Config)}
    old = {k: v for k, v in values.items() if k in names - {"start", "pruning"}}
    config = Config.from_json(old)
    assert config.start is None and config.pruning is None
    full = dataclasses.replace(config, start="/a.npz", pruning=pruning(Wish(), 100))
    assert Config.from_json(json.loads(json.dumps(full.to_json()))) == full


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--sparsity", "90"], "wanted a share of zeros, from 0 to below 1"),
        (["--sparsity", "nan"], "wanted a share of zeros"),
        (["--sparsity", "-0.5"], "wanted a share of zeros"),
        (["--initial", "0.95"], "at most the sparsity, 0.9"),
        (["--epochs", "0"], "whole number of at least 1"),
        (["--lr", "0"], "positive number"),
        (["--lr", "nan"], "positive number"),
        (["--schedule", "coarse"], "invalid choice"),
        (["--scope", "network"], "invalid choice"),
        (["--sweep", "0.5,x"], "wanted shares of zeros such as"),
        (["--sweep", "0.5,2"], "wanted a share of zeros"),
        (["--sweep", "0.5,0.5"], "named twice"),
        (["--sweep", "0.5", "--scan"], "not allowed with"),
        (["--scan", "--images", "0"], "whole number of at least 1"),
        (["--images", "100"], "with --scan"),
        (["--threads", "-1"], "--threads -1: wanted a whole number of at least 1"),
    ],
)
def test_bad_numbers_are_refused_in_one_line(run, tmp_path, capsys, flags, says):
    assert prune(run, tmp_path / "out", *flags) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and error.startswith("error: ") and "\n" not in error
    assert not (tmp_path / "out").exists()


def test_what_does_not_say_its_data_is_refused(run, tmp_path, capsys):
    state = checkpoint.load(run / "last.npz")
    del state.meta["config"]
    checkpoint.save(tmp_path / "bare.npz", state)
    assert prune(tmp_path / "bare.npz", tmp_path / "out") == 2
    assert "does not say what it was trained on" in capsys.readouterr().err


def test_data_that_changed_are_refused(run, tmp_path, capsys):
    state = checkpoint.load(run / "last.npz")
    state.meta["data_fingerprint"] = "of another day"
    checkpoint.save(tmp_path / "old.npz", state)
    assert prune(tmp_path / "old.npz", tmp_path / "out") == 2
    assert "or changed since" in capsys.readouterr().err


def test_data_that_moved_are_named_by_a_flag(run, tmp_path, capsys):
    state = checkpoint.load(run / "last.npz")
    where, state.meta["config"]["data"] = state.meta["config"]["data"], str(tmp_path / "gone")
    checkpoint.save(tmp_path / "moved.npz", state)
    assert prune(tmp_path / "moved.npz", tmp_path / "out") == 2
    assert "gone, which is not there: say with --data DIR" in capsys.readouterr().err
    flags = ["--data", where, "--epochs", "1", "--sparsity", "0"]
    assert prune(tmp_path / "moved.npz", tmp_path / "out", *flags) == 0
    assert trained.load(tmp_path / "out").config.data == where


def test_the_folder_one_stands_in_has_a_name(run, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(run, tmp_path / "mine"))
    assert minicnn.prune.main([".", "--scan", "--images", "7"]) == 0
    assert (tmp_path / "mine-sensitivity" / "sensitivity.json").exists()


def test_multiply_adds_that_are_left_are_those_of_weights_that_are_not_zero(pruned):
    after = json.loads((pruned / "prune.json").read_text())["after"]
    for layer in after["layers"]:
        places = layer["multiply_adds"] // layer["weights"]  # a convolution's outputs
        assert layer["nonzero_multiply_adds"] == places * layer["nonzero_weights"], layer["path"]
    total = sum(layer["nonzero_multiply_adds"] for layer in after["layers"])
    assert after["nonzero_multiply_adds"] == total
