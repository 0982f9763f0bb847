"""Small int8 graphs, made by hand, that keep every rule of the Edge TPU check."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.container import File, OperatorCode
from exporters.flatbuffer import serialize
from exporters.read import read
from minicnn.graph import Graph, Node, Tensor

IN = (1 / 255, -128)
RELU_OUT = (0.05, -128)
OUT = (0.1, 3)
SOFTMAX = (1 / 256, -128)


class Maker:
    """Appends nodes with quantized tensors to a graph."""

    def __init__(self, seed: int = 0) -> None:
        self.graph = Graph()
        self.rng = np.random.default_rng(seed)

    def activation(
        self, name: str, shape: tuple[int, ...], quantization: tuple[float, int], dtype: str
    ) -> int:
        scale, zero_point = quantization
        tensor = Tensor(name, shape, dtype, np.float32([scale]), np.array([zero_point]))
        return self.graph.new_tensor(tensor)

    def constant(self, name: str, data: np.ndarray, scale: np.ndarray | None = None) -> int:
        zero_point = None if scale is None else np.zeros(len(scale), np.int64)
        tensor = Tensor(name, data.shape, data.dtype.name, scale, zero_point, data=data)
        return self.graph.new_tensor(tensor)

    def node(
        self,
        op: str,
        name: str,
        inputs: list[int],
        shape: tuple[int, ...],
        quantization: tuple[float, int] = OUT,
        dtype: str = "int8",
        **attrs: Any,
    ) -> int:
        y = self.activation(name, shape, quantization, dtype)
        self.graph.nodes.append(Node(op, tuple(inputs), (y,), name, attrs))
        return y

    def weighted(
        self,
        op: str,
        name: str,
        x: int,
        w_shape: tuple[int, ...],
        shape: tuple[int, ...],
        quantization: tuple[float, int] = RELU_OUT,
        **attrs: Any,
    ) -> int:
        """A node with weights: a scale for each channel, but one for all of FULLY_CONNECTED."""
        axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
        count = 1 if op == "FULLY_CONNECTED" else w_shape[axis]
        values = self.rng.integers(-127, 128, w_shape).astype(np.int8)
        scale = self.rng.uniform(0.001, 0.01, count).astype(np.float32)
        w = self.constant(f"{name}/w", values, scale)
        self.graph.tensors[w].axis = axis
        x_scale = self.graph.tensors[x].scale
        assert x_scale is not None
        bias = self.rng.integers(-1000, 1000, w_shape[axis]).astype(np.int32)
        b = self.constant(f"{name}/b", bias, x_scale[0] * scale)
        return self.node(op, name, [x, w, b], shape, quantization, **attrs)


def conv(stride: int = 1, activation: str = "RELU") -> dict[str, Any]:
    return {"stride": (stride, stride), "padding": "same", "activation": activation}


def net() -> Graph:
    """A fire module behind a stem, a depthwise convolution, ADD and MEAN, a dense head."""
    m = Maker()
    x = m.activation("input", (1, 16, 16, 3), (1 / 255, 0), "uint8")
    m.graph.inputs = [x]
    x = m.node("QUANTIZE", "quantized", [x], (1, 16, 16, 3), IN)
    x = m.weighted("CONV_2D", "stem", x, (8, 3, 3, 3), (1, 8, 8, 8), **conv(2))
    pool = {"kernel": (2, 2), "stride": (2, 2), "padding": "valid"}
    x = m.node("MAX_POOL_2D", "pool", [x], (1, 4, 4, 8), RELU_OUT, **pool)
    x = m.weighted("DEPTHWISE_CONV_2D", "depthwise", x, (1, 3, 3, 8), (1, 4, 4, 8), **conv())
    paddings = m.constant("padded/paddings", np.int32([[0, 0], [1, 1], [1, 1], [0, 0]]))
    x = m.node("PAD", "padded", [x, paddings], (1, 6, 6, 8), RELU_OUT)
    x = m.weighted("CONV_2D", "squeeze", x, (4, 1, 1, 8), (1, 6, 6, 4), **conv())
    a = m.weighted("CONV_2D", "expand1", x, (8, 1, 1, 4), (1, 6, 6, 8), **conv())
    b = m.weighted("CONV_2D", "expand3", x, (8, 3, 3, 4), (1, 6, 6, 8), **conv())
    x = m.node("CONCATENATION", "fire", [a, b], (1, 6, 6, 16), RELU_OUT, axis=3)
    gate = m.node("LOGISTIC", "gate", [x], (1, 6, 6, 16), SOFTMAX)
    x = m.node("ADD", "sum", [x, gate], (1, 6, 6, 16))
    x = m.node("RELU", "relu", [x], (1, 6, 6, 16), RELU_OUT)
    axes = m.constant("mean/axes", np.int32([1, 2]))
    x = m.node("MEAN", "mean", [x, axes], (1, 1, 1, 16), OUT, keep_dims=True)
    pool = {"kernel": (1, 1), "stride": (1, 1), "padding": "valid"}
    x = m.node("AVERAGE_POOL_2D", "average", [x], (1, 1, 1, 16), OUT, **pool)
    shape = m.constant("flat/shape", np.int32([1, 16]))
    x = m.node("RESHAPE", "flat", [x, shape], (1, 16), OUT)
    x = m.weighted("FULLY_CONNECTED", "dense", x, (7, 16), (1, 7), OUT, activation="NONE")
    x = m.node("SOFTMAX", "softmax", [x], (1, 7), SOFTMAX, beta=1.0)
    x = m.node("QUANTIZE", "output", [x], (1, 7), (1 / 256, 0), "uint8")
    m.graph.outputs = [x]
    return m.graph


def chain(
    op: str,
    shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    quantization: tuple[float, int] = OUT,
    constants: tuple[np.ndarray, ...] = (),
    **attrs: Any,
) -> Graph:
    """One int8 node: data in, then integer constants; data out."""
    m = Maker()
    m.graph.inputs = [m.activation("x", shape, OUT, "int8")]
    extra = [m.constant(f"c{at}", data.astype(np.int32)) for at, data in enumerate(constants)]
    inputs = [*m.graph.inputs, *extra]
    m.graph.outputs = [m.node(op, "y", inputs, out_shape, quantization, **attrs)]
    return m.graph


def as_file(graph: Graph) -> File:
    """A file around a graph, without writing one."""
    content = b"\x1c\x00\x00\x00TFL3"
    codes = [OperatorCode("CONV_2D", 3, 3, 3)]
    return File("small.tflite", content, graph, version=3, subgraphs=1, codes=codes)


def written(graph: Graph) -> File:
    """A graph written and read again."""
    return read(serialize(graph))
