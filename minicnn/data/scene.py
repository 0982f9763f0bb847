"""The brushes that :mod:`minicnn.data.lesions` paints with: fields, dots, strokes, an outline.

Only ``+ - * / sqrt``, floor, comparisons and ``Generator.random`` are used: IEEE 754 fixes each
to the last bit, which sine, exp or a matrix product are not, so that the bytes are the same on
every machine.
"""

from __future__ import annotations

import numpy as np

Colour = tuple[float, float, float]


def ease(t: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a smooth step between."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """One number from [low, high)."""
    return low + (high - low) * rng.random()


def direction(rng: np.random.Generator) -> np.ndarray:
    """A unit vector (2,) of any angle, found without sine or cosine."""
    while True:
        point = 2.0 * rng.random(2) - 1.0
        length2 = point[0] * point[0] + point[1] * point[1]
        if 0.01 < length2 < 1.0:
            return point / np.sqrt(length2)


class Scene:
    """A picture in the making, with one frame for the picture and one for the lesion.

    x (1, W), y (H, 1)   picture frame: 0 in the middle, half the shorter side is 1
    u, v (H, W)          lesion frame: turned and stretched so that the border is near radius 1
    radius (H, W)        distance from the lesion's centre, in the lesion frame
    image (H, W, 3)      float64 RGB, 0 to 1, black at first
    rng                  the lesion's stream: what is drawn from it is the same in all its views
    pixel                the width of a pixel, in the picture frame
    """

    def __init__(
        self, size: tuple[int, int], lesion: np.random.Generator, view: np.random.Generator
    ) -> None:
        height, width = size
        half = min(size) / 2.0
        self.rng = lesion
        self.pixel = 1.0 / half
        self.x = ((np.arange(width) + 0.5) - width / 2.0)[None, :] / half
        self.y = ((np.arange(height) + 0.5) - height / 2.0)[:, None] / half
        a, b = direction(view)
        self.turn = a, b
        self.centre = 0.64 * view.random(2) - 0.32
        self.scale = between(lesion, 0.52, 0.74) * between(view, 0.88, 1.12)
        stretch = between(lesion, 1.0, 1.2)
        self.axes = np.array([stretch, 1.0 / stretch])
        x, y = self.x - self.centre[0], self.y - self.centre[1]
        self.u = (a * x + b * y) / (self.scale * self.axes[0])
        self.v = (a * y - b * x) / (self.scale * self.axes[1])
        self.radius = np.sqrt(self.u * self.u + self.v * self.v)
        self.image = np.zeros((height, width, 3))

    def blend(self, one: Colour, other: Colour) -> np.ndarray:
        """A colour (3,) somewhere between two."""
        share = self.rng.random()
        return np.array(one) * (1.0 - share) + np.array(other) * share

    def paint(self, colour: Colour | np.ndarray, cover: np.ndarray) -> None:
        """Lay a colour over the picture where ``cover`` (H, W), 0 to 1, says."""
        self.image += cover[:, :, None] * (np.asarray(colour) - self.image)

    def noise(self, frequency: float) -> np.ndarray:
        """Smooth random field (H, W) in -1..1, ``frequency`` swings per lesion radius."""
        table = 2.0 * self.rng.random(256) - 1.0
        a, b = frequency * direction(self.rng)
        u, v = a * self.u + b * self.v + 0.5, a * self.v - b * self.u + 0.5
        i, j = np.floor(u), np.floor(v)
        s, t = ease(u - i), ease(v - j)
        row, col = i.astype(np.int64), j.astype(np.int64)
        rows = ((row & 15) * 16, (row + 1 & 15) * 16)
        cols = (col & 15, col + 1 & 15)
        top, bottom = (table[r + cols[0]] * (1.0 - t) + table[r + cols[1]] * t for r in rows)
        return top * (1.0 - s) + bottom * s

    def patches(self, frequency: float, share: float) -> np.ndarray:
        """Soft-edged random areas (H, W), 0 to 1, that cover about ``share`` of the picture."""
        field = 0.75 * self.noise(frequency) + 0.4 * self.noise(2.0 * frequency)
        return ease((field + share - 0.5) * 2.5 + 0.5)

    def outline(self, lopsided: float, ragged: float, edge: float) -> np.ndarray:
        """The lesion's cover (H, W): an ellipse, bent as a whole and along its border.

        ``edge`` is the width of the transition to the skin, in lesion radii.
        """
        bend = lopsided * self.noise(0.9) + ragged * self.noise(2.6)
        return ease((1.0 - self.radius + bend) / edge + 0.5)

    def network(self, period: float, wobble: float) -> np.ndarray:
        """Lines of a pigment network (H, W), 0 to 1: meshes of ``period`` radii round pale holes.

        Three waves 120 degrees apart add up to a honeycomb.
        """
        u = self.u / period + wobble * self.noise(1.5)
        v = self.v / period + wobble * self.noise(1.5)
        total = np.zeros_like(u)
        for t in (u, 0.866 * v - 0.5 * u, -0.866 * v - 0.5 * u):
            t = 2.0 * (t - np.floor(t)) - 1.0
            total += t * t
        return ease((1.25 - total) / 0.5)

    def spots(self, count: int, reach: float) -> np.ndarray:
        """Random points (K, 2) within ``reach`` radii of the lesion's centre, K below ``count``."""
        points = reach * (2.0 * self.rng.random((count, 2)) - 1.0)
        x, y = points.T
        return points[x * x + y * y < reach * reach]

    def domes(self, points: np.ndarray, small: float, large: float) -> np.ndarray:
        """Round domes (H, W) at ``points`` (K, 2): 1 on top, 0 outside radii of small to large."""
        if not len(points):
            return np.zeros_like(self.u)
        size = small + (large - small) * self.rng.random((len(points), 1, 1))
        size = np.maximum(size * self.scale, 0.8 * self.pixel)
        place = self.to_picture(points)
        x = (self.x - place[:, 0, None, None]) / size
        y = (self.y - place[:, 1, None, None]) / size
        return np.maximum((1.0 - (x * x + y * y)).max(axis=0), 0.0)

    def dots(self, points: np.ndarray, small: float, large: float) -> np.ndarray:
        """The cover (H, W), 0 to 1, of round dots; the arguments are those of :meth:`domes`."""
        return np.minimum(1.5 * self.domes(points, small, large), 1.0)

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Points (K, 2) of the lesion frame in the picture frame."""
        x, y = (points * self.axes * self.scale).T
        a, b = self.turn
        return np.stack([a * x - b * y, b * x + a * y], axis=1) + self.centre

    def strokes(
        self, start: np.ndarray, end: np.ndarray, bend: np.ndarray, width: float
    ) -> np.ndarray:
        """Bent lines (H, W), 0 to 1, from ``start`` to ``end``, both (K, 2) in the picture frame.

        ``bend`` (K,) is four times the sagitta over the length, ``width`` half a line's width.
        """
        x = self.x - start[:, 0, None, None]
        y = self.y - start[:, 1, None, None]
        a, b = (end - start).T[:, :, None, None]
        length = np.sqrt(a * a + b * b)
        s = (x * a + y * b) / (length * length)
        t = (y * a - x * b) / length - bend[:, None, None] * length * s * (1.0 - s)
        cover = np.clip(1.5 - np.abs(t) / max(width, 0.5 * self.pixel), 0.0, 1.0)
        cover *= np.clip(16.0 * s * (1.0 - s), 0.0, 1.0)
        return cover.max(axis=0)
