"""Training as a whole: what a run leaves behind, exact resuming, stopping, diverging."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small import CLASSES, SETTINGS, train, write_data

from minicnn import checkpoint, report
from minicnn.train import main


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("ham") / "data")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """An uninterrupted run of three epochs."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert train(data, out, export=True) == 0
    return out


def rows(run):
    """metrics.jsonl without what differs from run to run: the clock."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [
        {k: v for k, v in json.loads(line).items() if k not in ("time", "images_per_second")}
        for line in lines
    ]


def assert_same(run, other):
    """Bit for bit: weights, optimizer state, place, figures."""
    for name in ("last.npz", "best.npz"):
        one, two = checkpoint.load(run / name), checkpoint.load(other / name)
        assert one.params.keys() == two.params.keys()
        for path, value in one.params.items():
            assert np.array_equal(value, two.params[path]), path
        for slot, values in one.slots.items():
            for path, value in values.items():
                assert np.array_equal(value, two.slots[slot][path]), (slot, path)
        for key in ("step", "epoch", "best"):
            assert one.meta[key] == two.meta[key]
    assert rows(run) == rows(other)


def test_a_run_folder_holds_what_the_readme_says(whole):
    names = {"config.json", "metrics.jsonl", "last.npz", "best.npz", "curves.png", "confusion.png"}
    names |= {"model_int8.tflite", "labels.txt", "edgetpu.txt", "export.json", "report.html"}
    assert {path.name for path in whole.iterdir()} == names
    config = json.loads((whole / "config.json").read_text())
    assert config["classes"] == list(CLASSES)
    assert config["epochs"] == 3 and config["seed"] == 0
    for name in ("curves.png", "confusion.png"):
        assert (whole / name).read_bytes().startswith(b"\x89PNG")


def test_every_epoch_is_reported(whole):
    assert [row["epoch"] for row in rows(whole)] == [1, 2, 3]
    for row in rows(whole):
        for side in ("train", "test"):
            figures = row[side]
            confusion = np.array(figures["confusion"])
            assert confusion.sum() == figures["images"]
            assert np.isclose(figures["top1"], confusion.trace() / confusion.sum())
            assert figures["top1"] <= figures["top2"] <= figures["top3"]
            assert 0 <= figures["balanced_accuracy"] <= 1
            assert figures["majority_baseline"] > 0.4


def test_two_runs_and_any_number_of_threads_give_the_same_bits(data, whole, tmp_path):
    assert train(data, tmp_path / "one", "--threads", "1") == 0
    assert_same(whole, tmp_path / "one")


def test_another_seed_gives_another_network(data, whole, tmp_path):
    assert train(data, tmp_path / "run", "--seed", "1", "--epochs", "1") == 0
    weights = [checkpoint.load(run / "last.npz").params for run in (whole, tmp_path / "run")]
    assert not np.array_equal(weights[0]["conv1/w"], weights[1]["conv1/w"])


@pytest.mark.parametrize("steps", [3, 6, 8])  # six steps an epoch: within one, at its end, later
def test_a_resumed_run_equals_an_uninterrupted_one(data, whole, tmp_path, steps):
    run = tmp_path / "run"
    assert train(data, run, "--steps", str(steps)) == 0
    assert checkpoint.load(run / "last.npz").meta["step"] == steps
    assert main(["--resume", str(run), "--steps", "1000", "--threads", "1"]) == 0
    assert_same(whole, run)


def test_steps_end_a_run_within_an_epoch_with_figures(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--steps", "2") == 0
    (row,) = rows(tmp_path / "run")
    assert row["partial"] and row["step"] == 2 and row["train"]["images"] == 32
    assert "ended inside this epoch" in capsys.readouterr().out


def command_line(data, out):
    command = [sys.executable, "-m", "minicnn.train", "squeezenet", "--data", str(data)]
    return [*command, "--out", str(out), *SETTINGS]


def start_and_signal(data, run, number, wanted):
    """Start a run of its own process and send a signal once the file ``wanted`` is there."""
    process = subprocess.Popen(
        command_line(data, run), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 120
    while not (run / wanted).exists() and process.poll() is None:
        assert time.monotonic() < deadline, "the run did not get going"
        time.sleep(0.01)
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


def test_ctrl_c_saves_and_says_how_to_go_on(data, whole, tmp_path):
    run = tmp_path / "run"
    code, out = start_and_signal(data, run, signal.SIGINT, "metrics.jsonl")
    assert code == 130
    assert f"python -m minicnn.train --resume {run}" in out
    assert "Traceback" not in out
    assert main(["--resume", str(run)]) == 0
    assert_same(whole, run)


def test_a_killed_run_resumes_to_the_same_end(data, whole, tmp_path):
    run = tmp_path / "run"
    code, _ = start_and_signal(data, run, signal.SIGKILL, "best.npz")
    assert code == -signal.SIGKILL
    assert main(["--resume", str(run)]) == 0
    assert_same(whole, run)


def test_resuming_a_finished_run_says_so(whole, capsys):
    before = (whole / "last.npz").read_bytes()
    assert main(["--resume", str(whole)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert (whole / "last.npz").read_bytes() == before


def test_divergence_stops_and_keeps_the_last_good_checkpoint(data, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(data, run, "--lr", "1e30", "--optimizer", "sgd") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "became NaN or infinite" in error and "lower --lr" in error and str(run) in error
    kept = checkpoint.load(run / "last.npz")
    assert all(np.isfinite(value).all() for value in kept.params.values())


def test_a_run_that_learns_nothing_says_so(data, tmp_path, capsys):
    # a rate of next to nothing leaves the logits as equal as they begin
    assert train(data, tmp_path / "run", "--lr", "1e-9", "--epochs", "1") == 0
    out = capsys.readouterr().out
    assert "stands at ln(7) = 1.9459" in out or "nv trap" in out


def figures(loss, predictions):
    """An epoch's row with that training loss, and test images of all classes called like that."""
    confusion = np.zeros((3, 3), int)
    for true, predicted in enumerate(predictions):
        confusion[true, predicted] += 5
    return {"train": {"loss": loss}, "test": {"confusion": confusion.tolist()}}


