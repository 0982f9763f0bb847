"""Graphs to .tflite files and back: nothing lost, nothing twice, and runtimes take them."""

import numpy as np
import pytest
import tflite_graphs
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.flatbuffer import serialize, write
from exporters.read import read
from exporters.schema import INT8_VERSIONS, OPTIONS
from minicnn.graph import Graph, Node, Tensor

DTYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool", "float16", "float64")


def assert_same(a, b):
    """Two graphs with the same tensors and nodes."""
    assert (a.inputs, a.outputs) == (b.inputs, b.outputs)
    for s, t in zip(a.tensors, b.tensors, strict=True):
        assert (s.name, s.shape, s.dtype, s.signature) == (t.name, t.shape, t.dtype, t.signature)
        assert s.axis == t.axis
        for u, v in ((s.scale, t.scale), (s.zero_point, t.zero_point), (s.data, t.data)):
            assert (u is None) == (v is None)
            if u is not None:
                assert u.dtype == v.dtype
                np.testing.assert_array_equal(u, v)
    for n, m in zip(a.nodes, b.nodes, strict=True):
        assert (n.op, n.inputs, n.outputs, n.version) == (m.op, m.inputs, m.outputs, m.version)
        assert n.attrs == m.attrs


@st.composite
def tensors(draw, number):
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=4)))
    dtype = draw(st.sampled_from(DTYPES))
    tensor = Tensor(f"{draw(st.text(max_size=5))}.{number}", shape, dtype)
    rng = np.random.default_rng(draw(st.integers(0, 3)))
    if draw(st.booleans()):
        tensor.data = rng.integers(0, 2, shape).astype(dtype)
    if draw(st.booleans()):
        axis = draw(st.integers(0, max(len(shape) - 1, 0)))
        channels = draw(st.sampled_from([1, shape[axis] if shape else 1]))
        tensor.scale = rng.uniform(1e-3, 1, channels).astype(np.float32)
        tensor.zero_point = rng.integers(-128, 128, channels)
        tensor.axis = axis if channels > 1 else 0
    if draw(st.booleans()):
        tensor.signature = tuple(draw(st.sampled_from([-1, size])) for size in shape)
    return tensor


def values(setting):
    """Values of one setting of an operation."""
    if setting.vector:
        return st.none() | st.lists(st.integers(-1, 9), max_size=4).map(tuple)
    if setting.names is not None:
        return st.sampled_from(sorted(setting.names.values()))
    if isinstance(setting.default, bool):
        return st.booleans()
    if isinstance(setting.default, float):
        return st.floats(0, 8, width=32)
    one = st.integers(-9, 9)
    return st.tuples(one, one) if len(setting.fields) > 1 else one


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 6))
    graph = Graph([draw(tensors(number)) for number in range(count)])
    numbers = st.integers(0, count - 1)
    for _ in range(draw(st.integers(0, 5))):
        op = draw(st.sampled_from(sorted(OPTIONS)))
        inputs = tuple(draw(st.lists(st.integers(-1, count - 1), max_size=4)))
        outputs = tuple(draw(st.lists(numbers, min_size=1, max_size=2)))
        attrs = {setting.attr: draw(values(setting)) for setting in OPTIONS[op].settings}
        graph.nodes.append(Node(op, inputs, outputs, "", attrs, draw(st.integers(1, 9))))
    graph.inputs = draw(st.lists(numbers, max_size=2))
    graph.outputs = draw(st.lists(numbers, max_size=2))
    return graph


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_what_is_written_is_read(graph):
    content = serialize(graph)
    file = read(content)
    assert_same(graph, file.graph)
    assert (file.identifier, file.version, file.subgraphs) == ("TFL3", 3, 1)
    assert file.buffers[0].size == 0
    assert all(buffer.offset % 16 == 0 for buffer in file.buffers)
    assert serialize(file.graph) == content


def test_facts_of_the_file():
    graph = tflite_graphs.convolution()
    file = read(serialize(graph, "a test", {"b": b"two", "a": b"one"}))
    assert file.description == "a test"
    assert file.metadata == {"a": b"one", "b": b"two"}
    assert [(c.op, c.builtin, c.deprecated, c.version) for c in file.codes] == [
        ("CONV_2D", 3, 3, 3)
    ]
    assert [facts.buffer for facts in file.tensors] == [0, 1, 2, 0]
    assert file.bytes_of(2) == graph.tensors[2].data.tobytes()
    assert file.graph.nodes[0].path == "conv"
    w = file.graph.tensors[1].data
    assert np.shares_memory(w, np.frombuffer(file.content, np.uint8))  # and so no copy
    assert not w.flags.writeable


