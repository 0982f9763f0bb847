"""The seven classes of the generated set, each as a recipe a student can learn to see.

The rules follow dermatology's ABCD (asymmetry, border, colour, dermoscopic structure):

akiec  reddish, ill-defined; pale round follicles on red, and whitish scale
bcc    pinkish and pale; blue-grey ovoid blobs, thin branching red vessels
bkl    sharp "stuck-on" border; many small pale (milia) and dark (comedo) dots, evenly spread
df     white patch in the centre, a faint brown network in a ring around it
mel    asymmetric, ragged; three or more colours in patches, streaks, irregular dark dots
nv     symmetric, smooth; one or two browns, centred, with a fine regular network
vasc   red to purple round lacunae, crowded and sharp

Ground colours overlap between classes on purpose: the structure decides, not the mean colour.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.data import clutter
from minicnn.data.scene import Colour, Scene, between, direction, ease

TAN: Colour = (0.70, 0.50, 0.37)
BROWN: Colour = (0.52, 0.33, 0.23)
DARK: Colour = (0.33, 0.20, 0.15)
BLACK: Colour = (0.15, 0.11, 0.11)
BLUE: Colour = (0.41, 0.45, 0.54)
PINK: Colour = (0.85, 0.62, 0.56)
RED: Colour = (0.74, 0.34, 0.31)
PURPLE: Colour = (0.42, 0.17, 0.27)
PALE: Colour = (0.95, 0.88, 0.82)
YELLOW: Colour = (0.89, 0.77, 0.56)
GROUNDS = (TAN, BROWN, DARK, PINK, RED, PURPLE, PALE, YELLOW)
SKIN_LIGHT: Colour = (0.94, 0.80, 0.74)
SKIN_TANNED: Colour = (0.79, 0.60, 0.49)


def _ground(scene: Scene, mask: np.ndarray, *colours: Colour) -> None:
    """Fill the lesion with a blend of two of the colours, drawn with repetition."""
    rng = scene.rng
    one, other = (colours[int(len(colours) * rng.random())] for _ in range(2))
    scene.paint(scene.blend(one, other), between(rng, 0.5, 0.95) * mask)


def _akiec(scene: Scene) -> None:
    rng = scene.rng
    mask = scene.outline(between(rng, 0.1, 0.25), between(rng, 0.1, 0.3), between(rng, 0.4, 0.8))
    _ground(scene, mask, RED, PINK, TAN, BROWN)
    scene.paint(RED, between(rng, 0.1, 0.5) * mask * scene.patches(1.5, 0.4))
    follicles = mask * scene.dots(scene.spots(40, 1.0), 0.09, 0.15)
    scene.paint(scene.blend(PALE, YELLOW), between(rng, 0.5, 0.9) * follicles)
    scene.paint(PALE, between(rng, 0.0, 0.4) * mask * scene.patches(2.5, 0.1))


def _bcc(scene: Scene) -> None:
    rng = scene.rng
    mask = scene.outline(between(rng, 0.05, 0.2), between(rng, 0.05, 0.15), between(rng, 0.15, 0.5))
    _ground(scene, mask, PINK, PALE, TAN)
    blobs = scene.dots(scene.spots(9, 0.9), 0.14, 0.30)
    scene.paint(scene.blend(BLUE, DARK), between(rng, 0.6, 0.95) * blobs)
    _vessels(scene, trunks=2 + int(3 * rng.random()))


def _vessels(scene: Scene, trunks: int) -> None:
    """Thin red trunks across the lesion, each with three branches."""
    rng = scene.rng
    start, end = [], []
    for _ in range(trunks):
        heading = direction(rng)
        root = 0.8 * (rng.random(2) - 0.5) - 0.8 * heading
        start.append(root)
        end.append(root + between(rng, 1.0, 1.6) * heading)
        for _ in range(3):
            fork = root + between(rng, 0.3, 0.9) * heading
            start.append(fork)
            end.append(fork + between(rng, 0.3, 0.5) * (heading + 0.9 * direction(rng)))
    bend = 1.6 * rng.random(len(start)) - 0.8
    places = scene.to_picture(np.array(start)), scene.to_picture(np.array(end))
    lines = scene.strokes(*places, bend, 0.012)
    scene.paint(scene.blend(RED, PURPLE), between(rng, 0.5, 0.9) * lines)


def _bkl(scene: Scene) -> None:
    rng = scene.rng
    mask = scene.outline(between(rng, 0.05, 0.25), between(rng, 0.05, 0.15), 0.08)
    _ground(scene, mask, YELLOW, TAN, BROWN, RED, DARK)
    scene.paint(DARK, between(rng, 0.0, 0.4) * mask * scene.patches(1.5, 0.3))
    milia = mask * scene.dots(scene.spots(32, 1.0), 0.06, 0.10)
    scene.paint(scene.blend(PALE, YELLOW), between(rng, 0.5, 0.9) * milia)
    comedos = mask * scene.dots(scene.spots(24, 1.0), 0.07, 0.12)
    scene.paint(scene.blend(DARK, BLACK), between(rng, 0.5, 0.9) * comedos)


def _df(scene: Scene) -> None:
    rng = scene.rng
    mask = scene.outline(between(rng, 0.02, 0.1), between(rng, 0.02, 0.08), between(rng, 0.3, 0.7))
    _ground(scene, mask, TAN, PINK, BROWN)
    net = mask * scene.network(between(rng, 0.28, 0.4), 0.15)
    scene.paint(scene.blend(BROWN, DARK), between(rng, 0.3, 0.7) * net)
    heart = ease((between(rng, 0.35, 0.55) - scene.radius + 0.2 * scene.noise(1.5)) / 0.3 + 0.5)
    scene.paint(PALE, between(rng, 0.6, 0.95) * heart)


def _mel(scene: Scene) -> None:
    rng = scene.rng
    mask = scene.outline(between(rng, 0.2, 0.5), between(rng, 0.15, 0.35), between(rng, 0.1, 0.4))
    _ground(scene, mask, TAN, BROWN, DARK, RED)
    scene.paint(PALE, between(rng, 0.0, 0.6) * mask * scene.patches(1.1, 0.2))
    for colour in (DARK, BLUE, BLACK):
        area = mask * scene.patches(1.1, between(rng, 0.1, 0.35))
        scene.paint(colour, between(rng, 0.4, 0.9) * area)
    side = direction(rng)
    dots = mask * scene.dots(scene.spots(16, 0.6) + 0.4 * side, 0.05, 0.14)
    scene.paint(scene.blend(DARK, BLACK), between(rng, 0.4, 0.9) * dots)
    if rng.random() < 0.85:
        _streaks(scene, side)


def _streaks(scene: Scene, side: np.ndarray) -> None:
    """Short dark fingers that leave the border on one side only."""
    rng = scene.rng
    along = np.stack([side + 0.8 * direction(rng) for _ in range(12)])
    along /= np.sqrt(along[:, :1] * along[:, :1] + along[:, 1:] * along[:, 1:])
    end = along * (1.0 + 0.25 * rng.random((len(along), 1)))
    bend = 0.8 * rng.random(len(along)) - 0.4
    fingers = scene.strokes(scene.to_picture(0.65 * along), scene.to_picture(end), bend, 0.022)
    scene.paint(scene.blend(DARK, BLACK), between(rng, 0.4, 0.9) * fingers)


def _nv(scene: Scene) -> None:
    rng = scene.rng
    mask = scene.outline(between(rng, 0.02, 0.2), between(rng, 0.02, 0.12), between(rng, 0.1, 0.5))
    _ground(scene, mask, TAN, BROWN, DARK, PINK, RED, PURPLE)
    heart = ease((between(rng, 0.3, 0.7) - scene.radius) / 0.5 + 0.5)
    scene.paint(scene.blend(PALE, BLACK), between(rng, 0.0, 0.8) * mask * heart)
    net = mask * scene.network(between(rng, 0.28, 0.4), between(rng, 0.05, 0.2))
    scene.paint(scene.blend(BROWN, BLACK), between(rng, 0.3, 0.8) * net)


def _vasc(scene: Scene) -> None:
    rng = scene.rng
    mask = scene.outline(between(rng, 0.05, 0.2), between(rng, 0.03, 0.12), between(rng, 0.1, 0.5))
    _ground(scene, mask, PINK, RED, TAN)
    for _ in range(2):
        lacunae = scene.domes(scene.spots(13, 0.9), 0.22, 0.38)
        scene.paint(PINK, between(rng, 0.3, 0.8) * np.minimum(5.0 * lacunae, 1.0))
        colour = scene.blend(RED, PURPLE) if rng.random() < 0.85 else scene.blend(PURPLE, BLACK)
        scene.paint(colour, between(rng, 0.65, 0.95) * np.clip(5.0 * lacunae - 1.5, 0.0, 1.0))


RECIPES: dict[str, Callable[[Scene], None]] = {
    "akiec": _akiec,
    "bcc": _bcc,
    "bkl": _bkl,
    "df": _df,
    "mel": _mel,
    "nv": _nv,
    "vasc": _vasc,
}


def picture(
    name: str, size: tuple[int, int], lesion: np.random.Generator, view: np.random.Generator
) -> np.ndarray:
    """One view of one lesion of class ``name``: (H, W, 3) uint8 RGB.

    Both streams must be fresh: each view of a lesion starts the ``lesion`` stream anew, and so
    finds the same lesion, and has a ``view`` stream of its own.
    """
    scene = Scene(size, lesion, view)
    scene.image[:] = scene.blend(SKIN_LIGHT, SKIN_TANNED)
    scene.image *= 1.0 + 0.05 * scene.noise(0.7)[:, :, None]
    RECIPES[name](scene)
    _veil(scene)
    clutter.add(scene, view)
    return (np.clip(scene.image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _veil(scene: Scene) -> None:
    """Erythema, crust or a shadow over and around the lesion: a tint that tells no class."""
    rng = scene.rng
    colour = scene.blend(*(GROUNDS[int(len(GROUNDS) * rng.random())] for _ in range(2)))
    cover = ease(1.2 - 0.5 * scene.radius + 0.3 * scene.noise(0.8))
    scene.paint(colour, between(rng, 0.0, 0.3) * cover)
