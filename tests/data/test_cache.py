"""The cache of decoded images: built once, rebuilt when it must be, honest about bad images."""

import json
import os
import shutil

import numpy as np
import pytest

from minicnn.data import cache, folder, images
from minicnn.data.cache import decode_all
from minicnn.errors import UserError

SIZE = (12, 16)


def files(root):
    return sorted(path.name for path in (root.parent / "cache").iterdir())


def error_of(index, skip_bad=False, cache_dir=None):
    with pytest.raises(UserError) as caught:
        decode_all(index, SIZE, skip_bad, cache_dir)
    return str(caught.value)


def test_images_come_in_order_read_only_and_mapped(root):
    index = folder.read(root)
    dataset = decode_all(index, SIZE, skip_bad=False)
    assert isinstance(dataset.images, np.memmap)
    assert dataset.images.shape == (8, *SIZE, 3)
    assert dataset.images.dtype == np.uint8
    for path, pixels in zip(index.paths, dataset.images, strict=True):
        np.testing.assert_array_equal(pixels, images.load(path, SIZE))
    with pytest.raises(ValueError, match="read-only"):
        dataset.images[0] = 0
    assert dataset.labels.tolist() == [0] * 4 + [1] * 4
    assert dataset.skipped == ()
    assert dataset.source == str(root)


def test_more_images_than_one_chunk(root, monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 3)
    index = folder.read(root)
    dataset = decode_all(index, SIZE, skip_bad=False)
    for path, pixels in zip(index.paths, dataset.images, strict=True):
        np.testing.assert_array_equal(pixels, images.load(path, SIZE))


def test_second_run_decodes_nothing(root, decoded):
    first = decode_all(folder.read(root), SIZE, skip_bad=False)
    assert len(decoded) == 8
    second = decode_all(folder.read(root), SIZE, skip_bad=False)
    assert len(decoded) == 8
    np.testing.assert_array_equal(first.images, second.images)


def test_changed_source_is_decoded_again_and_the_old_cache_goes(root, write_image):
    before = decode_all(folder.read(root), SIZE, skip_bad=False)
    old = files(root)
    write_image(root / "a" / "2.png", 99)
    after = decode_all(folder.read(root), SIZE, skip_bad=False)
    np.testing.assert_array_equal(after.images[1], images.load(root / "a" / "2.png", SIZE))
    assert (after.images[1] != before.images[1]).any()
    assert len(files(root)) == 2
    assert not set(files(root)) & set(old)


def test_a_newer_time_alone_is_a_change(root, decoded):
    decode_all(folder.read(root), SIZE, skip_bad=False)
    os.utime(root / "a" / "2.png", ns=(1, 1))
    decode_all(folder.read(root), SIZE, skip_bad=False)
    assert len(decoded) == 16


def test_another_length_alone_is_a_change(root, decoded):
    path = root / "a" / "2.png"
    decode_all(folder.read(root), SIZE, skip_bad=False)
    time = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() + b" ")
    os.utime(path, ns=(time, time))
    decode_all(folder.read(root), SIZE, skip_bad=False)
    assert len(decoded) == 16


def test_an_added_image_is_a_change(root, write_image):
    decode_all(folder.read(root), SIZE, skip_bad=False)
    write_image(root / "b" / "new.png", 50)
    assert len(decode_all(folder.read(root), SIZE, skip_bad=False)) == 9


def test_another_decoder_is_a_change(root, decoded, monkeypatch):
    decode_all(folder.read(root), SIZE, skip_bad=False)
    monkeypatch.setattr(cache, "DECODER", cache.DECODER + 1)
    decode_all(folder.read(root), SIZE, skip_bad=False)
    assert len(decoded) == 16


def test_sizes_and_sources_keep_their_own_caches(root, tmp_path, decoded):
    shutil.copytree(root, tmp_path / "copy")
    for source, size in ((root, SIZE), (root, (16, 12)), (tmp_path / "copy", SIZE)):
        assert decode_all(folder.read(source), size, skip_bad=False).size == size
    assert len(files(root)) == 6
    decode_all(folder.read(root), SIZE, skip_bad=False)
    assert len(decoded) == 24


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty", "garbage"])
def test_a_damaged_cache_is_built_again(root, ending, damage):
    whole = np.array(decode_all(folder.read(root), SIZE, skip_bad=False).images)
    path = next((root.parent / "cache").glob(f"*{ending}"))
    if damage == "gone":
        path.unlink()
    else:
        content = {"cut": path.read_bytes()[:-9], "empty": b"", "garbage": b"\xff{}" * 99}
        path.write_bytes(content[damage])
    again = decode_all(folder.read(root), SIZE, skip_bad=False)
    np.testing.assert_array_equal(again.images, whole)


def test_bad_images_are_named_with_reasons(root, decoded):
    (root / "a" / "2.png").write_bytes(b"")
    (root / "b" / "3.png").write_text("not a picture")
    for _ in range(2):  # the second time from the cache
        message = error_of(folder.read(root))
        assert "2 of 8 images" in message
        assert "a/2.png (empty file (0 bytes))" in message
        assert "b/3.png (not an image" in message
        assert "--skip-bad" in message
        assert "\n" not in message
    assert len(decoded) == 8


def test_skip_bad_leaves_them_out(root, decoded):
    (root / "a" / "2.png").write_bytes(b"")
    (root / "b" / "7.png").write_bytes((root / "b" / "7.png").read_bytes()[:300])
    index = folder.read(root)
    for _ in range(2):
        dataset = decode_all(index, SIZE, skip_bad=True)
        assert dataset.skipped == (("a/2.png", "empty file (0 bytes)"), ("b/7.png", "truncated"))
        assert len(dataset) == len(dataset.images) == len(dataset.lesions) == 6
        assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
        for name, pixels in zip(dataset.names, dataset.images, strict=True):
            np.testing.assert_array_equal(pixels, images.load(root / name, SIZE))
    assert len(decoded) == 8 + 12


def test_ten_are_named_the_rest_counted(root):
    for i in range(20, 33):
        (root / "a" / f"{i}.png").touch()
    message = error_of(folder.read(root))
    assert message.count("empty file") == 10
    assert "13 of 21 images" in message
    assert "and 3 more" in message


def test_a_class_without_a_good_image(root):
    for path in (root / "b").iterdir():
        path.write_bytes(b"")
    message = error_of(folder.read(root), skip_bad=True)
    assert "class 'b'" in message
    assert "'a'" not in message


def test_nothing_but_bad_images(root):
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    for _ in range(2):
        assert "8 of 8 images" in error_of(folder.read(root), skip_bad=True)


def test_a_missing_image_is_noticed_when_it_appears(root, decoded):
    index = folder.read(root)
    kept = (root / "a" / "2.png").rename(root.parent / "kept.png")
    assert "a/2.png (no such file)" in error_of(index)
    assert len(decode_all(index, SIZE, skip_bad=True)) == 7
    assert len(decoded) == 8
    kept.rename(root / "a" / "2.png")
    assert len(decode_all(index, SIZE, skip_bad=False)) == 8


def test_the_json_names_the_bad_images(root):
    (root / "a" / "2.png").write_bytes(b"")
    error_of(folder.read(root))
    notes = json.loads(next((root.parent / "cache").glob("*.json")).read_text())
    assert notes["bad"] == [{"position": 1, "name": "a/2.png", "reason": "empty file (0 bytes)"}]
