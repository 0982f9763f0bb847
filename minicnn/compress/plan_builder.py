"""A step of a plan as a dictionary of the fields that ``kernels.int8_steps.STEP`` has."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Any

from minicnn.compress.plan_memory import Memory, Place, dense
from minicnn.compress.plan_weights import Constants
from minicnn.graph import Graph, Node
from minicnn.kernels.int8_steps import KINDS

Fields = dict[str, Any]


@dataclass
class Builder:
    """What it takes to make a step: the graph, the places, the rule set, the constants so far."""

    graph: Graph
    memory: Memory
    rules: str
    constants: Constants

    def ends(self, node: Node) -> tuple[Place, Place]:
        return self.memory.place(node.inputs[0]), self.memory.place(node.output)


def step(kind: str, x: Place | None, y: Place | None, items: int, **fields: Any) -> Fields:
    """A step's fields."""
    names = "", "_down", "_across", "_height", "_width", "_channels"
    for letter, place in (("x", x), ("y", y)):
        if place is not None:
            named = zip(names, astuple(place), strict=True)
            fields = {f"{letter}{name}": value for name, value in named} | fields
    return {"kind": KINDS.index(kind), "items": items, **fields}


def copy(kind: str, x: Place, y: Place, **fields: Any) -> list[Fields]:
    """The same values in another place, which may have another shape."""
    x, y = (flat(place) for place in (x, y))
    items = min(8, max(1, x.height * x.width * x.channels // 8192))
    return [step(kind, x, y, items, **fields)]


def flat(place: Place) -> Place:
    """The place as one long row, or rows as single pixels, where there is nothing between them."""
    if place.across == place.channels or place.width == 1:
        row = place.width * place.channels
        place = replace(place, width=1, channels=row, across=row)
        if place.down == row or place.height == 1:
            return dense((place.height * row,), place.at)
    return place
