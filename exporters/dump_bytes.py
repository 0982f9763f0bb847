"""A .tflite file byte by byte: where they go, and what the first ones mean."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from exporters.read import File

LEARNED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")  # inputs: x, weights, bias
ORDER = ("weights", "biases", "other constants", "metadata", "scales", "zero points")
ALIGNMENT = 16  # bytes
MODEL_FIELDS = (
    *("version", "operator_codes", "subgraphs", "description"),
    *("buffers", "metadata_buffer", "metadata", "signature_defs"),
)


def summary(file: File) -> str:
    """Bytes of each kind, the sum being the file's size. What is shared counts once."""
    sizes = dict.fromkeys(ORDER, 0)
    kinds = _kinds(file)
    for number, buffer in enumerate(file.buffers):
        sizes[kinds.get(number, "metadata")] += buffer.size
    for kind, vectors in (
        ("scales", [tensor.scale for tensor in file.graph.tensors]),
        ("zero points", [tensor.zero_point for tensor in file.graph.tensors]),
    ):
        places = {v.__array_interface__["data"][0]: v.nbytes for v in vectors if v is not None}
        sizes[kind] = sum(places.values())
    sizes["files appended as a zip"] = appended = _appended(file)
    sizes["the rest: tables, names, shapes, padding"] = file.size - sum(sizes.values())
    sizes["the whole file"] = file.size
    if not appended:
        del sizes["files appended as a zip"]
    shown = {kind: size for kind, size in sizes.items() if size}
    width = max(len(kind) for kind in shown)
    return "\n".join(
        f"  {kind:{width}}  {size:>13,}  {size / file.size:>7.2%}" for kind, size in shown.items()
    )


def _kinds(file: File) -> dict[int, str]:
    """What each buffer holds that a tensor uses."""
    kinds = {facts.buffer: "other constants" for facts in file.tensors}
    for node in file.graph.nodes:
        if node.op in LEARNED:
            for kind, tensor in zip(("weights", "biases"), node.inputs[1:3], strict=False):
                if tensor >= 0:
                    kinds[file.tensors[tensor].buffer] = kind
    return kinds


def _appended(file: File) -> int:
    """Bytes of the zip archive at the file's end, such as labels.txt in it; 0 for none."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            first = min((entry.header_offset for entry in archive.infolist()), default=file.size)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return 0
    return file.size - first


def first_bytes(file: File) -> str:
    """How to get from the first byte to the Model: the root, its vtable, its fields."""
    lines = [
        "A flatbuffer is tables that point to each other: numbers are little-endian, an offset",
        "counts from where it stands. A table begins with the way back to its vtable, which says",
        "where in the table each field is; the schema says which field is which.",
        "",
        f"{'offset':>10}  {'bytes':<12} meaning",
    ]
    end = 0
    for offset, size, meaning in sorted(_pieces(file)):
        if 0 < offset - end <= ALIGNMENT and not any(file.content[end:offset]):
            lines.append(f"{end:>10,}  {'00 ...':<12} nothing, so that what follows is aligned")
        end = offset + size
        raw = file.content[offset : offset + size].hex(" ")
        lines.append(f"{offset:>10,}  {raw:<12} {meaning}")
    return "\n".join(lines)


def _pieces(file: File) -> Iterator[tuple[int, int, str]]:
    """(offset, bytes, meaning) of the head, the Model's vtable and the Model."""
    root = _number(file, 0, 4)
    vtable = root - int.from_bytes(file.content[root : root + 4], "little", signed=True)
    yield 0, 4, f"the root, table Model, is at {root:,}"
    yield 4, 4, f'"{file.identifier}", the identifier'
    length = _number(file, vtable, 2)
    yield vtable, 2, f"Model's vtable: {length} bytes"
    yield vtable + 2, 2, f"the table itself: {_number(file, vtable + 2, 2)} bytes"
    yield root, 4, f"table Model: its vtable is {abs(root - vtable)} bytes {_way(root - vtable)}"
    for name, at in zip(MODEL_FIELDS, range(vtable + 4, vtable + length, 2), strict=False):
        place = _number(file, at, 2)
        if not place:
            yield at, 2, f"{name}: not in this file"
            continue
        yield at, 2, f"{name}: {place} bytes after the table's start"
        value = _number(file, root + place, 4)
        target = f"{value}" if name == "version" else f"at {root + place + value:,}"
        yield root + place, 4, f"{name}: {target}"


def _way(distance: int) -> str:
    return "before" if distance > 0 else "after"


def _number(file: File, offset: int, size: int) -> int:
    return int.from_bytes(file.content[offset : offset + size], "little")
