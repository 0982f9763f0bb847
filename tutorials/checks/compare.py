"""An answer beside the right one: where it differs, and which mistake would explain it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lesson import Wrong


@dataclass(frozen=True)
class Mistake:
    """A mistake that students make, by what it gives.

    gives  the answer that one gets with it
    says   what to look at, as a sentence
    """

    gives: np.ndarray | float
    says: str


def same(
    what: str,
    yours: object,
    right: np.ndarray | float,
    mistakes: Iterable[Mistake] = (),
    axes: str = "",
    tolerance: float = 1e-4,
) -> None:
    """Raise Wrong unless ``yours`` is ``right``, within ``tolerance`` of its largest value.

    what      what is compared: "y", or "dw for stride 2"
    mistakes  tried in their order; the first that gives ``yours`` explains it
    axes      names of the dimensions, "n i j o", for the message
    """
    right = np.asarray(right)
    try:
        got = np.asarray(yours, np.result_type(right.dtype, np.float64))
    except (TypeError, ValueError):
        raise Wrong(f"{what} is a {type(yours).__name__}, wanted {_kind(right)}.") from None
    allowed = tolerance * max(1e-6, float(np.abs(right).max(initial=0)))
    if got.shape == right.shape and _close(got, right, allowed):
        return
    why = [m.says for m in mistakes if _explains(m, got, right, allowed)][:1]
    raise Wrong("\n".join([_difference(what, got, right, allowed, axes.split()), *why]))


def _kind(right: np.ndarray) -> str:
    return "a number" if right.ndim == 0 else f"an array of shape {right.shape}"


def _close(a: np.ndarray, b: np.ndarray, allowed: float) -> bool:
    return bool(np.all(np.abs(a - b) <= allowed))  # false for a NaN


def _explains(mistake: Mistake, got: np.ndarray, right: np.ndarray, allowed: float) -> bool:
    mistaken = np.asarray(mistake.gives)
    if mistaken.shape != got.shape or not _close(got, mistaken, allowed):
        return False
    return mistaken.shape != right.shape or not _close(mistaken, right, allowed)


def _difference(
    what: str, got: np.ndarray, right: np.ndarray, allowed: float, axes: list[str]
) -> str:
    if got.shape != right.shape:
        return f"{what} has the shape {got.shape}, wanted {right.shape}."
    if right.ndim == 0:
        return f"{what} is {got:.6g}, wanted {right:.6g}."
    bad = ~(np.abs(got - right) <= allowed)
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    names = axes if len(axes) == right.ndim else [""] * right.ndim
    pairs = zip(names, first, strict=True)
    place = ", ".join(f"{name}={i}" if name else str(i) for name, i in pairs)
    worst = np.abs(got - right)[bad].max()
    return (
        f"{what} is off in {bad.sum()} of {bad.size} places, by up to {worst:.3g}. "
        f"The first, at [{place}], is {got[first]:.6g}, wanted {right[first]:.6g}."
    )
