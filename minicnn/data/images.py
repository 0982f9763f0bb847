"""Read one image file, of whatever kind, as 8-bit RGB."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

# Only these are tried: Pillow knows more, but some of those start another program (EPS).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")

EXIF_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(Exception):
    """A file that cannot be read as an image; its text is the reason in a few words."""


def decode(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image file.

    Grayscale, bilevel, palette, CMYK and 16-bit images are converted; transparency is laid over
    white, as viewers show it; the EXIF orientation is applied; of an animation the first frame
    is taken.

    Returns
    -------
    (H, W, 3) uint8, RGB

    Raises
    ------
    BadImage
        The file is missing, empty, cut off, damaged, not an image, or too large to be honest.
    """
    return np.array(_open_rgb(Path(path)))


def load(path: str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """Read an image file and stretch it to ``size`` (H, W): (H, W, 3) uint8, RGB.

    The resize is Pillow's bilinear, which averages over all source pixels when it reduces.
    Raises BadImage as :func:`decode` does.
    """
    image = _open_rgb(Path(path))
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(image)


class _PillowQuiet:
    """Silence Pillow's warnings while any thread is in the block.

    ``warnings.catch_warnings`` swaps a list of the whole process: threads that overlap would
    restore each other's. So the first one in swaps it and the last one out restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module="PIL")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


_quiet = _PillowQuiet()


def _open_rgb(path: Path) -> Image.Image:
    try:
        if path.stat().st_size == 0:
            raise BadImage("empty file (0 bytes)")
        with _quiet, Image.open(path, formats=FORMATS) as image:
            image.load()
            return _to_rgb(_upright(image))
    except BadImage:
        raise
    except Exception as error:  # on a damaged file Pillow's readers fail with almost any type
        raise BadImage(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or its header is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return "decompression bomb: far more pixels than a photograph has"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = " ".join(str(error).split())
    return "truncated" if "truncat" in text.lower() else f"damaged ({text[:80]})"


def _upright(image: Image.Image) -> Image.Image:
    """Turn a loaded image as its EXIF orientation says."""
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block says nothing about the pixels: take them as they lie
        return image
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise BadImage("floating-point pixels, whose range is unknown")
    if image.mode.startswith("I"):
        return _eight_bits(image).convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grayscale; Pillow's own conversion would clip at 255 and leave it white."""
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("pixel values outside 0..65535")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))  # 65535 = 255 * 257
