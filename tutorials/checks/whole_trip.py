"""Tutorial 0: the three best answers, and what an integer stands for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong


def top3(yours: Callable[[np.ndarray], np.ndarray]) -> None:
    """One image to follow, then several with more classes."""
    _top3(yours, np.array([[0.1, 0.5, 0.15, 0.25]]))
    _top3(yours, np.random.default_rng(0).dirichlet(np.ones(7), size=5))


def _top3(yours: Callable[[np.ndarray], np.ndarray], p: np.ndarray) -> None:
    rising = np.argsort(p, axis=1)
    right = rising[:, :-4:-1]
    mistakes = [
        Mistake(rising[:, :3], "These are the three least likely: argsort begins with the least."),
        Mistake(rising[:, -3:], "The right three, but the likeliest comes last: turn them around."),
        Mistake(
            np.take_along_axis(p, right, axis=1),
            "These are the probabilities; wanted are the numbers of the classes (argsort).",
        ),
        Mistake(
            rising[:, ::-1],
            "All classes, in the right order: the first three of each row are enough, [:, :3].",
        ),
        Mistake(
            rising[:3, ::-1],
            "These are three rows, of all classes: the first three of each row are [:, :3].",
        ),
        Mistake(right[0], "That is image 0 alone: wanted is a row for each image."),
    ]
    if len(p) >= 3:
        mistakes.append(
            Mistake(
                np.argsort(-p, axis=0)[:, :3],
                "The images were ranked, not the classes: classes are axis 1.",
            )
        )
    same(f"top3 of {len(p)} image{'s' * (len(p) > 1)}", yours(p), right, mistakes, "n rank")


def scale_and_zero_point(yours: Callable[[float, float], tuple[float, int]]) -> None:
    """A range with a scale of 1 first, then others; one from zero, as after a ReLU."""
    for low, high in ((-51.0, 204.0), (0.0, 10.0), (-0.3, 5.0)):
        result = yours(low, high)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise Wrong(f"scale_and_zero_point gives {result!r}, wanted (scale, zero point).")
        scale, zero_point = result
        of = f"for {low:g} to {high:g}"
        wide = high - low
        right = wide / 255
        exact = -128 - low / right
        mistakes = (
            Mistake(round(exact), "Exchanged: the scale comes first, then the zero point."),
            Mistake(wide / 256, "256 integers have 255 steps between them."),
            Mistake(255 / wide, "That is upside down: the scale is what one step is worth."),
            Mistake(high / 127, "The range begins at low, and has 255 steps, not 127."),
            Mistake(max(-low, high) / 127, "The range begins at low, and has 255 steps, not 127."),
            Mistake(high / 255, "The range begins at low: its width is high - low."),
        )
        same(f"scale {of}", scale, right, mistakes, tolerance=1e-9)
        mistakes = (
            Mistake(0.0, "There is no zero point yet: which integer stands for the value 0?"),
            Mistake(round(-low / right), "That is for 0 to 255; the integers here begin at -128."),
            Mistake(round(-128 + low / right), "The sign: low stands at -128, and 0 above it."),
            Mistake(round(128 - low / right), "The sign: the integers begin at -128."),
            Mistake(exact, "The zero point is an integer: round it."),
            Mistake(int(exact), "Rounded, not cut off: round()."),
            Mistake(round(-128 - low * right), "low is divided by the scale, not multiplied."),
            Mistake(-128.0, "That holds only for a range that begins at 0."),
        )
        same(f"zero_point {of}", zero_point, round(exact), mistakes, tolerance=1e-9)
