# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 11. A .tflite, byte by byte
# What goes to the device is one file. Here you walk through its bytes by hand, with two short
# functions, find the network in them, see where the bytes go, and change a single one so that the
# Edge TPU would no longer take it.
#
# **You need** tutorial 10 (scales and zero points). **It takes** a few seconds of computing.

# %%
import struct

import numpy as np
import tflite

import lesson
import models
from checks import tflite_bytes as check
from exporters import edgetpu
from exporters.read import read

content = models.released("squeezenet_int8.tflite").read_bytes()  # comes with minicnn

COLOURS = {"offset": "#66ccee", "identifier": "#ccbb44", "vtable": "#bbbbbb", "table": "#ee8866"}
root = struct.unpack_from("<I", content, 0)[0]
vtable = root - struct.unpack_from("<i", content, root)[0]
kinds = dict.fromkeys(range(4), "offset")
kinds |= dict.fromkeys(range(4, 8), "identifier")
kinds |= dict.fromkeys(range(vtable, vtable + content[vtable]), "vtable")
kinds |= dict.fromkeys(range(root, root + content[vtable + 2]), "table")

figure = lesson.figure(8, 2.6)
axes = figure.subplots()
for place in range(80):
    row, column = divmod(place, 16)
    colour = COLOURS.get(kinds.get(place), "white")
    box = {"boxstyle": "square,pad=0.35", "fc": colour, "ec": "none"}
    byte = content[place]
    letter = chr(byte) if kinds.get(place) == "identifier" else f"{byte:02x}"
    axes.text(column, row, letter, family="monospace", ha="center", va="center", bbox=box)
axes.set(xlim=(-0.6, 15.6), ylim=(4.7, -0.7), xticks=range(16), yticks=range(5))
axes.set_yticklabels([f"{16 * row}" for row in range(5)])
axes.set(title="the first 80 bytes", ylabel="position", xlabel="+ so many bytes")
for name, colour in COLOURS.items():
    axes.plot([], [], "s", color=colour, markersize=9, label=name)
figure.legend(frameon=False, loc="outside lower center", ncols=4)
lesson.show(figure, "11_first_bytes")

# %% [markdown]
# ## A flatbuffer
# A .tflite file is a flatbuffer: made so that a program reads any part of it where it lies, without
# unpacking the rest. All numbers are little-endian, the lowest byte first. What there is:
#
# - **An offset** (4 bytes, unsigned) says where something is, counted *from where the offset itself
#   stands*. Bytes 0 to 3 are one: it leads to the root table. Bytes 4 to 7 are the identifier.
# - **A table** begins with a *signed* number of 4 bytes. Its own position *minus* that number is
#   its vtable.
# - **A vtable** is made of numbers of 2 bytes: its length in bytes, the table's length, then for
#   each field, in the order of the schema, how far into the table it is, or **0 if it is absent**.
#   Fields that are missing at the end, because the writer knew none or needed none, are absent too.
# - **A vector** is its number of elements (4 bytes), then the elements. A field that is a vector, a
#   string or a table holds an offset to it.
#
# In the picture (hexadecimal): the offset 24, which is 36, leads to the root table at 36. That
# begins with 12, which is 18, so its vtable is at 36 - 18 = 18. There stand the vtable's length, 12
# again, the table's, 1c or 28, and for field 0 the number 18, or 24: at 36 + 24 = 60 is the
# version, 3.
#
# Which field is which, the file does not say: that is the schema's part (`schema.fbs` of
# TensorFlow).
#
# Three functions read numbers, and one follows an offset:


# %%
def u16(content, place):
    return struct.unpack_from("<H", content, place)[0]


def u32(content, place):
    return struct.unpack_from("<I", content, place)[0]


def i32(content, place):
    return struct.unpack_from("<i", content, place)[0]


def follow(content, place):
    """Where the offset at ``place`` leads to."""
    return place + u32(content, place)


# %% [markdown]
# **Blank 1**: the position of a field of a table, or 0 if the field is absent (no field is at 0,
# where the file begins). Field 0 comes right after the vtable's first two numbers.


