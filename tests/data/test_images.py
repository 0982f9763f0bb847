"""Every kind of image file becomes 8-bit RGB, with its colours and the right way up."""

import numpy as np
import pytest
from PIL import Image

from minicnn.data.images import decode, load

RAMP = np.linspace(0, 65535, 40 * 60).round().reshape(40, 60).astype(np.uint16)
COLOURS = np.stack(
    np.broadcast_arrays(np.arange(0, 240, 6)[:, None], np.arange(0, 240, 4), np.uint8(90)), -1
).astype(np.uint8)


def saved(folder, image, name, **options):
    path = folder / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.PNG"])
def test_lossless_rgb_comes_back_exactly(tmp_path, name):
    pixels = decode(saved(tmp_path, Image.fromarray(COLOURS), name))
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, COLOURS)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_rgb_comes_back_nearly(tmp_path, name):
    pixels = decode(saved(tmp_path, Image.fromarray(COLOURS), name, quality=95))
    assert np.abs(pixels.astype(int) - COLOURS).mean() < 4


def test_the_content_counts_not_the_ending(tmp_path):
    path = saved(tmp_path, Image.fromarray(COLOURS), "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(decode(path), COLOURS)


def test_grayscale_fills_three_channels(tmp_path):
    gray = COLOURS[..., 1]
    pixels = decode(saved(tmp_path, Image.fromarray(gray), "gray.png"))
    np.testing.assert_array_equal(pixels, np.repeat(gray[..., None], 3, -1))


def test_bilevel_becomes_black_and_white(tmp_path):
    bits = COLOURS[..., 1] > 100
    pixels = decode(saved(tmp_path, Image.fromarray(bits), "bits.png"))
    np.testing.assert_array_equal(pixels[..., 2], bits * np.uint8(255))


def test_palette_is_looked_up(tmp_path):
    palette = Image.fromarray(COLOURS).quantize(16)
    pixels = decode(saved(tmp_path, palette, "palette.png"))
    np.testing.assert_array_equal(pixels, np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("name", ["palette.png", "palette.gif"])
def test_transparent_palette_colour_turns_white(tmp_path, name):
    palette = Image.new("P", (6, 4), 0)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((0, 0), 1)
    pixels = decode(saved(tmp_path, palette, name, transparency=1))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [10, 20, 30]


def test_alpha_is_laid_over_white(tmp_path):
    image = Image.new("RGBA", (3, 1), (200, 0, 100, 255))
    image.putpixel((1, 0), (200, 0, 100, 0))
    image.putpixel((2, 0), (200, 0, 100, 128))
    pixels = decode(saved(tmp_path, image, "alpha.png"))[0].astype(int)
    assert pixels[:2].tolist() == [[200, 0, 100], [255, 255, 255]]
    assert np.abs(pixels[2] - [227, 127, 177]).max() <= 1


def test_gray_with_alpha(tmp_path):
    pixels = decode(saved(tmp_path, Image.new("LA", (2, 2), (60, 0)), "la.png"))
    assert (pixels == 255).all()


@pytest.mark.parametrize(("name", "slack"), [("cmyk.tif", 0), ("cmyk.jpg", 6)])
def test_cmyk_keeps_its_colour(tmp_path, name, slack):
    """Pillow writes a CMYK JPEG inverted, with the Adobe marker, as Photoshop does."""
    pixels = decode(saved(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), name))
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() <= slack


def expected_eight_bits():
    return np.floor(RAMP / 257 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name):
    pixels = decode(saved(tmp_path, Image.fromarray(RAMP), name))
    np.testing.assert_array_equal(pixels[..., 0], expected_eight_bits())
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_big_endian_and_32_bit_tiff_are_scaled_too(tmp_path):
    wide = saved(tmp_path, Image.fromarray(RAMP.astype(np.int32)), "wide.tif")
    np.testing.assert_array_equal(decode(wide)[..., 1], expected_eight_bits())
    pgm = tmp_path / "deep.ppm"
    pgm.write_bytes(b"P5 60 40 65535\n" + RAMP.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode(pgm)[..., 1], expected_eight_bits())


@pytest.mark.parametrize("name", ["turned.png", "turned.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation, name):
    """Where EXIF says the stored top-left pixel belongs: row first, then column."""
    ends = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}
    image = Image.new("RGB", (6, 4))
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(saved(tmp_path, image, name, exif=exif))
    assert pixels.shape == ((4, 6, 3) if orientation < 5 else (6, 4, 3))
    row, column = ends[orientation]
    assert pixels[0 if row == "t" else -1, 0 if column == "l" else -1].tolist() == [255, 0, 0]


def test_a_damaged_exif_block_does_no_harm(tmp_path):
    path = saved(tmp_path, Image.fromarray(COLOURS), "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(path).shape == COLOURS.shape


def test_exif_that_pillow_gives_up_on_does_no_harm(tmp_path, monkeypatch):
    def give_up(self):
        raise SyntaxError("not a TIFF file")

    path = saved(tmp_path, Image.fromarray(COLOURS), "a.jpg")
    monkeypatch.setattr(Image.Image, "getexif", give_up)
    assert decode(path).shape == COLOURS.shape


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    for name in ("moves.gif", "moves.png", "moves.webp", "pages.tif"):
        options = {"lossless": True} if name.endswith("webp") else {}
        path = saved(tmp_path, frames[0], name, save_all=True, append_images=frames[1:], **options)
        assert decode(path)[4, 4].tolist() == [255, 0, 0], name


def test_load_keeps_the_pixels_at_the_same_size(tmp_path):
    path = saved(tmp_path, Image.fromarray(COLOURS), "a.png")
    np.testing.assert_array_equal(load(path, (40, 60)), COLOURS)


def test_load_averages_when_it_reduces(tmp_path):
    """One-pixel stripes become gray; taking every n-th pixel would leave them black or white."""
    stripes = np.zeros((64, 96), np.uint8)
    stripes[:, ::2] = 255
    pixels = load(saved(tmp_path, Image.fromarray(stripes), "stripes.png"), (8, 12))
    assert pixels.shape == (8, 12, 3)
    assert 110 < pixels.min() <= pixels.max() < 145


def test_load_stretches_height_and_width_apart(tmp_path):
    assert load(saved(tmp_path, Image.fromarray(COLOURS), "a.png"), (90, 31)).shape == (90, 31, 3)