def test_advice_is_given_when_and_only_when_it_is_due():
    classes = ("akiec", "mel", "nv")
    (trapped,) = report.advice(figures(0.9, [2, 2, 2]), classes)
    assert "'nv'" in trapped and "nv trap" in trapped
    (stuck,) = report.advice(figures(np.log(3) + 0.001, [0, 1, 2]), classes)
    assert "ln(3) = 1.0986" in stuck
    assert report.advice(figures(0.9, [2, 1, 2]), classes) == []
    assert len(report.advice(figures(np.log(3), [2, 2, 2]), classes)) == 2


def test_the_baseline_is_printed_before_the_first_epoch(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--steps", "1") == 0
    out = capsys.readouterr().out
    assert out.index("by always answering nv") < out.index("epoch      train")


def test_thesis_recipe_is_the_thesis_protocol(data, tmp_path):
    run = tmp_path / "run"
    flags = ["--size", "32x32", "--steps", "1", "--out", str(run)]
    assert main(["squeezenet", "--data", str(data), "--recipe", "thesis", *flags]) == 0
    config = json.loads((run / "config.json").read_text())
    wanted = {
        "optimizer": "sgd",
        "lr": 0.0001,
        "momentum": 0.9,
        "schedule": "constant",
        "undersample": 0.75,
        "split": "image",
        "test_share": 0.2,
        "class_weights": "log",
        "epochs": 100,
        "init": "glorot",
    }
    assert {key: config[key] for key in wanted} == wanted
    augment = config["augment"]
    assert (augment["shear"], augment["zoom"], augment["horizontal_flip"]) == (0.2, 0.2, True)
    assert not augment["vertical_flip"] and augment["rotation"] == 0
    counts = np.add(config["train_images"], config["test_images"])
    weights = np.log(counts.sum() / counts)
    assert np.allclose(config["class_weight_values"], weights, atol=1e-5)


def test_oversampling_and_prior_bias(data, tmp_path):
    run = tmp_path / "run"
    flags = ["--steps", "1", "--lr", "1e-9", "--oversample", "--prior-bias"]
    assert train(data, run, *flags) == 0
    config = json.loads((run / "config.json").read_text())
    assert len(set(config["train_images"])) == 1  # as many of each class
    assert len(set(config["test_images"])) > 1
    assert train(data, tmp_path / "plain", *flags[:-2], "--prior-bias") == 0
    counts = np.array(json.loads((tmp_path / "plain" / "config.json").read_text())["train_images"])
    bias = checkpoint.load(tmp_path / "plain" / "last.npz").params["conv10/b"]
    assert np.allclose(bias - bias.min(), np.log(counts / counts.min()), atol=1e-5)


def test_steps_beyond_the_epochs_are_pointed_out(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--epochs", "1", "--steps", "99") == 0
    assert "1 epochs hold 6 steps" in capsys.readouterr().out
    assert checkpoint.load(tmp_path / "run" / "last.npz").meta["step"] == 6


def test_overfits_sixteen_images():
    import models
    from minicnn.data import synthetic
    from minicnn.data.augment import Normalization
    from minicnn.loss import CrossEntropy
    from minicnn.optim import Adam

    dataset = synthetic.generate(count=400, size=(32, 32), seed=0)
    chosen = np.concatenate([np.flatnonzero(dataset.labels == c)[:3] for c in range(7)])[:16]
    x = Normalization.of(dataset.images, chosen).apply(dataset.images[chosen])
    labels = dataset.labels[chosen]
    net = models.build("squeezenet", (32, 32, 3), 7, seed=0)
    loss, optimizer = CrossEntropy(), Adam(0.001)
    for step in range(300):
        net.seed_dropout(0, step)
        _, dlogits = loss(net.forward(x, train=True), labels)
        net.backward(dlogits)
        optimizer.step(net.named_params())
    assert (net.predict(x).argmax(axis=1) == labels).all()


def test_the_loader_thread_keeps_out_of_parallel_kernels(data, tmp_path):
    """Numba's workqueue layer, macOS's default, aborts when two threads enter them at once."""
    environment = dict(os.environ, NUMBA_THREADING_LAYER="workqueue")
    command = command_line(data, tmp_path / "run")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_runs_from_another_folder(data, tmp_path):
    """The commands need nothing from the folder they are started in."""
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parent.parent))
    command = [*command_line(data, tmp_path / "run"), "--steps", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
