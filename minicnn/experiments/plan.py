"""What the thesis experiment is going to run: image size and epochs of each network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import models
from minicnn.errors import UserError
from minicnn.experiments import claims

Size = tuple[int, int]  # height, width
T = TypeVar("T")

ENOUGH = 10  # epochs that come before larger images, where a budget does not hold both
EIGHTHS = range(2, 9)  # of the thesis's height and width: the sizes that a budget chooses among
RESERVE = 0.1  # of a budget that is not planned: decoding, pictures, other programs


@dataclass(frozen=True)
class Entry:
    """One network's part of a plan; minutes of all its work, None where nobody measured."""

    network: str
    size: Size
    epochs: int
    minutes: float | None = None

    def cuts(self) -> str:
        """What is less than in the thesis, "" for nothing."""
        parts = []
        if self.epochs < claims.EPOCHS:
            parts.append(f"epochs {claims.EPOCHS} -> {self.epochs}")
        if self.size != claims.SIZE:
            parts.append(f"images {by(claims.SIZE)} -> {by(self.size)}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Wish:
    """What is asked of one network: at most so many epochs, at one of ``sizes``, smallest first."""

    network: str
    epochs: int
    sizes: Sequence[Size]


class Cost(NamedTuple):
    """Minutes: an epoch with its test, and all that comes after training."""

    epoch: float
    after: float

    def minutes(self, epochs: int) -> float:
        return epochs * self.epoch + self.after


Costs = Callable[[str, Size], Cost]


def by(size: Size) -> str:
    """450x600, height first."""
    return f"{size[0]}x{size[1]}"


def per_network(
    text: str | None, networks: Sequence[str], convert: Callable[[str], T], flag: str
) -> dict[str, T]:
    """ "12,alexnet=1" as values of the networks: 12 for all, but 1 for alexnet.

    Networks that neither a default nor an exception names are left out. UserError for a name that
    is not among ``networks``, for a second default, and for what ``convert`` refuses.
    """
    values: dict[str, T] = {}
    default: list[T] = []
    for part in (text or "").split(",") if text is not None else ():
        name, equals, value = part.rpartition("=")
        if not equals:
            default.append(_converted(value, convert, flag))
        elif name in networks:
            values[name] = _converted(value, convert, flag)
        else:
            raise UserError(f"{flag} {text}: {name!r} is none of {', '.join(networks)}")
    if len(default) > 1:
        raise UserError(f"{flag} {text}: wanted one default, then exceptions such as alexnet=...")
    return {name: default[0] for name in networks if default} | values


def _converted(text: str, convert: Callable[[str], T], flag: str) -> T:
    try:
        return convert(text)
    except ValueError:
        raise UserError(f"{flag} {text}: wanted a whole number") from None


def names(text: str) -> list[str]:
    """The networks of "squeezenet,alexnet"; UserError for others and for one named twice."""
    found = text.split(",")
    for name in found:
        if name not in models.NAMES:
            raise UserError(f"--networks: {name!r} is none of {', '.join(models.NAMES)}")
    if len(set(found)) < len(found):
        raise UserError(f"--networks {text}: a network is named twice")
    return found


def sizes(network: str) -> list[Size]:
    """The sizes in the thesis's proportions that the network fits, smallest first."""
    height, width = claims.SIZE
    ladder = [(round(height * k / 8), round(width * k / 8)) for k in EIGHTHS]
    # once an image is large enough, every larger one is
    first = next(i for i, size in enumerate(ladder) if fits(network, size) is None)
    return ladder[first:]


def fits(network: str, size: Size) -> str | None:
    """None, or why images of the size are too small for the network."""
    try:
        models.build(network, (*size, 3))
    except ValueError as error:
        return str(error)
    return None


def fit(wishes: Sequence[Wish], budget: float, costs: Costs) -> list[Entry]:
    """The plan that a budget of minutes holds, in the order of ``wishes``.

    Every network gets an equal share of the minutes, but never less than an epoch takes at its
    smallest size; what one leaves goes to the next, the dearest of them last. In its share it
    gets the largest images that leave it ENOUGH epochs, then as many epochs as there is room for.
    UserError, with the minutes it would take, where not even an epoch of each has room.
    """
    least = {w.network: costs(w.network, w.sizes[0]).minutes(1) for w in wishes}
    left = budget * (1 - RESERVE)
    if sum(least.values()) > left:
        wanted = math.ceil(sum(least.values()) / (1 - RESERVE))
        raise UserError(
            f"--budget {budget:g}: one epoch of each network at the smallest size takes about "
            f"{wanted} minutes, with pruning and export: give as many, or fewer --networks"
        )
    planned: dict[str, Entry] = {}
    order = sorted(wishes, key=lambda wish: least[wish.network])
    for place, wish in enumerate(order):
        later = sum(least[other.network] for other in order[place + 1 :])
        share = min(left - later, max(left / (len(order) - place), least[wish.network]))
        entry = _largest(wish, share, costs)
        planned[wish.network] = entry
        left -= entry.minutes or 0.0
    return [planned[wish.network] for wish in wishes]


def _largest(wish: Wish, share: float, costs: Costs) -> Entry:
    """The largest images that leave ENOUGH epochs in a share of minutes, or else the smallest."""
    best: Entry | None = None
    for size in wish.sizes:
        cost = costs(wish.network, size)
        epochs = min(wish.epochs, math.floor((share - cost.after) / cost.epoch + 1e-9))
        if best is not None and epochs < min(ENOUGH, wish.epochs):
            break
        epochs = max(1, epochs)
        best = Entry(wish.network, size, epochs, cost.minutes(epochs))
    assert best is not None  # there is a size
    return best


def table(entries: Sequence[Entry], budget: float | None) -> str:
    """The plan for people: a line for each network, then what is less than in the thesis."""
    lines = [f"{'network':20}  {'images (H x W)':>14}  {'epochs':>6}  minutes"]
    for entry in entries:
        minutes = "not measured" if entry.minutes is None else f"{entry.minutes:7.1f}"
        lines.append(f"{entry.network:20}  {by(entry.size):>14}  {entry.epochs:6d}  {minutes}")
    if budget is not None:
        total = sum(entry.minutes or 0.0 for entry in entries)
        kept = f"{total:7.1f} of {budget:g}, a tenth of which is kept free"
        lines.append(f"{'all':20}  {'':14}  {'':6}  {kept}")
    cut = [f"cut: {entry.network}: {entry.cuts()}" for entry in entries if entry.cuts()]
    return "\n".join([*lines, *(cut or ["nothing is cut: the thesis's epochs and image size"])])
