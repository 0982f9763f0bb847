"""The simulator against TFLite's own BUILTIN_REF kernels, every tensor, bit for bit."""

import importlib
from random import Random

import int8_graphs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from int8_graphs import Builder
from small import ACCEPTED

from exporters.flatbuffer import serialize
from exporters.read import read
from minicnn import kernels
from minicnn.compress.simulate import Simulator, simulate
from minicnn.graph import Graph

RUNTIMES = {
    "litert-2.3": "ai_edge_litert.interpreter",
    "tflite-runtime-2.14": "tflite_runtime.interpreter",
}


@pytest.fixture(params=RUNTIMES)
def rules(request):
    """Each rule set whose runtime is installed here; the two want different NumPys."""
    pytest.importorskip(RUNTIMES[request.param])
    return request.param


@pytest.fixture(autouse=True)
def loops():
    with kernels.using("reference"):
        yield


def by_the_runtime(content: bytes, graph: Graph, x: np.ndarray, rules: str) -> dict:
    runtime = importlib.import_module(RUNTIMES[rules])
    interpreter = runtime.Interpreter(
        model_content=content,
        experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    values: dict = {node.output: [] for node in graph.nodes}
    for image in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        for number in values:
            values[number].append(interpreter.get_tensor(number))
    return {number: np.concatenate(images) for number, images in values.items()}


def assert_equal(graph: Graph, x: np.ndarray, rules: str, content: bytes | None = None) -> None:
    # all are outputs: 2.14 writes SOFTMAX over its input, "preserve all tensors" or not
    graph.outputs = [node.output for node in graph.nodes]
    wanted = by_the_runtime(content or serialize(graph), graph, x, rules)
    got = Simulator(graph, rules).tensors(x)
    for node in graph.nodes:
        np.testing.assert_array_equal(got[node.output], wanted[node.output], node.path, strict=True)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def _any_graph(rules, random):
    graph = int8_graphs.random_graph(random)
    assert_equal(graph, int8_graphs.images(graph, 3, random.randrange(2**32)), rules)


def test_random_graphs_equal_the_runtime(rules):
    _any_graph(rules)


def foreign_graph(random: Random) -> Graph:
    """What our networks never have: PAD, DEPTHWISE_CONV_2D, ADD, MEAN."""
    build = Builder(random)
    H, W, C, many = random.randint(2, 8), random.randint(2, 8), random.choice((1, 3, 8)), 2
    x = build.input((H, W, C))
    around = np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32)
    number = build.tensor((4, 2), dtype="int32", name="paddings", data=around)
    x = build.like("PAD", (x, number), (H + 3, W + 1, C))
    w, b, scale = build.weights(x, (1, 3, 2, C * many), C * many, 3)
    attrs = {"stride": (1, 1), "padding": "same", "depth_multiplier": many}
    attrs |= {"activation": build.activation(), "dilation": random.choice(((1, 1), (2, 2)))}
    shape = H + 3, W + 1, C * many
    y = build.node("DEPTHWISE_CONV_2D", (x, w, b), shape, scale, build.zero(), **attrs)
    z = build.conv(x, C * many, (1, 1))
    scale = build.scale(2 * float(build.graph.tensors[y].scale[0]))
    y = build.node("ADD", (y, z), shape, scale, build.zero(), activation=build.activation())
    number = build.tensor((2,), dtype="int32", name="axes", data=np.array([1, 2], np.int32))
    keep = random.random() < 0.5
    shape = (1, 1, C * many) if keep else (C * many,)
    scale = build.scale(scale)
    y = build.node("MEAN", (y, number), shape, scale, build.zero(), keep_dims=keep)
    build.graph.outputs = [y]
    return build.graph


def test_foreign_operations_equal_the_runtime(rules):
    for seed in range(40):
        graph = foreign_graph(Random(seed))
        assert_equal(graph, int8_graphs.images(graph, 3, seed), rules)


@pytest.mark.parametrize(
    "name",
    [
        "bright_16x16",
        "gabor_64x64_p4",
        "tf2_mobilenet_v2_1.0_224_ptq",
        "mobilenet_edgetpu_0.75_224_post_training_quant",
    ],
)
def test_files_of_others_equal_the_runtime(name):
    pytest.importorskip("ai_edge_litert.interpreter")
    path = ACCEPTED / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"wants {path.name} of the accepted models beside the checkout")
    graph = read(path).graph
    x = int8_graphs.images(graph, 1)
    assert_equal(graph, x, "litert-2.3", path.read_bytes())


