"""Split a data set into a training and a test side."""

from __future__ import annotations

import numpy as np

from minicnn.errors import UserError

WAYS = ("lesion", "image")


def split(
    labels: np.ndarray,
    lesions: np.ndarray,
    classes: tuple[str, ...],
    by: str = "lesion",
    test_share: float = 0.2,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose training and test images; the same arguments give the same split for any network.

    Each class gives ``test_share`` of its images to the test side, as nearly as whole units
    allow, and at least one image to both sides. A unit is a lesion with all its images, or a
    single image, which lets photographs of one lesion fall on both sides.

    Parameters
    ----------
    labels
        (N,) int, positions in ``classes``.
    lesions
        (N,) str, the lesion that each image shows. One that carries two classes stays whole.
    by
        "lesion" or "image".

    Returns
    -------
    train, test
        Sorted int64 positions, together 0..N-1.

    Raises
    ------
    UserError
        An argument out of range, or a class that cannot be on both sides.
    """
    if by not in WAYS:
        raise UserError(f"cannot split by '{by}': choose {' or '.join(WAYS)}")
    if not 0 < test_share < 1:
        raise UserError(f"test share {test_share} must lie between 0 and 1, as 0.2 does")
    if seed < 0:
        raise UserError(f"seed {seed} must not be negative")
    units = np.unique(lesions, return_inverse=True)[1] if by == "lesion" else np.arange(len(labels))
    contents = np.zeros((units.max(initial=-1) + 1, len(classes)), np.int64)
    np.add.at(contents, (units, labels), 1)
    _check_units(contents, classes, by)
    on_test = _assign(contents, classes, test_share, seed)[units]
    return np.flatnonzero(~on_test), np.flatnonzero(on_test)


def leaked_lesions(lesions: np.ndarray, train: np.ndarray, test: np.ndarray) -> int:
    """How many lesions have images on both sides; lesions (N,) str, the sides positions in it."""
    return len(np.intersect1d(lesions[train], lesions[test]))


def _check_units(contents: np.ndarray, classes: tuple[str, ...], by: str) -> None:
    for name, count, units in zip(classes, contents.sum(0), (contents > 0).sum(0), strict=True):
        if units != 1:  # none at all is no obstacle: the class is merely absent
            continue
        start = f"class '{name}' has only one {by}"
        if by == "image" or count == 1:
            raise UserError(f"{start}, but both sides need one: add images or leave the class out")
        raise UserError(
            f"{start} ({count} images), but both sides need one: add images of other lesions, "
            "leave the class out, or split over images with --split image"
        )


def _assign(
    contents: np.ndarray, classes: tuple[str, ...], test_share: float, seed: int
) -> np.ndarray:
    """Which units go to the test side; contents (units, classes) int64 -> (units,) bool.

    Classes are settled one after the other, the rarest first. A unit belongs to the rarest of
    its classes, so what it carries of a commoner one is known when that one's turn comes.
    """
    totals = contents.sum(0)
    order = np.argsort(totals, kind="stable")
    owner = order[np.argmax(contents[:, order] > 0, axis=1)]
    on_test = np.zeros(len(contents), bool)
    for label in order[totals[order] > 0]:
        rng = np.random.default_rng([seed, label])
        free = rng.permutation(np.flatnonzero(owner == label))
        sizes = contents[free, label].tolist()
        settled = int(contents[on_test, label].sum())
        held = int(totals[label]) - settled - sum(sizes)  # on the training side for good
        chosen = _pick(
            sizes,
            test_share * int(totals[label]) - settled,
            low=0 if settled else 1,
            high=sum(sizes) - (0 if held else 1),
        )
        if chosen is None:
            raise UserError(
                f"class '{classes[label]}' shares its lesions with other classes so that it "
                "cannot be on both sides: give each lesion one class, or use --split image"
            )
        on_test[free[chosen]] = True
    return on_test


def _pick(sizes: list[int], target: float, low: int, high: int) -> list[int] | None:
    """Positions whose sizes add up as near to ``target`` as sums in low..high come, or None.

    A subset sum: bit s of ``reachable[k]`` says that some of the first k sizes add up to s.
    Walking back from the end, a size is taken only where the rest cannot do without it, so with
    many units the choice is the front of a shuffled list.
    """
    top = max(int(target), low) + max(sizes, default=0)  # the nearest sum lies below this
    window = (1 << (top + 1)) - 1
    reachable = [1]
    for size in sizes:
        reachable.append((reachable[-1] | reachable[-1] << size) & window)
    sums = [s for s in range(low, min(high, top) + 1) if reachable[-1] >> s & 1]
    if not sums:
        return None
    left = min(sums, key=lambda s: abs(s - target))
    chosen = []
    for k in range(len(sizes) - 1, -1, -1):
        if not reachable[k] >> left & 1:
            chosen.append(k)
            left -= sizes[k]
    return chosen
