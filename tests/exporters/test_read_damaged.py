"""Whatever a file holds, reading it ends in a File or in one clear line."""

import io
import struct
import tracemalloc
import zipfile

import flatbuffers
import numpy as np
import pytest
import tflite
import tflite_graphs
from PIL import Image

from exporters import metadata
from exporters.dump import main, text
from exporters.dump_bytes import first_bytes
from exporters.flatbuffer import serialize
from exporters.read import Signature, read
from minicnn.errors import UserError
from minicnn.graph import Graph, Node, Tensor

CONTENT = serialize(tflite_graphs.convolution(), metadata={"note": b"hello"})


def jpeg():
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    return file.getvalue()


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("a.txt", "hello")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a TFLite file: it is empty"),
        (b"\x1c\0\0", "is not a TFLite file: bytes 4 to 7 are not"),
        (jpeg(), "is not a TFLite file: bytes 4 to 7 are not"),
        (archive(), "is not a TFLite file: bytes 4 to 7 are not"),
        (CONTENT[:4] + b"TFL2" + CONTENT[8:], "is a TFLite file of another format: TFL2"),
        (CONTENT[:8], "is damaged: "),
        (CONTENT[:500], "is damaged: "),
        (b"\x08\0\0\0TFL3" + bytes(10**6), "is damaged: it has no subgraph"),
    ],
)
def test_what_is_no_tflite_file(tmp_path, content, message):
    path = tmp_path / "given.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"given.tflite {message}"):
        read(path)
    with pytest.raises(UserError, match=f"the model {message}"):
        read(content)


def test_what_is_no_file(tmp_path):
    with pytest.raises(UserError, match="is a folder, not a TFLite file"):
        read(tmp_path)
    with pytest.raises(UserError, match="no such file: .*missing.tflite"):
        read(str(tmp_path / "missing.tflite"))


def model():
    return tflite.Model.GetRootAs(CONTENT, 0)


def vector(table, slot):
    """Where the vector of a field begins in the file: its length, then its entries."""
    return table._tab.Vector(table._tab.Offset(4 + 2 * slot)) - 4


def place(table, slot):
    return table._tab.Pos + table._tab.Offset(4 + 2 * slot)


def damages():
    """(where, format, value, message): one number of the file put out of range."""
    graph = model().Subgraphs(0)
    operator, w = graph.Operators(0), graph.Tensors(1)
    inputs, outputs, tensors = vector(operator, 1), vector(operator, 2), vector(graph, 0)
    shape, weights = vector(w, 0), vector(model().Buffers(1), 0)
    return [
        (inputs + 4, "i", 4, "operator 0's inputs: a tensor number is outside -1 to 3"),
        (inputs + 4, "i", -2, "operator 0's inputs: a tensor number"),
        (outputs + 4, "i", 99, "operator 0's outputs: a tensor number"),
        (vector(graph, 1) + 4, "i", -1, "the graph's inputs: a tensor number is outside 0 to 3"),
        (inputs, "I", 2**32 - 1, "an offset points outside the file"),
        (tensors, "I", 2**32 - 1, "it declares 4,294,967,295 Tensors"),
        (tensors, "I", 90_000, "an offset points outside the file"),
        (tensors + 4, "I", 2**31, "an offset points outside the file"),
        (place(w, 2), "I", 7, r"the buffer of tensor 1 \(conv/w\) is number 7, of 4"),
        (place(w, 1), "b", 99, r"tensor 1 \(conv/w\) has the unknown type 99"),
        (
            place(w, 1),
            "b",
            2,
            r"of shape \(4, 3, 3, 3\) and type int32 takes 432 bytes, .* has 108",
        ),
        (shape, "I", 20, r"tensor 1 \(conv/w\) has 20 dimensions"),
        (shape + 4, "i", -5, r"tensor 1 \(conv/w\) has the shape \[-5, 3, 3, 3\]"),
        (shape + 4, "i", 5, "takes 135 bytes, its buffer has 108"),
        (weights, "I", 10**6, "an offset points outside the file"),
        (place(operator, 3), "B", 5, r"operator 0 \(CONV_2D\) has options of another operation"),
        (0, "I", 2**31, "an offset points outside the file"),
    ]


@pytest.mark.parametrize(("where", "form", "value", "message"), damages())
def test_numbers_out_of_range(where, form, value, message):
    content = bytearray(CONTENT)
    struct.pack_into(f"<{form}", content, where, value)
    with pytest.raises(UserError, match=f"the model is damaged: .*{message}"):
        read(bytes(content))


def survives(content):
    """Read, and if that works, dump: nothing but a UserError may come of it."""
    try:
        file = read(content)
    except UserError:
        return False
    text(file)
    first_bytes(file)
    return True


def test_cut_short():
    whole = model().Subgraphs(0)
    assert whole.TensorsLength() == 4
    assert not any(survives(CONTENT[:size]) for size in range(0, 600, 3))
    for size in range(600, len(CONTENT), 17):
        survives(CONTENT[:size])
    assert survives(CONTENT)


