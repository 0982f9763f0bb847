"""Files that the writer made, in LiteRT."""

import numpy as np
import pytest
import tflite_graphs
from small import ACCEPTED
from tflite_graphs import constant, quantized

from exporters.flatbuffer import serialize
from exporters.read import read
from minicnn.graph import Graph, Node, Tensor, from_layer
from minicnn.layers import Conv2D, Dense, Fire, Flatten, GlobalAvgPool2D, MaxPool2D, Sequential

pytest.importorskip("ai_edge_litert")


@pytest.mark.parametrize("head", ["dense", "global"])
def test_a_float_network(head):
    ends = {
        "dense": [("flat", Flatten()), ("fc", Dense(3 * 3 * 12, 5, relu=True, rng=2))],
        "global": [("pool2", GlobalAvgPool2D())],
    }
    layers = [
        ("conv", Conv2D(3, 8, (3, 2), stride=(2, 1), padding="same", relu=True, rng=0)),
        ("fire", Fire(8, 4, 6, rng=1)),
        ("pool", MaxPool2D((3, 4), (2, 2))),
        *ends[head],
    ]
    net = Sequential(layers)
    x = np.random.default_rng(0).normal(size=(1, 13, 9, 3)).astype(np.float32)
    (y,) = tflite_graphs.run(serialize(from_layer(net, x.shape[1:])), x)
    wanted = net.astype(np.float64).forward(x.astype(np.float64))
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)


def test_int8_convolution_per_channel():
    graph = tflite_graphs.convolution()
    x = np.random.default_rng(1).integers(-128, 128, (1, 6, 5, 3)).astype(np.int8)
    (y,) = tflite_graphs.run(serialize(graph), x)
    _, w, b, out = graph.tensors
    real = 0.05 * np.pad(x + 3.0, ((0, 0), (0, 1), (1, 1), (0, 0)))  # 'same' of 6x5 by strides 2
    weights = w.data * w.scale[:, None, None, None].astype(float)
    bias = b.data * b.scale.astype(float)
    for i in range(3):
        for j in range(3):
            window = real[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            wanted = np.maximum((weights * window).sum((1, 2, 3)) + bias, 0)
            stored = np.clip(wanted / 0.3 + out.zero_point, -128, 127)
            assert np.abs(y[0, i, j] - stored).max() <= 0.51


def test_operations_that_other_files_have():
    """QUANTIZE, PAD, DEPTHWISE_CONV_2D, ADD, AVERAGE_POOL_2D, MEAN, LOGISTIC, DEQUANTIZE."""
    rng = np.random.default_rng(0)
    kernel = rng.integers(-127, 128, (1, 3, 3, 2), np.int8)
    scale = np.array([0.001, 0.002], np.float32)
    tensors = [
        quantized("u", (1, 6, 6, 2), 0.1, 128, "uint8"),
        quantized("x", (1, 6, 6, 2), 0.1, 0),
        constant("paddings", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)),
        quantized("padded", (1, 8, 8, 2), 0.1, 0),
        quantized("dw/w", kernel.shape, scale, data=kernel, axis=3),
        quantized("dw/b", (2,), np.float32(0.1) * scale, dtype="int32", data=np.int32([5, -9])),
        quantized("dw", (1, 6, 6, 2), 0.2, 0),
        quantized("sum", (1, 6, 6, 2), 0.3, 1),
        quantized("pool", (1, 3, 3, 2), 0.3, 1),
        constant("axes", np.array([1, 2], np.int32)),
        quantized("mean", (1, 2), 0.3, 1),
        quantized("sigmoid", (1, 2), 1 / 256, -128),
        Tensor("y", (1, 2)),
    ]
    pool = {"kernel": (2, 2), "stride": (2, 2), "padding": "valid"}
    nodes = [
        Node("QUANTIZE", (0,), (1,), "x"),
        Node("PAD", (1, 2), (3,), "padded"),
        Node("DEPTHWISE_CONV_2D", (3, 4, 5), (6,), "dw", {"padding": "valid"}),
        Node("ADD", (6, 1), (7,), "sum"),
        Node("AVERAGE_POOL_2D", (7,), (8,), "pool", pool),
        Node("MEAN", (8, 9), (10,), "mean", {"keep_dims": False}),
        Node("LOGISTIC", (10,), (11,), "sigmoid"),
        Node("DEQUANTIZE", (11,), (12,), "y"),
    ]
    content = serialize(Graph(tensors, nodes, [0], [12]))
    x = rng.integers(0, 256, (1, 6, 6, 2)).astype(np.uint8)
    (y,) = tflite_graphs.run(content, x)
    real = 0.1 * (x[0] - 128.0)
    padded = np.pad(real, ((1, 1), (1, 1), (0, 0)))
    weights = kernel[0] * scale.astype(float)
    shifts = [(i, j) for i in range(3) for j in range(3)]
    dw = sum(padded[i : i + 6, j : j + 6] * weights[i, j] for i, j in shifts)
    total = dw + np.array([5, -9]) * 0.1 * scale + real
    np.testing.assert_allclose(y[0], 1 / (1 + np.exp(-total.mean((0, 1)))), atol=0.05)


@pytest.mark.skipif(not ACCEPTED.is_dir(), reason="the files that the compiler accepted are absent")
@pytest.mark.parametrize(
    "name",
    [
        "bright_16x16",
        "gabor_64x64_p4",
        "mobilenet_v1_0.25_128_quant",
        "mobilenet_edgetpu_0.75_224_post_training_quant",
        "tf2_mobilenet_v2_1.0_224_ptq",
    ],
)
def test_a_file_of_others_rewritten(name):
    content = (ACCEPTED / f"{name}.tflite").read_bytes()
    file = read(content)
    written = serialize(file.graph)
    assert len(written) < len(content)
    again = read(written).graph
    assert [(n.op, n.version) for n in again.nodes] == [(n.op, n.version) for n in file.graph.nodes]
    inside = file.graph.tensors[file.graph.inputs[0]]
    x = np.random.default_rng(0).integers(0, 256, inside.shape).astype(inside.dtype)
    for one, other in zip(
        tflite_graphs.run(content, x), tflite_graphs.run(written, x), strict=True
    ):
        np.testing.assert_array_equal(one, other)
