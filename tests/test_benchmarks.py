"""The benchmarks' commands on tiny sizes: they run, and leave a table and JSON lines."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from small import train, write_data

import models

FOLDER = Path(__file__).parents[1] / "benchmarks"
pytest.importorskip("resource", reason="benchmarks read page faults: not on Windows")


@pytest.fixture
def load(monkeypatch):
    """A file of benchmarks/ as a module; what it imported goes with the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == FOLDER:
            del sys.modules[name]


@pytest.fixture
def run(load, tmp_path, capsys):
    """Run a command in this process; (what it printed, its JSON lines)."""

    def run(name, *flags):
        file = tmp_path / "lines.jsonl"
        status = load(name).main([*flags, "--json", str(file)])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert all(row["table"] == name and row["machine"]["cpu"] for row in rows)
        assert all(row["machine"]["versions"]["numpy"] for row in rows)
        return printed.out, rows

    return run


TINY = ("--size", "64x64", "--rounds", "1", "--contestants", "minicnn")


def test_train_step(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    flags = ("torch", "--batch", "2", "--steps", "1", "--sgemm", "128")
    printed, (row,) = run("train_step", *TINY, *flags)
    assert "PyTorch is not installed: torch skipped" in printed
    assert row["contestant"] == "minicnn" and row["minicnn_ratio"] == 1
    assert f"{row['images_per_second']:.2f}" in printed
    assert row["of_sgemm"] > 0 and 20e6 < row["peak_bytes"] < 2e9
    assert row["network"] == "squeezenet" and row["batch"] == 2


def test_inference(run):
    printed, (row,) = run("inference", *TINY, "--calls", "2")
    assert f"{row['p50_ms']:.2f}" in printed and "p50 ms" in printed


def test_int8_inference(run):
    printed, (row,) = run("int8_inference", *TINY, "--calls", "2", "--batch", "2")
    assert row["p50_ms"] > 0
    assert row["images_per_second"] > 0
    assert "off by" in printed


def test_int8_agreement(load, tmp_path, capsys):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    data = write_data(tmp_path / "data")
    assert train(data, tmp_path / "run", "--epochs", "1", export=True) == 0
    capsys.readouterr()
    assert load("int8_agreement").main([str(tmp_path / "run")]) == 0
    first, _, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("24 test images")
    names = [row.split("  ")[0] for row in rows]
    assert names == ["float32, simulator", "float32, LiteRT", "simulator, LiteRT"]


def test_limit(run):
    sizes = ("--sgemm", "128", "--fma", "1000", "--triad", "1")
    printed, rows = run("limit", "--threads", "1", "--rounds", "1", *sizes)
    assert [row["limit"] for row in rows] == ["sgemm", "fma", "triad"]
    assert all(row["rate"] > 0 for row in rows) and "GB/s" in printed


def test_data_pipeline(run):
    flags = ("--batch", "4", "--images", "120", "--rounds", "1", "--steps", "2")
    printed, rows = run("data_pipeline", "--size", "64x64", *flags)
    assert [row["measure"] for row in rows][-1] == "epoch / bare step" and "ns/pixel" in printed
    assert all(row["value"] > 0 for row in rows)


def test_start_up(run):
    printed, (row,) = run("start_up", *TINY, "--batch", "2", "--skip-cold")
    assert "minicnn, warm" in printed and row["seconds"] > 0 and not row["cold"]


@pytest.mark.parametrize(
    ("name", "flags", "complaint"),
    [
        ("train_step", ["--size", "20x20"], "smallest side that works is 31"),
        ("train_step", ["--size", "64"], "wanted height x width"),
        ("train_step", ["--contestants", "caffe"], "'caffe'"),
        ("inference", ["--calls", "0"], "--calls 0: wanted a whole number of at least 1"),
        ("limit", ["--threads", "9999"], "this machine runs at most"),
        ("data_pipeline", ["--data", "nowhere"], "no such folder"),
        ("start_up", ["--json", "nowhere/file"], "no such folder"),
    ],
)
def test_bad_options_are_one_line(load, capsys, name, flags, complaint):
    assert load(name).main(flags) == 2
    error = capsys.readouterr().err
    assert complaint in error and len(error.splitlines()) == 1


class Answering:
    """A worker with these logits."""

    def __init__(self, entry, logits):
        self.entry, self.logits = entry, logits

    def ask(self, what):
        return {"logits": self.logits}


@pytest.mark.parametrize("factor", [1.00001, 1.01, float("nan")])
def test_contestants_must_agree(load, factor):
    from minicnn.errors import UserError

    check, entries = load("harness").check, load("contestants").CONTESTANTS
    ours = Answering(entries["minicnn"], [[1.0, 2.0], [3.0, 1.0]])
    theirs = Answering(entries["keras"], [[1.0, 2.0], [3.0, factor]])
    if factor == 1.00001:
        check([ours, theirs])
    else:
        with pytest.raises(UserError, match="keras and minicnn are not the same network"):
            check([ours, theirs])


def test_flops_of_a_training_step(load):
    net = models.build("squeezenet")
    flops = load("network_file").training_flops(net, (224, 224, 3))
    assert flops == 1_536_796_416  # three times forward but for the gradient of the pixels