def test_bytes_overwritten():
    rng = np.random.default_rng(0)
    described = metadata.build("n", "d", ["a", "b"], 127.5, 127.5)
    content = serialize(tflite_graphs.convolution(), metadata={metadata.NAME: described})
    content = metadata.append_labels(content, ["a", "b"])
    read_well = 0
    for _ in range(1000):
        damaged = np.frombuffer(content, np.uint8).copy()
        where = rng.integers(0, len(content), rng.integers(1, 6))
        damaged[where] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)], where.size)
        read_well += survives(damaged.tobytes())
    assert 100 < read_well < 900  # both ends were reached


def test_nothing_asks_for_endless_work():
    """A small file whose operators all share one long list of inputs."""
    graph = Graph([Tensor(f"t{number}", (1,)) for number in range(1500)])
    inputs = (0,) * 3000
    graph.nodes = [Node("CONCATENATION", inputs, (number,), "c") for number in range(1500)]
    content = serialize(graph)
    assert len(content) < 200_000
    tracemalloc.start()
    with pytest.raises(UserError, match="it holds far more than its size allows"):
        read(content)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


def offsets(builder, *places):
    builder.StartVector(4, len(places), 4)
    for where in reversed(places):
        builder.PrependUOffsetTRelative(where)
    return builder.EndVector()


def table(builder, name, **fields):
    getattr(tflite, f"{name}Start")(builder)
    for field, value in fields.items():
        getattr(tflite, f"{name}Add{field}")(builder, value)
    return getattr(tflite, f"{name}End")(builder)


def strange_file():
    """What the writer never writes: an operation of one's own, a variable, int4, a signature."""
    b = flatbuffers.Builder()
    name, op, custom = b.CreateString("x"), b.CreateString("mine"), 32
    scale = b.CreateNumpyVector(np.array([0.5, 2], np.float32))
    details = table(b, "CustomQuantization")
    quantization = table(
        b, "QuantizationParameters", Scale=scale, DetailsType=1, Details=details,
        QuantizedDimension=1,
    )  # fmt: skip
    shape = b.CreateNumpyVector(np.array([1, 2], np.int32))
    x = table(b, "Tensor", Shape=shape, Name=name, Quantization=quantization, IsVariable=True)
    sparse = table(b, "SparsityParameters")
    y = table(b, "Tensor", Shape=shape, Buffer=1, Sparsity=sparse)
    z = table(b, "Tensor", Shape=shape, Buffer=1, Type=tflite.TensorType.INT4)
    numbers = b.CreateNumpyVector(np.array([0], np.int32))
    operators = [
        table(b, "Operator", Inputs=numbers, Outputs=numbers),
        table(b, "Operator", OpcodeIndex=1),
        table(b, "Operator", OpcodeIndex=2, Inputs=numbers),
    ]
    codes = [
        table(b, "OperatorCode", BuiltinCode=custom, CustomCode=op),
        table(b, "OperatorCode", BuiltinCode=9999, DeprecatedBuiltinCode=127),
        table(b, "OperatorCode", DeprecatedBuiltinCode=tflite.BuiltinOperator.CONV_2D, Version=2),
    ]
    tensors, listed = offsets(b, x, y, z), offsets(b, *operators)
    graph = table(b, "SubGraph", Tensors=tensors, Operators=listed, Inputs=numbers)
    argument = offsets(b, table(b, "TensorMap", Name=name))
    signature = table(b, "SignatureDef", Inputs=argument, SignatureKey=op)
    data = table(b, "Buffer", Data=b.CreateByteVector(b"\x21"))
    buffers, codes = offsets(b, table(b, "Buffer"), data), offsets(b, *codes)
    graphs, signatures = offsets(b, graph, graph), offsets(b, signature)
    b.Finish(
        table(b, "Model", Version=3, OperatorCodes=codes, Subgraphs=graphs, Buffers=buffers,
              SignatureDefs=signatures), b"TFL3",
    )  # fmt: skip
    return bytes(b.Output())


def test_what_other_files_may_hold():
    file = read(strange_file())
    assert file.subgraphs == 2
    assert [code.op for code in file.codes] == ["CUSTOM:mine", "BUILTIN:9999", "CONV_2D"]
    assert file.signatures == [Signature("mine", {"x": 0}, {})]
    own, unknown, conv = file.graph.nodes
    assert (own.path, own.attrs, own.outputs) == ("x", {}, (0,))
    assert (unknown.path, unknown.outputs) == ("operator 1", ())
    assert conv.attrs["stride"] == (0, 0)  # its options are missing: the schema's defaults
    assert conv.attrs["dilation"] == (1, 1)
    x, y, z = file.graph.tensors
    assert (x.axis, x.zero_point.tolist()) == (1, [0, 0])
    assert (file.tensors[0].variable, file.tensors[0].quantization) == (True, "CustomQuantization")
    assert file.tensors[1].sparse
    assert (z.dtype, z.data.dtype, z.data.tolist()) == ("int4", np.uint8, [0x21])
    assert "CustomQuantization variable" in text(file)


def test_a_mistake_is_one_line(tmp_path, capsys):
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg())
    assert main([str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path} is not a TFLite file")
