"""TFLite metadata: what apps and zip readers find in a file."""

import io
import zipfile

import numpy as np
import pytest
import tflite_graphs
from flatbuffers.number_types import Float32Flags
from flatbuffers.table import Table
from small import ACCEPTED

from exporters import metadata
from exporters.flatbuffer import serialize
from exporters.read import read
from minicnn.errors import UserError

CLASSES = ["akiec", "basal cell", "Melanom, maligne", "naevus\tü", "0"]


def described(labels=CLASSES, **changes):
    given = {"name": "net", "description": "a net", "mean": 127.5, "std": 64.0, **changes}
    content = metadata.build(labels=labels, **given)
    return serialize(tflite_graphs.convolution(), metadata={metadata.NAME: content})


def test_labels_and_normalization_come_back(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(metadata.append_labels(described(mean=[1, 2, 3], std=[4, 5, 6]), CLASSES))
    for source in (path, str(path), path.read_bytes(), read(path)):
        assert metadata.labels(source) == CLASSES
        mean, std = metadata.normalization(source)
        assert (mean.tolist(), std.tolist()) == ([1, 2, 3], [4, 5, 6])


def test_a_model_without():
    plain = serialize(tflite_graphs.convolution())
    assert metadata.labels(plain) is metadata.normalization(plain) is None
    assert metadata.labels(described(labels=[])) is None
    assert metadata.normalization(described(labels=[]))[1].tolist() == [64]


def slot(table, number):
    return table.Offset(4 + 2 * number)


def below(table, number):
    """The table that a field points to."""
    return Table(table.Bytes, table.Indirect(table.Pos + slot(table, number)))


def first(table, number):
    """The first table of a vector of one."""
    assert table.VectorLen(slot(table, number)) == 1
    return Table(table.Bytes, table.Indirect(table.Vector(slot(table, number))))


def text(table, number):
    return table.String(table.Pos + slot(table, number)).decode()


def byte(table, number):
    return table.Bytes[table.Pos + slot(table, number)]


def floats(table, number):
    return table.GetVectorAsNumpy(Float32Flags, slot(table, number)).tolist()


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("float32", -0.5, 5.875)]
)
def test_the_schema(dtype, low, high):
    """By the numbers of metadata_schema.fbs alone."""
    content = metadata.build("net", "a net", CLASSES, mean=20, std=40, input_dtype=dtype)
    assert content[4:8] == b"M001"
    model = Table(content, int.from_bytes(content[:4], "little"))
    assert [text(model, number) for number in (0, 1, 7)] == ["net", "a net", "1.0.0"]
    subgraph = first(model, 3)
    image, result = first(subgraph, 2), first(subgraph, 3)
    assert (text(image, 0), text(result, 0)) == ("image", "probability")
    assert byte(below(image, 3), 0) == 2  # Content is ImageProperties
    assert byte(below(below(image, 3), 1), 0) == 1  # ColorSpaceType RGB
    assert byte(below(result, 3), 0) == 1  # Content is FeatureProperties
    unit = first(image, 4)
    assert byte(unit, 0) == 1  # ProcessUnitOptions is NormalizationOptions
    assert (floats(below(unit, 1), 0), floats(below(unit, 1), 1)) == ([20], [40])
    assert (floats(below(image, 5), 0), floats(below(image, 5), 1)) == ([high], [low])
    file = first(result, 6)
    assert text(file, 0) == "labels.txt"
    assert byte(file, 2) == 2  # TENSOR_AXIS_LABELS


def test_the_archive():
    model = described()
    content = metadata.append_labels(model, CLASSES)
    assert content.startswith(model)
    assert content == metadata.append_labels(model, CLASSES)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode().split("\n") == [*CLASSES, ""]
    with pytest.raises(ValueError, match=r"one line of text, unlike 'a\\nb'"):
        metadata.append_labels(model, ["x", "a\nb"])


def test_runtimes_see_the_same_model():
    pytest.importorskip("ai_edge_litert")
    x = np.random.default_rng(0).integers(-128, 128, (1, 6, 5, 3)).astype(np.int8)
    (one,) = tflite_graphs.run(serialize(tflite_graphs.convolution()), x)
    (other,) = tflite_graphs.run(metadata.append_labels(described(), CLASSES), x)
    np.testing.assert_array_equal(one, other)


def test_what_is_damaged():
    with pytest.raises(UserError, match="the labels appended to it are damaged"):
        metadata.labels(described())  # metadata name a file that is not there
    content = metadata.append_labels(described(), CLASSES)
    torn = content.replace(b"akiec\nbasal", b"akiec\nnasal")
    with pytest.raises(UserError, match="the labels appended to it are damaged"):
        metadata.labels(torn)
    packed = bytearray(content)
    packed[content.rindex(b"PK\1\2") + 10] = zipfile.ZIP_BZIP2
    with pytest.raises(UserError, match="the labels appended to it are damaged"):
        metadata.labels(bytes(packed))
    foreign = serialize(tflite_graphs.convolution(), metadata={metadata.NAME: b"\xff" * 50})
    with pytest.raises(UserError, match="its TFLite metadata is damaged"):
        metadata.normalization(foreign)


@pytest.mark.skipif(not ACCEPTED.is_dir(), reason="the files that the compiler accepted are absent")
def test_a_file_that_others_described():
    file = read(ACCEPTED / "tf2_mobilenet_v2_1.0_224_ptq.tflite")
    names = metadata.labels(file)
    assert len(names) == 1001
    assert names[:2] == ["background", "tench, Tinca tinca"]
    assert [values.tolist() for values in metadata.normalization(file)] == [[127.5], [127.5]]
