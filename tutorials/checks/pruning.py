"""Tutorial 9: which weights go, and how many at which step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong

Masking = Callable[[np.ndarray, float], np.ndarray]
UNFLATTENED = (
    "np.argsort orders along the last axis, and its positions count along that axis: flatten w "
    "first, w.reshape(-1)."
)
Schedule = Callable[[int, int, int, float, float], float]


def mask(yours: Masking) -> None:
    """Six weights first, then more; at last weights of equal magnitude, where only counts tell."""
    few = np.array([[0.25, -0.6, 1.9], [-0.2, 0.1, 0.5]], np.float32)
    _one(yours, "mask", few, 1 / 3)
    rng = np.random.default_rng(0)
    for sparsity in (0.5, 0.9):
        _one(yours, f"mask for {sparsity:.0%}", rng.standard_normal((8, 3, 3, 5)), sparsity)
    _equals(yours, np.array([[1.0, -1.0, 2.0, 1.0], [1.0, 3.0, -1.0, 1.0]]), 0.5)
    once = rng.standard_normal((8, 3, 3, 5))
    once[:5] = 0  # pruned before: of so many zeros all must go, and some more
    _equals(yours, once, 0.75)
    _one(yours, "mask for 0%", few, 0.0)


def _one(yours: Masking, what: str, w: np.ndarray, sparsity: float) -> None:
    zeros = round(sparsity * w.size)
    size = np.abs(w)
    right = _kept(-size, zeros)
    mistakes = (
        Mistake(_kept(size, zeros), "The largest weights went: take off the smallest."),
        Mistake(
            _kept(-w, zeros),
            "A weight of -0.6 says more than one of 0.1: it is the magnitude, np.abs(w), that "
            "counts.",
        ),
        Mistake(
            _kept(-size, w.size - zeros),
            f"A share of {sparsity:.0%} was kept; it is the share that is to be zero.",
        ),
        Mistake(1 - right, "Ones and zeros are exchanged: the mask is 1 where a weight stays."),
        Mistake(right * w, "These are the pruned weights: return the mask they are made with."),
        Mistake(
            size > sparsity * size.max(),
            "The sparsity is a share of the weights, not of the largest magnitude.",
        ),
        Mistake(
            np.stack([_kept(-row, round(sparsity * row.size)) for row in size]),
            "Every row lost the same share: order all weights of w together, w.reshape(-1).",
        ),
        Mistake(_unflattened(size, zeros), UNFLATTENED),
        Mistake(_kept(-size, zeros + 1), "One weight too many went."),
        Mistake(_kept(-size, zeros - 1), "One weight too few went."),
        Mistake(
            np.argsort(size.reshape(-1), kind="stable").reshape(w.shape) >= zeros,
            "np.argsort gives positions, not ranks: its first ones are where the zeros go.",
        ),
        Mistake(right.reshape(-1), "A mask has the shape of its weights: reshape(w.shape)."),
    )
    same(what, _asked(yours, w, sparsity), right, mistakes, "o kh kw c" if w.ndim == 4 else "row j")


def _kept(score: np.ndarray, zeros: int) -> np.ndarray:
    """1.0, but 0.0 for the ``zeros`` highest scores."""
    result = np.ones(score.size)
    result[np.argsort(-score.reshape(-1), kind="stable")[:zeros]] = 0
    return result.reshape(score.shape)


def _unflattened(size: np.ndarray, zeros: int) -> np.ndarray:
    result = np.ones(size.size)
    result[np.argsort(size)[:zeros]] = 0
    return result.reshape(size.shape)


def _equals(yours: Masking, w: np.ndarray, sparsity: float) -> None:
    zeros = round(sparsity * w.size)
    size = np.abs(w)
    given = _asked(yours, w, sparsity)
    same("the mask's shape", np.shape(given), np.array(w.shape))
    stays = np.asarray(given, bool)
    if stays.sum() != w.size - zeros:
        raise Wrong(
            f"Where several weights are equally small, {(~stays).sum()} of {w.size} became zero, "
            f"wanted {zeros}. A comparison with a threshold treats equal weights all alike: order "
            "them (np.argsort) and take as many as are wanted, or the share is missed."
        )
    if size[~stays].max() > size[stays].min():
        raise Wrong("Among equal weights, a larger one went and a smaller one stayed.")


def _asked(yours: Masking, w: np.ndarray, sparsity: float) -> np.ndarray:
    try:
        return yours(w.copy(), sparsity)
    except (IndexError, ValueError) as error:
        raise Wrong(f"mask: {error}. {UNFLATTENED} Give the mask w's shape at the end.") from None


def sparsity_at(yours: Schedule) -> None:
    """Steps before, in and after the time of pruning, from a half of zeros to nine tenths."""
    for begin, end, first, last in ((20, 120, 0.5, 0.9), (0, 40, 0.0, 0.8), (100, 300, 0.2, 0.7)):
        length = end - begin
        for part in (0.0, 0.5, 0.75, 1.0, -0.2, 1.6):
            step = begin + round(part * length)
            if step >= 0:
                _step(yours, step, begin, end, first, last)


def _step(yours: Schedule, step: int, begin: int, end: int, first: float, last: float) -> None:
    def formula(done: float, power: float = 3) -> float:
        return last + (first - last) * (1 - done) ** power

    true = (step - begin) / (end - begin)
    done = min(max(true, 0.0), 1.0)
    late = min(max(step / (end - begin), 0.0), 1.0), min(max(step / end, 0.0), 1.0)
    off = "Steps count from begin: the share of time that has passed is (step - begin) / ..."
    mistakes = [
        Mistake(formula(done, 1), "This is a straight line: what is left of the time is cubed."),
        Mistake(formula(done, 2), "The exponent is 3, not 2."),
        Mistake(
            first + (last - first) * done**3,
            "The time that has passed is cubed: it is the time left, 1 - done. Most weights must "
            "go early, when there are many to spare and time to recover.",
        ),
        Mistake(first + (last - first) * (1 - done) ** 3, "It runs backwards: `first` at begin."),
    ]
    if step < begin:
        mistakes += [
            Mistake(formula(true), "Before begin the share is `first`: clamp the time at 0."),
            Mistake(formula(true, 1), "Before begin the share is `first`: clamp the time at 0."),
            Mistake(0.0, "Before begin the answer is `first`, too."),
        ]
    if step > end:
        mistakes += [
            Mistake(formula(true), "After end the share stays `last`: clamp the time at 1."),
            Mistake(formula(true, 1), "After end the share stays `last`: clamp the time at 1."),
        ]
    mistakes += [
        Mistake(formula(late[0]), off),
        Mistake(formula(late[1]), off),
        Mistake(formula(step / (end - begin)), off),
        Mistake(formula(step / end), off),
        Mistake(
            formula(min(max((step - begin) / end, 0.0), 1.0)),
            "The time of pruning is end - begin steps long.",
        ),
        Mistake(100 * formula(done), "A share from 0 to 1 is wanted, not percent."),
    ]
    what = f"sparsity_at({step}, begin={begin}, end={end}, first={first}, last={last})"
    same(what, yours(step, begin, end, first, last), formula(done), mistakes)
