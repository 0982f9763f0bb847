"""Tutorial 6: a split that keeps lesions together, and images mirrored left to right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong

Split = Callable[[np.ndarray, float, np.random.Generator], tuple[np.ndarray, np.ndarray]]
Mirror = Callable[[np.ndarray, np.ndarray], np.ndarray]

SMALL = np.array(["C", "A", "B", "A", "E", "C", "A", "D", "C", "B"])  # ten images of five lesions


def split_by_lesion(yours: Split) -> None:
    """Ten images of five lesions first, then a few hundred; last, what the seed does."""
    _one(yours, "ten images of five lesions", SMALL, 0.4, 0)
    rng = np.random.default_rng(0)
    names = np.array([f"LES_{n}" for n in range(100)])
    many = rng.permutation(np.repeat(names, rng.integers(1, 5, len(names))))
    for seed in (0, 1):
        _one(yours, f"{len(many)} images of {len(names)} lesions", many, 0.2, seed)
    _seeds(yours, many)


def _one(yours: Split, what: str, lesions: np.ndarray, fraction: float, seed: int) -> None:
    what = f"{what}, fraction {fraction:g}"
    train, test = (
        _positions(side, what, lesions) for side in _sides(yours, lesions, fraction, seed)
    )
    sides = np.concatenate([train, test])
    times = np.bincount(sides, minlength=len(lesions))
    if len(sides) and not times.any():
        raise Wrong(f"{what}: no image is on a side.")
    if (times > 1).any():
        image = int(np.argmax(times))
        where = "on both sides" if image in train and image in test else "twice on one side"
        raise Wrong(f"{what}: image {image} is {where}. Each image belongs to one side, once.")
    wanted = round(fraction * len(np.unique(lesions)))
    if not len(test):
        raise Wrong(
            f"{what}: the test side is empty, wanted {wanted} lesions. Are "
            "positions of lesions compared with their names? (np.isin takes an array or a list, "
            "not a set.)"
        )
    both = np.intersect1d(lesions[train], lesions[test])
    if len(both):
        a, b = (int(side[lesions[side] == both[0]][0]) for side in (train, test))
        raise Wrong(
            f"{what}: lesion {both[0]} is on both sides (image {a} to train, image {b} to test). "
            "Deal out the lesions, np.unique(lesions), not the images."
        )
    if (times == 0).any():
        raise Wrong(
            f"{what}: {int((times == 0).sum())} images are on neither side, the first is image "
            f"{int(np.argmin(times))}. What is not tested on is trained on."
        )
    _count(what, lesions, test, fraction, wanted)


def _sides(yours: Split, lesions: np.ndarray, fraction: float, seed: int) -> tuple:
    try:
        got = yours(lesions, fraction, np.random.default_rng(seed))
    except IndexError as error:
        raise Wrong(f"split_by_lesion: {error}. Are names and positions mixed up?") from None
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise Wrong("split_by_lesion gives two things: the training positions, the test positions.")
    return tuple(got)


def _positions(side: object, what: str, lesions: np.ndarray) -> np.ndarray:
    """One side as positions; Wrong says what it is instead."""
    got = np.asarray(side)
    if got.dtype == bool:
        raise Wrong(f"{what}: this is a mask. Wanted positions: np.flatnonzero(mask).")
    if got.dtype.kind in "US":
        raise Wrong(f"{what}: these are names of lesions, wanted positions of images (integers).")
    if got.ndim != 1 or (got.size and got.dtype.kind not in "iu"):
        raise Wrong(f"{what}: wanted positions (K,) of images, integers, on each side.")
    if got.size and not (got.min() >= 0 and got.max() < len(lesions)):
        raise Wrong(f"{what}: there are positions outside 0 to {len(lesions) - 1}.")
    return got.astype(np.int64)


def _count(what: str, lesions: np.ndarray, test: np.ndarray, fraction: float, wanted: int) -> None:
    got, all_of_them = len(np.unique(lesions[test])), len(np.unique(lesions))
    exact = fraction * all_of_them
    if abs(got - exact) < 1:  # however it was rounded
        return
    why = "Is it the fraction of the lesions?"
    if abs(got - (all_of_them - exact)) < 1:
        why = (
            "Train and test are exchanged, or each lesion was drawn by a coin of its own: "
            "rng.permutation and a slice give the exact number."
        )
    elif abs(got - fraction * len(lesions)) < 1:
        why = "That is the fraction of the images: count the lesions, each name once."
    elif got < wanted:
        why = "Are some lesions drawn more than once? rng.permutation, or choice(replace=False)."
    raise Wrong(f"{what}: the test side has {got} lesions, wanted {wanted} of {all_of_them}. {why}")


def _seeds(yours: Split, lesions: np.ndarray) -> None:
    first, again, other = (
        np.sort(np.asarray(_sides(yours, lesions, 0.2, seed)[1])) for seed in (0, 0, 1)
    )
    if not np.array_equal(first, again):
        raise Wrong(
            "Two generators of one seed gave two different splits: draw from `rng` alone, or no "
            "result can be repeated."
        )
    if np.array_equal(first, other):
        raise Wrong(
            "Generators of seeds 0 and 1 give the same split: draw the lesions with `rng`. The "
            "first names in the alphabet may all come from one hospital."
        )


def mirror(yours: Mirror) -> None:
    """Two images of 2x3 pixels first; then random ones, square and not."""
    counting = np.arange(24.0).reshape(2, 2, 3, 2)
    _mirror(yours, "y", counting, np.array([False, True]))
    rng = np.random.default_rng(0)
    for side in (4, 5):  # square images let exchanged axes pass unnoticed, so check both
        x = rng.standard_normal((5, 4, side, 3)).astype(np.float32)
        _mirror(yours, f"y of 4x{side} images", x, np.array([True, False, True, True, False]))


def _mirror(yours: Mirror, what: str, x: np.ndarray, flips: np.ndarray) -> None:
    mistakes = [
        Mistake(_where(flips, x[:, ::-1], x), "That is upside down: axis 1 is H, axis 2 is W."),
        Mistake(_where(flips, x[:, ::-1, ::-1], x), "Both axes are turned: only W is meant."),
        Mistake(
            _where(flips, x[..., ::-1], x),
            "The channels are in reverse: red became blue. W is axis 2, not the last one.",
        ),
        Mistake(x[:, :, ::-1], "All images are mirrored, not those of `flips` alone."),
        Mistake(_where(~flips, x[:, :, ::-1], x), "The wrong ones are mirrored: flips or ~flips?"),
        Mistake(x[::-1], "The images are in reverse order: the labels no longer belong to them."),
        Mistake(x, "No image is mirrored. `x[flips][...] = ...` writes into a copy."),
        Mistake(x[flips][:, :, ::-1], "The others are missing: they stay as they are."),
        Mistake(x.swapaxes(1, 2), "H and W are exchanged: that is a transposed image."),
        Mistake(x.swapaxes(1, 2)[:, :, ::-1], "H and W are exchanged: that is a quarter turn."),
    ]
    if x.shape[1] == x.shape[2]:
        mistakes += [
            Mistake(
                _where(flips, x.swapaxes(1, 2), x), "H and W are exchanged: x.T is no mirror image."
            ),
            Mistake(
                _where(flips, x.swapaxes(1, 2)[:, :, ::-1], x), "That is a quarter turn, no mirror."
            ),
        ]
    given = x.copy()
    try:
        y = yours(given, flips.copy())
    except (IndexError, ValueError) as error:
        raise Wrong(f"{what}: {error}. The axes are N H W C, and flips is (N,).") from None
    same(what, y, _where(flips, x[:, :, ::-1], x), mistakes, "n i j c")
    if not np.array_equal(given, x):
        raise Wrong(
            "y is right, but x was changed: the data set's own images would be mirrored. Begin "
            "with y = x.copy()."
        )


def _where(flips: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    return np.where(flips[:, None, None, None], yes, no)
