"""What evaluate tells beside the figures of training: intervals, thinned sets, flips, the leak."""

import csv
import json

import numpy as np
import pytest
from small import CLASSES, train, write_data

from minicnn import checkpoint, preparation, trained
from minicnn.data.split import leaked_lesions
from minicnn.evaluate import main as evaluate


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("ham") / "data", count=160)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Split by image, so that it leaks."""
    out = tmp_path_factory.mktemp("runs") / "run"
    assert train(data, out, "--split", "image", "--epochs", "1") == 0
    return out


def as_json(capsys, *argv):
    assert evaluate([*map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_text_has_intervals_calibration_melanoma_and_the_leak(run, capsys):
    assert evaluate([str(run)]) == 0
    out = capsys.readouterr().out
    for words in ("95 % intervals", "calibration error", "mel against all others", "both sides"):
        assert words in out, words
    for name in ("last-evaluation.png", "last-reliability.png"):
        assert str(run / name) in out
        assert (run / name).read_bytes().startswith(b"\x89PNG")


def test_the_same_command_finds_the_same(run, capsys):
    first, second = as_json(capsys, run), as_json(capsys, run)
    assert {**first, "latency_seconds": 0} == {**second, "latency_seconds": 0}


def test_any_class_can_be_told_from_the_others(run, capsys):
    found = as_json(capsys, run, "--class", "nv")["detection"]
    assert found["class"] == "nv"
    assert evaluate([str(run), "--class", "wart"]) == 2
    assert "--class wart: the network's classes are akiec" in capsys.readouterr().err


def test_the_leak_is_of_lesions_on_both_sides(run, data, tmp_path, capsys):
    figures = as_json(capsys, run)
    prepared = preparation.prepare(trained.load(run).config)
    lesions, train_side, test_side = prepared.dataset.lesions, prepared.train, prepared.test
    leak = figures["leak"]
    assert leak["lesions"] == leaked_lesions(lesions, train_side, test_side) > 0
    seen = sum(lesion in set(lesions[train_side]) for lesion in lesions[test_side])
    assert (leak["seen"]["images"], leak["unseen"]["images"]) == (seen, len(test_side) - seen)
    right = leak["seen"]["top1"] * seen + leak["unseen"]["top1"] * leak["unseen"]["images"]
    assert right / len(test_side) == pytest.approx(figures["top1"])
    other = write_data(tmp_path / "other", count=90)
    assert as_json(capsys, run, "--data", other)["leak"] is None


def test_another_set_has_pictures_of_its_own(run, tmp_path, capsys):
    own = as_json(capsys, run)
    before = (run / "last-evaluation.png").read_bytes()
    other = as_json(capsys, run, "--data", write_data(tmp_path / "ward 7", count=90))
    assert other["confusion_png"] == str(run / "last-evaluation-ward-7.png")
    whole = as_json(capsys, run, "--split", "all")
    assert whole["reliability_png"] == str(run / "last-reliability-all.png")
    assert own["confusion_png"] == str(run / "last-evaluation.png")
    assert (run / "last-evaluation.png").read_bytes() == before
    chosen = as_json(capsys, run, "--out", tmp_path / "x.png")
    assert chosen["reliability_png"] == str(tmp_path / "x-reliability.png")


def test_undersampling_drops_a_share_of_the_largest_class(run, capsys):
    whole = np.sum(as_json(capsys, run)["confusion"], axis=1)
    found = as_json(capsys, run, "--undersample", "0.75")
    counts = np.sum(found["confusion"], axis=1)
    nv = CLASSES.index("nv")
    assert counts[nv] == whole[nv] - round(0.75 * whole[nv])
    assert np.delete(counts, nv).tolist() == np.delete(whole, nv).tolist()
    assert found["set"].endswith("75% of nv left out")
    assert found["report_html"] is None
    assert as_json(capsys, run, "--undersample", "0.75")["confusion"] == found["confusion"]
    assert evaluate([str(run), "--undersample", "1"]) == 2
    assert "must be at least 0 and below 1" in capsys.readouterr().err


def test_a_thinned_run_is_not_thinned_again(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--undersample", "0.5", "--steps", "1") == 0
    capsys.readouterr()
    assert as_json(capsys, tmp_path / "run")["set"].endswith("50% of nv left out")
    assert evaluate([str(tmp_path / "run"), "--undersample", "0.75"]) == 2
    assert "so are its test images" in capsys.readouterr().err
    assert as_json(capsys, tmp_path / "run", "--split", "all", "--undersample", "0.75")["images"]


def test_flips_answer_otherwise_and_say_so(run, capsys):
    plain, flipped = as_json(capsys, run), as_json(capsys, run, "--flips")
    assert flipped["images"] == plain["images"] and flipped["loss"] != plain["loss"]
    assert flipped["set"] == plain["set"] + ", the mean over four mirrorings"
    assert flipped["confusion_png"] == str(run / "last-evaluation-flips.png")


def probabilities(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(row[f"p({name})"]) for name in CLASSES] for row in rows])


def test_answers_for_other_shares_of_the_classes(run, tmp_path, capsys):
    loaded = trained.load(run)
    prepared = preparation.prepare(loaded.config)
    learned = preparation.learned_shares(loaded.config, prepared)
    training = prepared.dataset.counts(prepared.train).astype(float)
    thinned = training.copy()
    thinned[np.argmax(training)] *= 0.25
    table = tmp_path / "p.csv"
    for flags, name, shares in (
        (("--shares", "even"), "even", np.ones(len(CLASSES))),
        (("--shares", "training"), "training", training),
        (("--shares", "training", "--undersample", "0.75"), "thinned-0.75-training", thinned),
    ):
        plain_flags = flags[2:]
        as_json(capsys, run, *plain_flags, "--predictions", table)
        odds = probabilities(table) * shares / learned
        found = as_json(capsys, run, *flags, "--predictions", table)
        wanted = odds / odds.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities(table), wanted, rtol=2e-4, atol=1e-6)
        assert "answers for" in found["set"] and found["report_html"] is None
        assert found["confusion_png"] == str(run / f"last-evaluation-{name}.png")


def test_shares_hold_for_any_images(run, tmp_path, capsys):
    """What was learned is in the checkpoint."""
    other = write_data(tmp_path / "other", count=90)
    loaded, table = trained.load(run), tmp_path / "p.csv"
    assert loaded.training_shares.sum() == pytest.approx(1)
    for flags, shares in (
        (("--shares", "even"), np.ones(len(CLASSES))),
        (("--shares", "training"), loaded.training_shares),
    ):
        as_json(capsys, run, "--data", other, "--predictions", table)
        odds = probabilities(table) * shares / loaded.learned_shares
        as_json(capsys, run, "--data", other, "--predictions", table, *flags)
        wanted = odds / odds.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities(table), wanted, rtol=2e-4, atol=1e-6)


def test_shares_are_asked_of_a_run_that_has_none(run, tmp_path, capsys):
    state = checkpoint.load(run / "last.npz")
    del state.meta["learned_shares"]
    checkpoint.save(tmp_path / "old.npz", state)
    assert evaluate([str(tmp_path / "old.npz"), "--shares", "even"]) == 2
    assert "does not say how frequent its classes were" in capsys.readouterr().err


def test_predictions_are_those_of_the_figures(run, tmp_path, capsys):
    figures = as_json(capsys, run, "--predictions", tmp_path / "p.csv")
    with open(tmp_path / "p.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "lesion", "class", *(f"p({name})" for name in CLASSES)]
    assert len(rows) == figures["images"]
    p = probabilities(tmp_path / "p.csv")
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    truth = [CLASSES.index(row["class"]) for row in rows]
    assert np.mean(p.argmax(axis=1) == truth) == figures["top1"]


@pytest.mark.parametrize("flag", ["--predictions", "--out", "--report"])
def test_a_place_that_is_not_there_is_told_at_once(run, flag, tmp_path, capsys):
    assert evaluate([str(run), flag, str(tmp_path / "no" / "file")]) == 2
    captured = capsys.readouterr()
    assert "no such folder" in captured.err and not captured.out


def test_images_held_out_for_tuning_are_called_so(data, tmp_path, capsys):
    assert train(data, tmp_path / "run", "--tune", "--steps", "1") == 0
    capsys.readouterr()
    assert "held out of the training side" in as_json(capsys, tmp_path / "run")["set"]
