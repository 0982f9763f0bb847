"""Tutorial 11: fields of a table, and vectors, in a flatbuffer."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lesson import Wrong

Field = Callable[[bytes, int, int], int]
Vector = Callable[[bytes, int], tuple[int, int]]
Mistakes = Iterable[tuple[Callable[..., Any], str]]

NEAR, FAR = 24, 48  # two tables: the vtable of one lies before it, that of the other behind it


def tables() -> bytes:
    """80 bytes: a vtable at 8, a table at 24, another at 48 with its vtable at 64."""
    content = bytearray(80)
    put = struct.pack_into
    put("<I4s", content, 0, NEAR, b"TEST")
    put("<HHHHHH", content, 8, 12, 16, 4, 0, 8, 12)  # four fields, of which number 1 is absent
    put("<iIII", content, NEAR, NEAR - 8, 7, 300, 12)
    put("<iII", content, FAR, FAR - 64, 9, 5)
    put("<HHHHHH", content, 64, 8, 12, 8, 4, 6, 2)  # two fields; behind them, others' bytes
    return bytes(content)


def field(yours: Field) -> None:
    """Fields that are there, absent, and beyond the vtable; vtables before and behind."""
    content = tables()
    asked = [(NEAR, 0), (NEAR, 2), (NEAR, 3), (NEAR, 1), (FAR, 0), (FAR, 1), (FAR, 2), (NEAR, 5)]
    _judge(
        {f"field {n} of the table at {t}": (content, t, n) for t, n in asked},
        *(yours, _Walk(), _field_mistakes()),
    )


@dataclass(frozen=True)
class _Walk:
    """``field`` in parts, each of which can be mistaken."""

    vtable: Callable[[int, int], int] = lambda table, way: table - way
    entry: Callable[[int], int] = lambda number: 4 + 2 * number
    found: Callable[[int, int, int], int] = lambda table, vtable, inside: table + inside
    signed: str = "i"
    order: str = "<"
    wide: str = "H"
    ends: bool = True
    absent: bool = True

    def __call__(self, content: bytes, table: int, number: int) -> int:
        def u16(place: int) -> int:
            return struct.unpack_from(f"{self.order}H", content, place)[0]

        way = struct.unpack_from(f"<{self.signed}", content, table)[0]
        vtable = self.vtable(table, way)
        if self.ends and self.entry(number) >= u16(vtable):
            return 0
        form, at = self.order + self.wide, vtable + self.entry(number)
        (inside,) = struct.unpack_from(form, content, at)
        return self.found(table, vtable, inside) if inside or not self.absent else 0


def _field_mistakes() -> Mistakes:
    lengths = "The vtable's first two numbers are lengths, together 4 bytes: skip them."
    two_bytes = "An entry of the vtable has 2 bytes: 4 + 2 * number."
    inside = "The vtable says how far into the table the field is: add the table's position"
    for walk, says in (
        (_Walk(ends=False), "The vtable ends before this field: compare with its first number."),
        (_Walk(absent=False), "0 in the vtable says that the field is absent: return 0 then."),
        (_Walk(signed="I"), "The way to the vtable is signed: i32."),
        (_Walk(order=">"), "Little-endian: the lowest byte comes first."),
        (_Walk(wide="I"), "An entry of the vtable has 2 bytes: u16."),
        (_Walk(vtable=lambda table, way: table + way), "The vtable is at table *minus* the way."),
        (_Walk(vtable=lambda table, way: way), "The way to the vtable counts from the table."),
        (_Walk(entry=lambda number: 2 * number), lengths),
        (_Walk(entry=lambda number: 2 + 2 * number), lengths),
        (_Walk(entry=lambda number: 4 + number), two_bytes),
        (_Walk(entry=lambda number: 4 + 4 * number), two_bytes),
        (_Walk(found=lambda table, vtable, inside: inside), f"{inside}."),
        (_Walk(found=lambda table, vtable, inside: vtable + inside), f"{inside}, not the vtable's"),
    ):
        # whoever makes one of these may have left out the two tests as well
        for ends in (True, False):
            for absent in (True, False):
                yield replace(walk, ends=walk.ends and ends, absent=walk.absent and absent), says


def vector(yours: Vector) -> None:
    """A vector of 3, and one further on with more elements than a byte can say."""
    content = bytearray(range(1, 201)) * 400
    for place, offset, count in ((4, 12, 3), (40, 70_000, 66_051)):
        struct.pack_into("<I", content, place, offset)
        struct.pack_into("<I", content, place + offset, count)
    _judge(
        {f"the vector whose offset is at {place}": (bytes(content), place) for place in (4, 40)},
        *(yours, _vector(), _vector_mistakes()),
    )


def _vector(
    to: Callable[[int, int], int] = lambda place, offset: place + offset,
    skip: int = 4,
    kind: str = "<I",
    at: int = 0,
) -> Vector:
    def walk(content: bytes, place: int) -> tuple[int, int]:
        start = to(place, struct.unpack_from("<I", content, place)[0])
        return start + skip, struct.unpack_from(kind, content, start + at)[0]

    return walk


def _vector_mistakes() -> Mistakes:
    relative = "An offset counts from where it stands: place + u32(content, place)."
    yield _vector(to=lambda place, offset: offset), relative
    yield lambda c, p: (_vector()(c, p)[0], _vector(lambda p, o: o)(c, p)[1]), relative
    yield lambda c, p: (_vector(lambda p, o: o)(c, p)[0], _vector()(c, p)[1]), relative
    yield _vector(to=lambda place, offset: place), "The field holds only the way to the vector."
    for skip in (0, 1, 2, 8):
        yield _vector(skip=skip), "The number of elements comes first, in 4 bytes; then they do."
    yield lambda c, p: _vector()(c, p)[::-1], "Exchanged: first the position, then the number."
    yield _vector(kind="B"), "The number has 4 bytes: u32."
    yield _vector(kind="<H"), "The number has 4 bytes: u32."
    yield _vector(kind=">I"), "Little-endian: the lowest byte comes first."
    yield _vector(at=4), "That is the first element: their number stands before it."
    yield (
        lambda c, p: (_vector()(c, p)[0], struct.unpack_from("<I", c, p)[0]),
        "That is the offset: the number of elements stands where it leads to.",
    )
    yield (
        lambda c, p: (_vector()(c, p)[0], 4 * _vector()(c, p)[1]),
        "Elements are counted, not their bytes.",
    )


def _judge(
    queries: dict[str, tuple], yours: Callable[..., Any], right: Callable, mistakes: Mistakes
) -> None:
    """Raise Wrong at the first wrong answer, with the mistake that explains all of them."""
    answers = [_answer(yours, query) for query in queries.values()]
    for what, query, got in zip(queries, queries.values(), answers, strict=True):
        wanted = right(*query)
        if _plain(got) == wanted:
            continue
        says = [
            says
            for mistake, says in mistakes
            if [_plain(_answer(mistake, q)) for q in queries.values()]
            == [_plain(answer) for answer in answers]
        ]
        gives = repr(got)
        if isinstance(got, struct.error):
            gives = "an error, because it looks beyond the end of the file"
            says.append("Every offset counts from where it stands, the way to a vtable backwards.")
        meaning = " (position of the first element, number)" * isinstance(wanted, tuple)
        raise Wrong("\n".join([f"{what} gives {gives}, wanted {wanted}{meaning}.", *says[:1]]))


def _answer(function: Callable[..., Any], query: tuple) -> Any:
    try:
        return function(*query)
    except struct.error as error:  # it looked beyond the file
        return error


def _plain(answer: Any) -> Any:
    """An answer to compare: NumPy's integers as Python's, all errors alike."""
    if isinstance(answer, tuple | list):
        return tuple(_plain(part) for part in answer)
    if isinstance(answer, struct.error):
        return struct.error
    return int(answer) if isinstance(answer, np.integer) else answer
