"""Small .tflite files that classify photographs, and what a Runner says to bad ones."""

from pathlib import Path

import numpy as np
import pytest
from small_int8 import IN, OUT, RELU_OUT, SOFTMAX, Maker, conv

from exporters import metadata
from exporters.flatbuffer import serialize
from minicnn.errors import UserError
from minicnn.graph import Graph, from_layer
from minicnn.layers import Conv2D, GlobalAvgPool2D, Sequential
from minicnn.runtime import Runner

SIZE = (16, 16)
NAMES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def write(folder: Path, graph: Graph, labels: bool = False, **normalized: float) -> Path:
    """A file, with TFLite metadata if any is asked for."""
    described = {}
    if labels or normalized:
        settings = {"mean": 0.0, "std": 255.0} | normalized
        names = NAMES if labels else ()
        described[metadata.NAME] = metadata.build("net", "a net", names, **settings)
    content = serialize(graph, metadata=described)
    path = folder / "net.tflite"
    path.write_bytes(metadata.append_labels(content, NAMES) if labels else content)
    return path


def int8_net() -> Graph:
    """Colours to probabilities, uint8 at both ends."""
    m = Maker()
    x = m.activation("input", (1, *SIZE, 3), (1 / 255, 0), "uint8")
    m.graph.inputs = [x]
    x = m.node("QUANTIZE", "quantized", [x], (1, *SIZE, 3), IN)
    x = m.weighted("CONV_2D", "conv", x, (8, 3, 3, 3), (1, 8, 8, 8), **conv(2))
    pool = {"kernel": (8, 8), "stride": (8, 8), "padding": "valid"}
    x = m.node("AVERAGE_POOL_2D", "pool", [x], (1, 1, 1, 8), RELU_OUT, **pool)
    shape = m.constant("flat/shape", np.int32([1, 8]))
    x = m.node("RESHAPE", "flat", [x, shape], (1, 8), RELU_OUT)
    x = m.weighted("FULLY_CONNECTED", "dense", x, (7, 8), (1, 7), OUT, activation="NONE")
    x = m.node("SOFTMAX", "softmax", [x], (1, 7), SOFTMAX, beta=1.0)
    m.graph.outputs = [m.node("QUANTIZE", "output", [x], (1, 7), (1 / 256, 0), "uint8")]
    return m.graph


def float_net() -> Graph:
    """Colours to probabilities, float32."""
    net = Sequential([("conv", Conv2D(3, 7, (3, 3), relu=True, rng=0)), ("p", GlobalAvgPool2D())])
    graph = from_layer(net, (*SIZE, 3))
    y = graph.add("SOFTMAX", [graph.outputs[0]], (7,), "softmax", beta=1.0)
    graph.outputs = [y]
    return graph


def without_ends(io: str) -> Graph:
    """The int8 net with an int8 input, or an int8 output."""
    graph = int8_net()
    if io == "input":
        graph.inputs = [graph.nodes.pop(0).output]
    else:
        graph.outputs = [graph.nodes.pop().inputs[0]]
    return graph


def refused(path, *words, **settings):
    with pytest.raises(UserError) as refusal:
        Runner(path, **settings)
    assert all(word in str(refusal.value) for word in words), refusal.value