def test_what_occurs_twice_is_written_once():
    graph = tflite_graphs.convolution(channels=64)
    once = serialize(graph)
    first = len(graph.tensors)
    for tensor in graph.tensors[1:3]:
        graph.tensors.append(tflite_graphs.quantized(f"{tensor.name}2", tensor.shape))
        twin = graph.tensors[-1]
        twin.data, twin.dtype = tensor.data.copy(), tensor.dtype
        twin.scale, twin.zero_point = tensor.scale.copy(), tensor.zero_point.copy()
    graph.tensors.append(tflite_graphs.quantized("y", graph.tensors[3].shape, 0.3, -128))
    graph.nodes.append(
        Node("CONV_2D", (0, first, first + 1), (first + 2,), "y", graph.nodes[0].attrs)
    )
    twice = serialize(graph)
    assert len(twice) - len(once) < 300  # names, three tensors, an operator, two vectors
    file = read(twice)
    assert len(file.buffers) == 3
    assert file.tensors[first].buffer == file.tensors[1].buffer
    assert len(file.codes) == 1


def test_written_whole(tmp_path):
    graph = tflite_graphs.convolution()
    size = write(tmp_path / "a.tflite", graph, description="d")
    content = (tmp_path / "a.tflite").read_bytes()
    assert content == serialize(graph, "d")
    assert size == len(content)
    assert read(tmp_path / "a.tflite").graph.nodes == read(content).graph.nodes


def without(graph, number, **changes):
    for name, value in changes.items():
        setattr(graph.tensors[number], name, value)
    return graph


@pytest.mark.parametrize(
    ("number", "changes", "message"),
    [
        (0, {"shape": (1, -1, 5, 3)}, "x: the shape .* is not static"),
        (0, {"shape": (0, 6, 5, 3)}, "x: the shape .* is not static"),
        (0, {"dtype": "int7"}, "x: int7 is no type"),
        (1, {"scale": np.array([1, 2, 0, 4], np.float32)}, "conv/w: scales must be finite"),
        (1, {"scale": np.array([1, 2, np.nan, 4], np.float32)}, "conv/w: scales must be finite"),
        (1, {"scale": np.array([1, 2, np.inf, 4], np.float32)}, "conv/w: scales must be finite"),
        (1, {"zero_point": np.zeros(1, np.int64)}, r"conv/w: scales \(4,\), zero points \(1,\)"),
        (1, {"zero_point": None}, r"conv/w: scales \(4,\), zero points \(\)"),
        (2, {"shape": (5,)}, r"conv/b: the constant is int32 \(4,\), the tensor int32 \(5,\)"),
        (2, {"dtype": "int64"}, "conv/b: the constant is int32"),
    ],
)
def test_tensors_that_are_refused(number, changes, message):
    with pytest.raises(ValueError, match=message):
        serialize(without(tflite_graphs.convolution(), number, **changes))


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "error", "message"),
    [
        ("FFT", (0,), {}, LookupError, "layer: no row for FFT to write"),
        ("RELU", (0,), {"slope": 1}, ValueError, "layer: RELU has no setting .*slope"),
        ("RELU", (9,), {}, ValueError, "layer: RELU names tensor 9"),
        ("ADD", (0, 0), {"activation": "GELU"}, ValueError, "layer: ADD has no activation 'GELU'"),
    ],
)
def test_nodes_that_are_refused(op, inputs, attrs, error, message):
    graph = tflite_graphs.convolution()
    graph.nodes.append(Node(op, inputs, (3,), "layer", attrs))
    with pytest.raises(error, match=message):
        serialize(graph)


def test_versions_are_the_oldest_that_take_int8():
    """edgetpu_compiler refuses newer ones."""
    tensors = [Tensor("int8", (1, 2), "int8"), Tensor("float32", (1, 2))]
    nodes = [Node(op, (t,), (t,), "", {}) for op in OPTIONS for t in (0, 1)]
    read_back = read(serialize(Graph(tensors, nodes))).graph.nodes
    found = {(n.op, n.inputs[0]): n.version for n in read_back}
    assert {op: found[op, 0] for op in OPTIONS if found[op, 0] > 1} == INT8_VERSIONS
    assert {found[op, 1] for op in OPTIONS} == {1}
    assert found["CONV_2D", 0] == 3
    assert found["FULLY_CONNECTED", 0] == 4
    assert found["QUANTIZE", 0] == found["RESHAPE", 0] == 1
