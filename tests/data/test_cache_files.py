"""The cache's files: whole or not there, whoever else builds, dies, or fills the disk."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from minicnn.data import folder, images
from minicnn.data.cache import decode_all
from minicnn.errors import UserError
from minicnn.files import cache_folder, host

SIZE = (12, 16)


def files(root):
    return sorted(path.name for path in (root.parent / "cache").iterdir())


def error_of(index, skip_bad=False, cache_dir=None):
    with pytest.raises(UserError) as caught:
        decode_all(index, SIZE, skip_bad, cache_dir)
    return str(caught.value)


def test_two_processes_at_once(root, write_image, tmp_path):
    for i in range(8, 200):
        write_image(root / "ab"[i % 2] / f"{i}.png", i)
    index = folder.read(root)
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=decode_all, args=(index, SIZE, False)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert [Path(name).suffix for name in files(root)] == [".json", ".npy"]
    alone = decode_all(index, SIZE, False, tmp_path / "alone")
    np.testing.assert_array_equal(decode_all(index, SIZE, False).images, alone.images)


def test_one_build_inside_another(root, monkeypatch):
    """The overlap of two builders for certain: the second runs while the first is half done."""
    index = folder.read(root)
    original = images.load
    inner = []

    def load(path, size):
        if path == index.paths[5] and not inner:
            inner.append(None)
            inner[0] = decode_all(index, SIZE, False)
        return original(path, size)

    monkeypatch.setattr(images, "load", load)
    outer = decode_all(index, SIZE, False)
    expected = np.stack([original(path, SIZE) for path in index.paths])
    np.testing.assert_array_equal(inner[0].images, expected)
    np.testing.assert_array_equal(outer.images, expected)
    assert len(files(root)) == 2


def test_an_interrupted_build_leaves_nothing(root, monkeypatch):
    def interrupt(path, size):
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode_all(folder.read(root), SIZE, skip_bad=False)
    assert files(root) == []


def leftover(root, pid, host):
    name = f"{'0' * 12}-12x16-{'1' * 32}.npy.{pid}.{host}.{'a' * 8}.tmp"
    path = root.parent / "cache" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path


def test_leftovers_of_dead_processes_are_removed(root):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = leftover(root, process.pid, host())
    alive = leftover(root, os.getpid(), host())
    elsewhere = leftover(root, process.pid, "f" * 8)
    ancient = leftover(root, os.getpid(), "e" * 8)
    os.utime(ancient, (0, 0))
    foreign = root.parent / "cache" / "mine.tmp"
    foreign.touch()
    decode_all(folder.read(root), SIZE, skip_bad=False)
    left = [path.exists() for path in (dead, alive, elsewhere, ancient, foreign)]
    assert left == [False, True, True, False, True]


def test_a_folder_that_cannot_be_written(root, tmp_path):
    """Below a regular file nothing can be made, not even by root."""
    (tmp_path / "file").touch()
    message = error_of(folder.read(root), cache_dir=tmp_path / "file" / "cache")
    assert str(tmp_path / "file" / "cache") in message
    assert "MINICNN_CACHE" in message


def test_a_read_only_folder_serves_what_it_has(root, monkeypatch):
    first = decode_all(folder.read(root), SIZE, skip_bad=False)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    second = decode_all(folder.read(root), SIZE, skip_bad=False)
    np.testing.assert_array_equal(first.images, second.images)
    os.utime(root / "a" / "2.png", ns=(1, 1))
    assert "MINICNN_CACHE" in error_of(folder.read(root))


def test_too_little_room_is_said_beforehand(root, decoded, monkeypatch):
    usage = namedtuple("usage", "total used free")
    need = 8 * 12 * 16 * 3
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(need, 0, need - 1))
    message = error_of(folder.read(root))
    assert str(root.parent / "cache") in message
    assert "MINICNN_CACHE" in message
    assert decoded == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(need, 0, need))
    assert len(decode_all(folder.read(root), SIZE, skip_bad=False)) == 8


def test_a_disk_that_fills_up_meanwhile(root, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = error_of(folder.read(root))
    assert "No space left on device" in message
    assert "MINICNN_CACHE" in message
    assert files(root) == []


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("Linux", ".cache/minicnn"),
        ("Darwin", "Library/Caches/minicnn"),
        ("Windows", "AppData/Local/minicnn"),
    ],
)
def test_the_platforms_folder(tmp_path, monkeypatch, system, expected):
    for name in ("MINICNN_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr("platform.system", lambda: system)
    assert cache_folder() == tmp_path / expected


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