# %%
def field(content, table, number):
    """Where in the file field ``number`` of the table at ``table`` is; 0 if it is absent."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def field_solution(content, table, number):
    vtable = table - i32(content, table)
    entry = 4 + 2 * number  # behind the two lengths
    if entry >= u16(content, vtable):  # the vtable ends before it
        return 0
    inside = u16(content, vtable + entry)
    return table + inside if inside else 0


# %% [markdown]
# **Blank 2**: where the elements of a vector begin, and how many they are. `place` is that of the
# field which holds the offset to it.


# %%
def vector(content, place):
    """(position of the first element, number of elements)."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def vector_solution(content, place):
    start = follow(content, place)
    return start + 4, u32(content, start)


# %%
field = lesson.answer("field", field, field_solution)
check.field(field)
vector = lesson.answer("vector", vector, vector_solution)
check.vector(vector)

# %% [markdown]
# ## The network in it
# With these two functions everything can be reached. The numbers of the fields are the schema's: a
# `Model` has version 0, operator_codes 1, subgraphs 2, description 3, buffers 4; a `SubGraph` has
# tensors 0; a `Tensor` has shape 0, type 1, buffer 2, name 3, quantization 4; that has scale 2 and
# zero_point 3.


# %%
def numbers(table, number, kind):
    """The vector of field ``number`` as an array; empty if the field is absent."""
    start, count = span(table, number)
    return np.frombuffer(content, kind, count, start)


def span(table, number):
    """(position, number of elements) of the vector of field ``number``; (0, 0) if it is absent."""
    place = field(content, table, number)
    return vector(content, place) if place else (0, 0)


def tables(table, number):
    """Positions of the tables in the vector of field ``number``: a vector of offsets."""
    start, count = span(table, number)
    return [follow(content, start + 4 * k) for k in range(count)]


def text(table, number):
    return numbers(table, number, np.uint8).tobytes().decode()


model = follow(content, 0)
print(f"identifier {content[4:8]}, version {u32(content, field(content, model, 0))}")
print(f"description: {text(model, 3)}")
buffers = tables(model, 4)
tensors = tables(tables(model, 2)[0], 0)
print(f"{len(tensors)} tensors, {len(buffers)} buffers\n")
print(f"{'tensor':16} {'shape':>14} buffer  bytes   scales            zero point")
places = [field(content, t, 2) for t in tensors]
of_tensor = [u32(content, place) if place else 0 for place in places]  # each one's buffer
for t, buffer in zip(tensors[:14], of_tensor, strict=False):
    size = span(buffers[buffer], 0)[1]
    quantization = follow(content, field(content, t, 4))
    scales, zeros = numbers(quantization, 2, "<f4"), numbers(quantization, 3, "<i8")
    shape = "x".join(str(n) for n in numbers(t, 0, "<i4"))
    print(
        f"{text(t, 3):16} {shape:>14} {buffer:6} {size:6,}   "
        f"{len(scales):3} x {scales[0]:.5f}{' ...' if len(scales) > 1 else '    '} {zeros[0]:5}"
    )

theirs = tflite.Model.GetRootAs(content, 0).Subgraphs(0)
agree = 0
for k, t in enumerate(tensors):
    other, place = theirs.Tensors(k), field(content, t, 4)
    scales = numbers(follow(content, place), 2, "<f4") if place else []
    agree += (
        text(t, 3) == other.Name().decode()
        and np.array_equal(numbers(t, 0, "<i4"), other.ShapeAsNumpy())
        and content[field(content, t, 1)] == other.Type()
        and (not len(scales) or np.array_equal(scales, other.Quantization().ScaleAsNumpy()))
    )
print(f"\nname, shape, type and scales as the tflite package reads them: {agree} of {len(tensors)}")

# %% [markdown]
# ## Where the bytes go
# Each buffer's bytes are one tensor's constant. The rest is structure: tables, names, scales.

# %%
parts = ("tables, names, padding", "weights", "biases", "scales, zero points", "other buffers")
part_of = np.zeros(len(content), np.uint8)  # of each byte, a position in `parts`
for buffer in buffers:
    start, size = span(buffer, 0)
    part_of[start : start + size] = 4
