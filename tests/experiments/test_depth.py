"""The measurement of the signal by depth: what it finds, what it writes."""

import json

import numpy as np
import pytest
from small import write_data

from minicnn.experiments import depth


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """SqueezeNet on a few small images, and a few steps of every variant."""
    data = write_data(tmp_path_factory.mktemp("ham") / "data")
    out = tmp_path_factory.mktemp("depth")
    flags = ["squeezenet", "--data", str(data), "--size", "40x40", "--steps", "3"]
    assert depth.main([*flags, "--out", str(out)]) == 0
    return out


def test_the_thesis_start_loses_the_signal_and_ours_keeps_it(measured):
    signals = json.loads((measured / "depth.json").read_text())["signals"]
    assert set(signals) == {"squeezenet, thesis", "squeezenet, ours"}
    thesis, ours = (
        {row["layer"]: row for row in signals[f"squeezenet, {which}"]}
        for which in ("thesis", "ours")
    )
    assert list(thesis) == list(ours) and len(thesis) == 15
    assert thesis["fire9"]["between"] < 0.01 * thesis["conv1"]["between"]
    assert ours["fire9"]["between"] > 0.3 * ours["conv1"]["between"]
    assert thesis["conv1"]["gradient"] < 0.01 * thesis["fire9"]["gradient"]
    assert thesis["fire5"]["step"] < 1e-3 * ours["fire5"]["step"]
    for rows in (thesis, ours):
        assert all(0 <= row["dead"] <= 1 and row["activation"] > 0 for row in rows.values())
        assert rows["pool1"]["step"] == 0 < rows["conv1"]["step"]


def test_every_change_is_trained_and_drawn(measured):
    courses = json.loads((measured / "depth.json").read_text())["courses"]
    assert [course["change"] for course in courses] == list(depth.CHANGES)
    for course in courses:
        assert len(course["losses"]) == 3 and np.isfinite(course["losses"]).all()
        assert 0 < course["largest"] <= 1 and course["spread"] >= 0
    for name in ("depth.png", "freed.png"):
        assert (measured / name).read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_one_line(capsys):
    assert depth.main(["resnet"]) == 2
    assert "squeezenet" in capsys.readouterr().err
    assert depth.main(["deepsqueeze", "--size", "64x64", "--steps", "0"]) == 2
    assert "255" in capsys.readouterr().err