# x_scale, w_scale, y_scale, sum, then the integer that comes out of: LiteRT 2.3; tflite-runtime
# 2.14 with one scale for all weights; the same with a scale for each row. As the runtimes gave it.
TIES = [
    (0.026988020166754723, 0.0022643778938800097, 0.000849455245770514, 1410, 101, 101, 102),
    (0.008551890030503273, 0.002173203509300947, 0.0006900505977682769, -4325, -116, -116, -117),
    (0.02506360225379467, 0.014628654345870018, 0.000994402333162725, 318, 117, 117, 118),
]


def dense_of_one_sum(scales, total, rows):
    """FULLY_CONNECTED whose weights are 0, so that its sums are its bias."""
    x_scale, w_scale, y_scale = np.float32(scales)
    build = Builder(Random(0))
    x = build.tensor((1, 1), x_scale, 0, name="x")
    w_scales = [w_scale] * rows
    w = build.tensor((2, 1), w_scales, name="w", data=np.zeros((2, 1), np.int8))
    bias = np.full(2, total, np.int32)
    b = build.tensor((2,), [x_scale * s for s in w_scales], dtype="int32", name="b", data=bias)
    y = build.node("FULLY_CONNECTED", (x, w, b), (2,), y_scale, 0, activation="NONE")
    build.graph.inputs, build.graph.outputs = [x], [y]
    return build.graph


@pytest.mark.parametrize("case", TIES)
def test_fully_connected_rounds_as_its_runtime_does(case):
    *scales, total, litert, per_tensor, per_channel = case
    x = np.zeros((1, 1), np.int8)
    for rows, runtime_2_14 in ((1, per_tensor), (2, per_channel)):
        graph = dense_of_one_sum(scales, total, rows)
        assert simulate(graph, x).tolist() == [[litert] * 2]
        assert simulate(graph, x, "tflite-runtime-2.14").tolist() == [[runtime_2_14] * 2]


@pytest.mark.parametrize("case", TIES)
def test_the_runtimes_round_so(case, rules):
    *scales, total, _, _, _ = case
    for rows in (1, 2):
        assert_equal(dense_of_one_sum(scales, total, rows), np.zeros((1, 1), np.int8), rules)


def rescaling(op, scales):
    build = Builder(Random(0))
    x = build.tensor((1, 1), scales[0], -128)
    y = build.node(op, (x,), (1,), scales[1], -128)
    build.graph.inputs, build.graph.outputs = [x], [y]
    return build.graph


# from a scale to another; the integer, less the zero point, before and after
@pytest.mark.parametrize(
    "op, scales, before, after",
    [
        ("RELU", (0.01049582939594984, 0.018314870074391365), 130, 74),
        ("QUANTIZE", (0.01049582939594984, 0.018314870074391365), 130, 75),
        ("RELU", (0.03439810872077942, 0.0477079302072525), 138, 100),
        ("QUANTIZE", (0.03439810872077942, 0.0477079302072525), 138, 99),
    ],
)
def test_relu_divides_scales_in_float32_and_quantize_in_float64(op, scales, before, after, rules):
    graph, x = rescaling(op, scales), np.array([[before - 128]], np.int8)
    assert simulate(graph, x, rules).tolist() == [[after - 128]]
    assert_equal(graph, x, rules)


@pytest.mark.parametrize("bias", [2**30, 2**29 + 5, 2**28 + 3, -(2**30) - 7])
def test_sums_wrap_around_as_in_c(bias, rules):
    """With a multiplier of 4.5 a large sum leaves int32."""
    build = Builder(Random(0))
    x = build.tensor((1, 1, 1, 1), 1.0, 0)
    w = build.tensor((1, 1, 1, 1), 1.0, data=np.zeros((1, 1, 1, 1), np.int8))
    b = build.tensor((1,), 1.0, dtype="int32", data=np.array([bias], np.int32))
    attrs = {"stride": (1, 1), "padding": "same", "activation": "NONE"}
    build.graph.inputs = [x]
    build.graph.outputs = [build.node("CONV_2D", (x, w, b), (1, 1, 1), 1 / 4.5, 0, **attrs)]
    assert_equal(build.graph, np.zeros((1, 1, 1, 1), np.int8), rules)