for t, buffer in zip(tensors, of_tensor, strict=True):
    start, size = span(buffers[buffer], 0)
    if size and text(t, 3).endswith(("/w", "/b")):
        part_of[start : start + size] = 1 if text(t, 3).endswith("/w") else 2
    if place := field(content, t, 4):
        for number, each in ((2, 4), (3, 8)):  # scales of 4 bytes, zero points of 8
            start, count = span(follow(content, place), number)
            part_of[start : start + each * count] = 3
sizes = np.bincount(part_of, minlength=len(parts))

figure = lesson.figure(7, 2.2)
axes = figure.subplots()
order = np.argsort(-sizes)
axes.barh([parts[k] for k in order], sizes[order] / 1000, color="#4477aa")
for row, k in enumerate(order):
    note = f"{sizes[k]:,} bytes, {sizes[k] / len(content):.1%}"
    axes.annotate(note, (sizes[k] / 1000, row), (4, 0), textcoords="offset points", va="center")
axes.set(xlabel="kB", title=f"{len(content):,} bytes", xlim=(0, sizes.max() / 1000 * 1.5))
axes.invert_yaxis()
lesson.show(figure, "11_tflite_byte_by_byte")

# %% [markdown]
# ## One byte too many
# `edgetpu_compiler` maps an operation only if its inputs, weights and outputs are 8-bit integers
# with a scale (a bias has 32 bits). And it makes only one part for the chip: from the first
# operation that it cannot map on, everything runs on the CPU, whatever its type. minicnn's check
# has these rules as code. The type of a tensor is one byte in the file (int8 is 9, float32 is 0).
# Change that byte of the first fire module's output:

# %%
changed = bytearray(content)
for t in tensors:
    if text(t, 3) == "fire2":
        changed[field(content, t, 1)] = 0
figure = lesson.figure(8, 1.6)
axes = figure.subplots()
for row, (name, data) in enumerate((("as it is", content), ("one byte changed", bytes(changed)))):
    verdict = edgetpu.check(read(data))
    for column, operation in enumerate(verdict.operations):
        good = operation.mapped
        looks = {"color": "#4477aa"} if good else {"fc": "white", "ec": "#cc6600", "hatch": "xxxx"}
        axes.bar(column, 0.7, 0.7, row - 0.35, **looks)
    on_chip = sum(operation.mapped for operation in verdict.operations)
    print(f"{name}: {on_chip} of {len(verdict.operations)} operations would map")
    for finding in verdict.findings[:2]:
        print(f"    {finding}")
axes.set_yticks((0, 1), ("as it is", "one byte changed"))
axes.set(xlabel="operation, in order of execution", ylim=(1.5, -0.5), xlim=(-0.6, 41.6))
axes.set_title("blue: on the Edge TPU; crossed out: on the CPU")
lesson.show(figure, "11_one_byte")
lesson.number(f"{sizes[1] / len(content):.1%}", "of the file's bytes are weights")

# %% [markdown]
# ## What can go wrong
# - **An absent field is read as if it were there.** A field whose value is the schema's default is
#   usually left out. That does not mean that the file is damaged, but that the default holds: a
#   tensor without a type is float32, whose number is 0.
# - **A position is taken for absolute.** Every offset counts from where it stands. The one
#   exception is the `Buffer`'s own offset in files above 2 GB.
# - **Alignment.** Weights must begin at a multiple of 16 bytes, or a runtime may refuse or crawl:
#   the zeros between the parts are there for that.
# - **Trust.** The bytes come from somewhere. A length that reaches beyond the file is an error to
#   report, not to follow (`exporters/read.py`).
#
# ## Go on
# `python -m exporters.dump squeezenet_int8.tflite` is the long form of this walk. Find the
# operators: `SubGraph` has them as field 3, an `Operator` has inputs 1 and outputs 2. Which tensor
# does the last one write?
#
# Next: [12. More speed](12_more_speed.py)
