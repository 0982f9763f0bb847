"""Checkpoints: what was saved comes back; anything else gets one clear line."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from minicnn import checkpoint
from minicnn.checkpoint import Checkpoint
from minicnn.errors import UserError
from minicnn.layers import Conv2D, GlobalAvgPool2D, Sequential


def network(channels=4):
    return Sequential([("conv", Conv2D(3, channels, 3, rng=1)), GlobalAvgPool2D()])


@pytest.fixture
def saved(tmp_path):
    params = {path: param.value for path, param in network().named_params().items()}
    slots = {"momentum": {path: value * 2 for path, value in params.items()}}
    path = tmp_path / "last.npz"
    checkpoint.save(path, Checkpoint(params, slots, {"labels": np.arange(3)}, {"step": 7}))
    return path


def test_everything_comes_back(saved):
    state, params = checkpoint.load(saved), network().named_params()
    assert set(state.params) == set(params) == {"conv/w", "conv/b"}
    for path, param in params.items():
        assert np.array_equal(state.params[path], param.value)
        assert np.array_equal(state.slots["momentum"][path], param.value * 2)
    assert state.meta["step"] == 7
    assert state.epoch["labels"].tolist() == [0, 1, 2]


def test_keys_are_the_documented_ones(saved):
    with np.load(saved) as arrays:
        wanted = {"param/conv/w", "param/conv/b", "momentum/conv/w", "momentum/conv/b"}
        assert set(arrays.files) == wanted | {"epoch/labels", "meta"}


def test_weights_go_into_a_network_of_the_same_shape_only(saved):
    state, net = checkpoint.load(saved), network()
    net.named_params()["conv/w"].value[:] = 0
    state.load_into(net)
    assert np.array_equal(net.named_params()["conv/w"].value, state.params["conv/w"])
    with pytest.raises(UserError, match=r"conv/w has shape \(4, 3, 3, 3\).*wants \(5, 3, 3, 3\)"):
        state.load_into(network(5))
    with pytest.raises(UserError, match="another network"):
        state.load_into(Sequential([("head", Conv2D(3, 4, 3))]))


def test_a_failed_save_leaves_the_old_file_and_no_litter(saved, monkeypatch):
    before = saved.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(saved, Checkpoint({"w": np.zeros(1)}))
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def pickled():
    return pickle.dumps({"w": [1, 2]})


def pickled_in_npz():
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array({"a": object}, dtype=object))
    return buffer.getvalue()


def foreign_npz():
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.zeros(3))
    return buffer.getvalue()


def foreign_zip():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return buffer.getvalue()


def plain_array():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content, says",
    [
        (lambda: b"", "not a minicnn checkpoint"),
        (lambda: b"not an npz file at all", "is not a minicnn checkpoint: wanted a run folder"),
        (lambda: b"\x1c\0\0\0TFL3" + bytes(100), "is a .tflite file, which only runs"),
        (pickled, "pickled objects"),
        (pickled_in_npz, "pickled objects"),
        (foreign_npz, "no minicnn 'meta' entry"),
        (foreign_zip, "not a minicnn checkpoint|no minicnn 'meta' entry"),
        (plain_array, "not a minicnn checkpoint"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, says):
    path = tmp_path / "foreign.npz"
    path.write_bytes(content())
    with pytest.raises(UserError, match=says):
        checkpoint.load(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, keep):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UserError, match="damaged|not a minicnn checkpoint"):
        checkpoint.load(saved)


def test_flipped_bits_are_noticed(saved):
    data = bytearray(saved.read_bytes())
    middle = data.index(b"param/conv/w") + 400
    data[middle] ^= 0xFF
    saved.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint at .*gone\.npz"):
        checkpoint.load(tmp_path / "gone.npz")


def test_a_newer_format_is_named(tmp_path):
    path = tmp_path / "new.npz"
    checkpoint.save(path, Checkpoint({"w": np.zeros(1)}, meta={"format": 99}))
    with pytest.raises(UserError, match="format 99"):
        checkpoint.load(path)
