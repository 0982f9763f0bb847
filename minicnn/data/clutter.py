"""What lies between a lesion and its picture: hairs, bubbles, a ruler, the light, the camera.

It says nothing about the class. The arithmetic is as restricted as in :mod:`minicnn.data.scene`.
"""

from __future__ import annotations

import numpy as np

from minicnn.data.scene import Scene, between, direction


def add(scene: Scene, view: np.random.Generator) -> None:
    """Change ``scene.image`` (H, W, 3) into what one photograph shows of it."""
    for draw, share in ((_hairs, 0.4), (_bubbles, 0.15), (_ruler, 0.12)):
        if view.random() < share:
            draw(scene, view)
    _light(scene, view)
    scene.image = _blur(scene.image, between(view, 0.0, 0.4))
    strength = between(view, 0.01, 0.035)
    # Last, because no other draw depends on the resolution. Three uniform draws are normal enough.
    grain = view.random((3, *scene.image.shape))
    scene.image += strength * (grain[0] + grain[1] + grain[2] - 1.5)


def _hairs(scene: Scene, view: np.random.Generator) -> None:
    count = 1 + int(5 * view.random())
    along = np.stack([direction(view) for _ in range(count)])
    start = 2.0 * (view.random((count, 2)) - 0.5) - along
    end = start + along * (1.0 + 1.5 * view.random((count, 1)))
    hairs = scene.strokes(start, end, 0.8 * view.random(count) - 0.4, 0.012)
    scene.paint((0.20, 0.14, 0.12), between(view, 0.4, 0.9) * hairs)


def _bubbles(scene: Scene, view: np.random.Generator) -> None:
    """Bright rims of air bubbles in the immersion gel."""
    points = 2.0 * view.random((4, 2)) - 1.0
    size = 0.05 + 0.08 * view.random(4)[:, None, None]
    x, y = scene.x - points[:, 0, None, None], scene.y - points[:, 1, None, None]
    distance = (x * x + y * y) / (size * size)
    rims = np.clip(1.0 - np.abs(distance - 1.0), 0.0, 1.0).max(axis=0)
    scene.paint((1.0, 1.0, 1.0), 0.45 * rims)


def _ruler(scene: Scene, view: np.random.Generator) -> None:
    """A row of marks near an edge."""
    along = direction(view)
    across = np.array([-along[1], along[0]])
    start = between(view, 0.75, 0.95) * across + 0.2 * np.arange(-7, 8)[:, None] * along
    marks = scene.strokes(start, start + 0.15 * across, np.zeros(len(start)), 0.012)
    scene.paint((0.15, 0.15, 0.20), 0.7 * marks)


def _light(scene: Scene, view: np.random.Generator) -> None:
    """Light from one side, darker corners, exposure, white balance."""
    side = between(view, 0.0, 0.12) * direction(view)
    light = between(view, 0.85, 1.1) + side[0] * scene.x + side[1] * scene.y
    light -= between(view, 0.0, 0.15) * (scene.x * scene.x + scene.y * scene.y)
    scene.image *= light[:, :, None]
    scene.image *= 0.92 + 0.16 * view.random(3)


def _blur(image: np.ndarray, share: float) -> np.ndarray:
    """Mix ``share`` of their neighbours' mean into the pixels of (H, W, 3), along both axes."""
    step = max(1, min(image.shape[:2]) // 64)  # as wide at any resolution
    for axis in (0, 1):
        place = np.arange(image.shape[axis])
        before = image.take(np.maximum(place - step, 0), axis)
        after = image.take(np.minimum(place + step, place[-1]), axis)
        image = (1.0 - share) * image + (0.5 * share) * (before + after)
    return image
