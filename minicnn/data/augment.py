"""Random flips, rotation, shear and zoom as Keras's ImageDataGenerator defines them, in one warp.

All of them are affine about the image's centre, so one matrix per image holds them and every output
pixel is sampled once. The same pass (``warp``) turns bytes into normalized floats.

Keras 3 reads its matrices as (column, row) and mixes up the two halves of the centre on the way, so
that it turns images that are not square about a point off their centre. Here the centre is meant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minicnn.data.warp import warp


@dataclass(frozen=True)
class Augment:
    """How far images are changed at random; the defaults change nothing.

    horizontal_flip, vertical_flip   mirror every second image
    rotation   degrees, drawn from (-rotation, rotation)
    shear      degrees, drawn from (-shear, shear). Keras counts in degrees since December 2017, so
               the 0.2 of the thesis (and of countless tutorials) moves nothing by even a pixel.
    zoom       height and width are drawn apart, each from (1 - zoom, 1 + zoom)
    scale      both are drawn together, from (1 - scale, 1 + scale): shapes stay what they are
    colour     how far light and camera vary: the network's input is multiplied by a factor from
               about (1 - colour, 1 + colour) and shifted by about (-colour, colour)
    still      share of the images that are only mirrored. All others are interpolated and so a
               little softer than test images: a network that met no sharp one does worse on them
    """

    horizontal_flip: bool = False
    vertical_flip: bool = False
    rotation: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    scale: float = 0.0
    colour: float = 0.0
    still: float = 0.0

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """(count, 2, 2) matrices from an output pixel's (row, column) to the input's.

        Both are measured from the image's centre.
        """
        theta = np.deg2rad(rng.uniform(-self.rotation, self.rotation, count))
        shear = np.deg2rad(rng.uniform(-self.shear, self.shear, count))
        zoom = rng.uniform(1 - self.zoom, 1 + self.zoom, (count, 2))
        if self.scale:
            zoom *= rng.uniform(1 - self.scale, 1 + self.scale, (count, 1))
        flips = rng.random((count, 2)) < 0.5
        matrices = compose(theta, shear, zoom)
        if self.still:
            matrices[rng.random(count) < self.still] = np.eye(2)
        for axis, wanted in enumerate((self.vertical_flip, self.horizontal_flip)):
            if wanted:
                matrices[flips[:, axis], :, axis] *= -1
        return matrices

    def draw_colours(
        self, rng: np.random.Generator, factor: np.ndarray, offset: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(factor, offset) of ``Normalization.terms``, (N, 3) float32, changed for every image.

        Contrast and brightness change for all three channels together, and for each a little more.
        """
        if not self.colour:
            return factor, offset
        N, c = len(factor), self.colour
        contrast = (1 + rng.uniform(-c, c, (N, 1))) * (1 + rng.uniform(-c / 3, c / 3, (N, 3)))
        brightness = rng.uniform(-c, c, (N, 1)) + rng.uniform(-c / 2, c / 2, (N, 3))
        changed = factor * contrast, offset * contrast + brightness
        return changed[0].astype(np.float32), changed[1].astype(np.float32)


def compose(theta: np.ndarray, shear: np.ndarray, zoom: np.ndarray) -> np.ndarray:
    """rotation @ shear @ zoom, (N, 2, 2), in Keras's order; theta, shear (N,) radians, zoom (N, 2).

    Keras's shear is [1, -sin; 0, cos].
    """
    rotation = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    slant = np.array([[np.ones_like(shear), -np.sin(shear)], [np.zeros_like(shear), np.cos(shear)]])
    return np.einsum("ijn,jkn->nik", rotation, slant) * zoom[:, None, :]


NO_CHANGE = np.eye(2)[None]


@dataclass(frozen=True)
class Normalization:
    """Bytes to floats: (byte / 255 - mean of the channel) / std.

    One std serves all channels, so that the int8 export can fold it into the input's scale.
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: float = 1.0

    @classmethod
    def of(cls, images: np.ndarray, positions: np.ndarray, most: int = 1000) -> Normalization:
        """Measured on at most ``most`` of the images (N, H, W, 3) uint8 at ``positions``."""
        chosen = positions[:: -(-len(positions) // most)]
        count = np.zeros((3, 256), np.int64)
        for position in chosen:
            for channel in range(3):
                count[channel] += np.bincount(images[position, ..., channel].ravel(), minlength=256)
        share = count / count.sum(axis=1, keepdims=True)
        values = np.arange(256) / 255
        mean = share @ values
        variance = (share * (values - mean[:, None]) ** 2).sum(axis=1).mean()
        # an image set of one colour has no spread to divide by
        red, green, blue = (float(m) for m in mean)
        return cls((red, green, blue), float(np.sqrt(variance)) or 1.0)

    def apply(self, images: np.ndarray) -> np.ndarray:
        """float32 (N, H, W, 3) of uint8 (N, H, W, 3), unchanged otherwise."""
        N = len(images)
        x = np.empty(images.shape, np.float32)
        warp(images, np.arange(N), NO_CHANGE.repeat(N, 0), *self.terms(N), x)
        return x

    def terms(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(factor, offset), each (count, 3) float32: an image's floats are byte * factor + offset.

        A row each, for augmentation changes the brightness of every image apart.
        """
        factor = np.full((count, 3), 1 / (255 * self.std))
        offset = np.tile(-np.array(self.mean) / self.std, (count, 1))
        return factor.astype(np.float32), offset.astype(np.float32)
