"""What is no readable image says why in a few words, and nothing else: no warning leaks."""

import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from minicnn.data.images import BadImage, _quiet, decode

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def saved(folder, image, name, **options):
    path = folder / name
    image.save(path, **options)
    return path


def reason(path):
    with pytest.raises(BadImage) as caught:
        decode(path)
    return str(caught.value)


def test_missing_empty_folder_and_text(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("this is no image\n" * 50)
    (tmp_path / "folder.jpg").mkdir()
    assert reason(tmp_path / "absent.jpg") == "no such file"
    assert reason(tmp_path / "empty.jpg") == "empty file (0 bytes)"
    assert reason(tmp_path / "text.jpg").startswith("not an image")
    assert reason(tmp_path / "folder.jpg")


@pytest.mark.parametrize("ending", ["jpg", "png", "bmp", "ppm", "tif"])
@pytest.mark.parametrize("share", [0.9, 0.5])
def test_truncated(tmp_path, ending, share):
    path = saved(tmp_path, Image.fromarray(NOISE), f"cut.{ending}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert reason(path) == "truncated"


def test_damaged_inside(tmp_path):
    path = saved(tmp_path, Image.fromarray(NOISE), "hurt.png")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path.write_bytes(content)
    assert reason(path)


def png_header(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9)))


def test_decompression_bomb(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(60000, 60000))
    assert reason(path).startswith("decompression bomb")


def test_another_kind_of_file_is_not_tried(tmp_path):
    """Pillow would hand PostScript to another program."""
    path = saved(tmp_path, Image.fromarray(NOISE), "a.eps").rename(tmp_path / "a.jpg")
    assert reason(path).startswith("not an image")


def test_no_warning_leaks(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(NOISE), "large.png")
    cut = saved(tmp_path, Image.fromarray(NOISE), "cut.tif", compression="tiff_lzw")
    cut.write_bytes(cut.read_bytes()[:-20])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # Pillow warns above it
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert decode(path).shape == NOISE.shape
        reason(cut)
    assert seen == []


def test_overlapping_threads_restore_the_filters():
    """The first thread in leaves before the second one does."""
    before = list(warnings.filters)
    second_in, first_out = threading.Event(), threading.Event()

    def second():
        with _quiet:
            second_in.set()
            first_out.wait(10)

    thread = threading.Thread(target=second)
    with _quiet:
        thread.start()
        assert second_in.wait(10)
    assert warnings.filters != before
    first_out.set()
    thread.join()
    assert warnings.filters == before


def test_pixels_without_a_known_range_are_refused(tmp_path):
    beyond = Image.fromarray(np.full((4, 6), 65536, np.int32))
    assert "outside 0..65535" in reason(saved(tmp_path, beyond, "beyond.tif"))
    real = Image.fromarray(np.zeros((4, 6), np.float32))
    assert "floating-point" in reason(saved(tmp_path, real, "real.tif"))
