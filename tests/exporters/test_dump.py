"""The byte tour: what it says is what is in the file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tflite_graphs

from exporters import dump, dump_bytes, metadata
from exporters.flatbuffer import serialize
from exporters.read import read

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ["nevus", "melanoma"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    described = metadata.build("net", "a net", CLASSES, 127.5, 64)
    graph = tflite_graphs.convolution()
    graph.tensors[0].name = "a" * 120
    content = serialize(graph, "a test", {metadata.NAME: described})
    path = tmp_path_factory.mktemp("dump") / "net.tflite"
    path.write_bytes(metadata.append_labels(content, CLASSES))
    return path


def lines(path, capsys, *flags):
    assert dump.main([str(path), *flags]) == 0
    return capsys.readouterr().out.splitlines()


def section(printed, title):
    (start,) = [i for i, line in enumerate(printed) if line.startswith(title)]
    end = printed.index("", start) if "" in printed[start:] else len(printed)
    return printed[start + 1 : end]


def test_structure(path, capsys):
    printed = lines(path, capsys)
    assert printed[1] == "identifier  TFL3, schema version 3"
    assert f"size        {path.stat().st_size:,} bytes" in printed
    assert section(printed, "Operation codes") == ["  0  CONV_2D  version 3  code 3"]
    what, who = section(printed, "Operators")
    assert what.split("  ", 2)[2].endswith("stride 2x2, padding same, activation RELU")
    assert who.strip() == f"0 {'a' * 37}..., 1 conv/w, 2 conv/b -> 3 conv"
    head, x, w, b, y = section(printed, "Tensors")
    assert x.split() == ["0", "1x6x5x3", "int8", "scale", "0.05", "zp", "-3", "-", "a" * 120]
    assert re.search(r"4x3x3x3 +int8 +4 scales 0\.0\d+\.\.0\.0\d+ axis 0 +1 +conv/w$", w)
    assert re.search(r"3 +1x3x3x4 +int8 +scale 0\.3 zp -128 +- +conv$", y)
    assert [line.index("int") for line in (x, w, b, y)] == [head.index("type")] * 4
    labels = section(printed, "Metadata")[1:]
    assert [line.split(maxsplit=1)[1] for line in labels] == [
        "nevus; melanoma",
        "(pixel - 127.5) / 64",
    ]


def test_buffers_are_where_it_says(path, capsys):
    _, *rows, empty = section(lines(path, capsys), "Buffers")
    assert empty.startswith("  1 empty")
    content, graph = path.read_bytes(), tflite_graphs.convolution()
    for row, tensor in zip(rows, (1, 2), strict=False):
        number, offset, size, _, used = row.replace(",", "").split()
        assert (number, used) == (str(tensor), str(tensor))
        data = graph.tensors[tensor].data.tobytes()
        assert content[int(offset) : int(offset) + int(size)] == data
    assert rows[2].endswith("metadata")


def test_bytes_add_up(path):
    rows = dump_bytes.summary(read(path)).splitlines()
    sizes = {row[:45].strip(): int(row[45:].split()[0].replace(",", "")) for row in rows}
    assert sizes.pop("the whole file") == sum(sizes.values()) == path.stat().st_size
    assert (sizes["weights"], sizes["biases"]) == (4 * 27, 4 * 4)
    assert sizes["scales"] == 4 * (4 + 4 + 1 + 1)
    assert sizes["zero points"] == 8 * (4 + 1 + 1)  # the zeros of weights and biases are shared
    plain = len(path.read_bytes()) - sizes["files appended as a zip"]
    assert path.read_bytes()[plain : plain + 4] == b"PK\3\4"


def test_first_bytes(path, capsys):
    content = path.read_bytes()
    rows = [
        line for line in lines(path, capsys, "--hex") if re.match(r" +[\d,]+ +[0-9a-f]{2} ", line)
    ]
    ends = []
    for row in rows:
        offset, raw = re.match(r" +([\d,]+) +((?:[0-9a-f]{2} ?)+)", row).groups()
        start, raw = int(offset.replace(",", "")), bytes.fromhex(raw)
        assert content[start : start + len(raw)] == raw
        ends.append((start, start + len(raw), "nothing" in row))
    for (_, end, gap), (start, _, _) in zip(ends, ends[1:], strict=False):
        assert end == start or gap  # nothing is left out
    assert any('"TFL3", the identifier' in row for row in rows)
    assert any("version: 3" in row for row in rows)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell's pipe")
def test_of_a_pipe_that_closes(path):
    command = f"'{sys.executable}' -m exporters.dump '{path}' | true"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""


def test_damaged_metadata_do_not_hide_the_rest(tmp_path, capsys):
    bad = serialize(tflite_graphs.convolution(), metadata={metadata.NAME: b"\xff" * 50})
    (tmp_path / "bad.tflite").write_bytes(bad)
    printed = lines(tmp_path / "bad.tflite", capsys)
    assert "metadata is damaged" in section(printed, "Metadata")[1]
    assert np.sum(["conv/w" in line for line in printed]) == 2
