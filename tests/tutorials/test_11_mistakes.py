"""What students get wrong in tutorial 11, and what its checks then say."""

import struct

import numpy as np
import pytest

from checks import tflite_bytes as check
from lesson import Wrong


def u16(content, place):
    return struct.unpack_from("<H", content, place)[0]


def u32(content, place):
    return struct.unpack_from("<I", content, place)[0]


def i32(content, place):
    return struct.unpack_from("<i", content, place)[0]


def field(
    vtable=lambda content, t: t - i32(content, t),
    entry=lambda number: 4 + 2 * number,
    ends=True,
    absent=True,
    read=u16,
    found=lambda t, vtable, inside: t + inside,
):
    """A student's ``field``, of parts that can be exchanged."""

    def asked(content, t, number):
        v = vtable(content, t)
        if ends and entry(number) >= read(content, v):
            return 0
        inside = read(content, v + entry(number))
        if absent and not inside:
            return 0
        return found(t, v, inside)

    return asked


def wide_entry(content, t, number):
    v = t - i32(content, t)
    inside = u32(content, v + 4 + 2 * number) if 4 + 2 * number < u16(content, v) else 0
    return t + inside if inside else 0


@pytest.mark.parametrize(
    ("yours", "says"),
    [
        (field(vtable=lambda content, t: t + i32(content, t)), "minus"),
        (field(vtable=lambda content, t: t - u32(content, t)), "is signed"),
        (field(vtable=lambda content, t: i32(content, t)), "counts from the table"),
        (field(entry=lambda number: 2 * number, ends=False), "two numbers are lengths"),
        (field(entry=lambda number: 2 + 2 * number, ends=False), "two numbers are lengths"),
        (field(entry=lambda number: 4 + number), "2 bytes"),
        (field(entry=lambda number: 4 + 4 * number), "2 bytes"),
        (field(ends=False), "ends before this field"),
        (field(absent=False), "return 0 then"),
        (field(found=lambda t, v, inside: inside), "add the table's position"),
        (field(found=lambda t, v, inside: v + inside), "not the vtable's"),
        (field(read=lambda c, p: struct.unpack_from(">H", c, p)[0]), "Little-endian"),
        (wide_entry, "An entry of the vtable has 2 bytes"),
        (lambda content, t, number: 4 + 2 * number, "wanted 28"),
        (lambda content, t, number: "28", "gives '28', wanted 28"),
    ],
)
def test_fields(yours, says):
    with pytest.raises(Wrong, match=says):
        check.field(yours)


@pytest.mark.parametrize(
    ("yours", "says"),
    [
        (lambda c, p: (p + u32(c, p), u32(c, p + u32(c, p))), "comes first"),
        (lambda c, p: (u32(c, p) + 4, u32(c, p + u32(c, p))), "counts from where it stands"),
        (lambda c, p: (p + u32(c, p) + 4, u32(c, u32(c, p))), "counts from where it stands"),
        (lambda c, p: (p + 4, u32(c, p)), "holds only the way"),
        (lambda c, p: (p + u32(c, p) + 4, u32(c, p)), "That is the offset"),
        (lambda c, p: (p + u32(c, p) + 4, c[p + u32(c, p)]), "4 bytes: u32"),
        (lambda c, p: (p + u32(c, p) + 4, u16(c, p + u32(c, p))), "4 bytes: u32"),
        (lambda c, p: (p + u32(c, p) + 4, u32(c, p + u32(c, p) + 4)), "first element"),
        (
            lambda c, p: (p + u32(c, p) + 4, struct.unpack_from(">I", c, p + u32(c, p))[0]),
            "Little-endian",
        ),
        (lambda c, p: (u32(c, p + u32(c, p)), p + u32(c, p) + 4), "Exchanged"),
        (lambda c, p: p + u32(c, p) + 4, "position of the first element, number"),
        (
            lambda c, p: (struct.unpack_from(">I", c, p)[0], u32(c, 2**30)),
            "counts from where it stands",
        ),
    ],
)
def test_vectors(yours, says):
    with pytest.raises(Wrong, match=says):
        check.vector(yours)


def test_the_right_answers_pass():
    check.field(field())
    check.vector(lambda c, p: (p + u32(c, p) + 4, u32(c, p + u32(c, p))))


def test_numpys_integers_pass():
    right = field()
    check.field(lambda content, t, number: np.int64(right(content, t, number)))
