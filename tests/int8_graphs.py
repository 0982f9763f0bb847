"""Random small int8 graphs, and images for them: what the simulators are tested on.

``random_graph(random.Random(seed))`` is a chain of operations with fire-like branches; a test gets
its ``random.Random`` from hypothesis (``st.randoms``), which then looks for the smallest graph that
fails, or from a seed. Scales are generic or powers of two, whose sums hit ties; outputs saturate,
or use little of their range; some channels are dead; zero points are anywhere.
"""

from __future__ import annotations

from random import Random

import numpy as np

from minicnn.graph import Graph, Node, Tensor

MOST_CLASSES = 511  # TFLite's softmax aborts the process where exp(x - largest) adds up to 512


class Builder:
    """Adds operations to a graph, with settings from ``random``; tensors are numbers."""

    def __init__(self, random: Random, powers_of_two: bool | None = None) -> None:
        self.random = random
        self.arrays = np.random.default_rng(random.randrange(2**32))
        coin = random.random() < 0.5
        self.powers_of_two = coin if powers_of_two is None else powers_of_two
        self.graph = Graph()

    def tensor(self, shape, scale=None, zero=0, dtype="int8", name="t", data=None, axis=0) -> int:
        """A tensor; scale a number, or an array along ``axis``."""
        new = Tensor(name, tuple(int(size) for size in shape), dtype, axis=axis, data=data)
        if scale is not None:
            new.scale = np.atleast_1d(np.asarray(scale, np.float32))
            new.zero_point = np.full(len(new.scale), zero, np.int64)
        return self.graph.new_tensor(new)

    def scale(self, about: float) -> float:
        """A float32 scale within a factor of two of ``about``."""
        if self.powers_of_two:
            return float(2.0 ** round(np.log2(about)))
        return float(np.float32(about * self.random.uniform(0.6, 1.7)))

    def zero(self) -> int:
        """A zero point: the common ones, or any."""
        return self.random.choice((-128, -128, 0, self.random.randint(-128, 127)))

    def input(self, shape, dtype="int8") -> int:
        """The graph's input, (1, *shape)."""
        scale, zero = self.scale(0.02), self.zero() + 128 * (dtype == "uint8")
        if dtype == "float32":
            scale = None
        number = self.tensor((1, *shape), scale, zero, dtype, "input")
        self.graph.inputs = [number]
        return number

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Without N."""
        return self.graph.shape(tensor)

    def node(self, op, inputs, shape, scale, zero, dtype="int8", **attrs) -> int:
        """A node and its output; ``shape`` without N."""
        path = f"{op.lower()}{len(self.graph.nodes)}"
        output = self.tensor((1, *shape), scale, zero, dtype, path)
        self.graph.nodes.append(Node(op, tuple(inputs), (output,), path, attrs))
        return output

    def like(self, op, inputs, shape, **attrs) -> int:
        """A node that keeps the scale of its first input."""
        x = self.graph.tensors[inputs[0]]
        return self.node(op, inputs, shape, x.scale[0], x.zero_point[0], x.dtype, **attrs)

    def weights(self, x: int, shape, channels: int, axis: int) -> tuple[int, int, float]:
        """Weights and bias for ``x``, and a scale for the result; channels along ``axis``."""
        per_channel = self.random.random() < 0.8
        scales = np.array([self.scale(0.01) for _ in range(channels if per_channel else 1)])
        largest = self.random.choice((127, 127, 3))
        w = self.arrays.integers(-largest, largest + 1, shape).astype(np.int8)
        x_scale = self.graph.tensors[x].scale[0]
        unit = float(x_scale) * float(np.median(scales))
        spread = largest * 74 * np.sqrt(w.size / channels)  # of the sums, roughly
        b = self.arrays.normal(0, spread, channels).astype(np.int32)
        if per_channel and self.random.random() < 0.3:  # a channel that training has killed
            dead = self.random.randrange(channels)
            np.moveaxis(w, axis, 0)[dead] = 0
            scales[dead], b[dead] = 1e-6, self.random.choice((0, 2**30, -(2**30), 12345))
        w_number = self.tensor(shape, scales, 0, "int8", "w", w, axis)
        products = np.float32(x_scale) * scales.astype(np.float32)
        b_number = self.tensor((channels,), products, 0, "int32", "b", b)
        # the last two saturate; where the sums are small, by a multiplier of 1 or more
        range_used = self.random.choice((1.0, 1.0, 4.0, 0.2, 1e-3))
        scale = max(unit * spread / 50 * range_used, unit / 4, 1e-6)
        return w_number, b_number, self.scale(scale)

    def activation(self) -> str:
        """A fused activation."""
        return self.random.choice(("NONE", "RELU", "RELU", "RELU6"))

    def conv(self, x: int, channels: int, kernel, stride=(1, 1), padding="same", to=None) -> int:
        """CONV_2D; ``to`` is a (scale, zero point) for its output, where it must have that one."""
        H, W, C = self.shape(x)
        w, b, scale = self.weights(x, (channels, *kernel, C), channels, 0)
        scale, zero = to or (scale, self.zero())
        settings = {"stride": stride, "padding": padding, "activation": self.activation()}
        if padding == "same" and self.random.random() < 0.2:
            settings["dilation"] = self.random.choice(((2, 2), (1, 3)))
        shape = (*out_size((H, W), kernel, stride, padding), channels)
        inputs = (x, w, b)
        return self.node("CONV_2D", inputs, shape, scale, zero, **settings)

    def any_window(self, x: int) -> tuple:
        """Kernel, stride and padding that fit x."""
        H, W, _ = self.shape(x)
        padding = self.random.choice(("same", "valid"))
        room = (4, 4) if padding == "same" else (min(4, H), min(4, W))
        kernel = self.random.randint(1, room[0]), self.random.randint(1, room[1])
        return kernel, (self.random.randint(1, 3), self.random.randint(1, 3)), padding

    def pool(self, op: str, x: int) -> int:
        """MAX_POOL_2D or AVERAGE_POOL_2D."""
        H, W, C = self.shape(x)
        kernel, stride, padding = self.any_window(x)
        shape = (*out_size((H, W), kernel, stride, padding), C)
        settings = {"kernel": kernel, "stride": stride, "padding": padding}
        return self.like(op, (x,), shape, **settings)

    def fire(self, x: int) -> int:
        """Squeeze, two expands of one scale, CONCATENATION."""
        squeezed = self.conv(x, self.random.randint(1, 4), (1, 1))
        one = self.conv(squeezed, self.random.randint(1, 5), (1, 1))
        tensor = self.graph.tensors[one]
        to = float(tensor.scale[0]), int(tensor.zero_point[0])
        three = self.conv(squeezed, self.random.randint(1, 5), (3, 3), to=to)
        H, W, C = self.shape(one)
        return self.like("CONCATENATION", (one, three), (H, W, C + self.shape(three)[2]), axis=3)

    def relu(self, x: int) -> int:
        """RELU on its own, into another scale."""
        scale = self.scale(float(self.graph.tensors[x].scale[0]))
        return self.node("RELU", (x,), self.shape(x), scale, self.zero())

    def quantize(self, x: int, dtype="int8") -> int:
        """QUANTIZE into another scale; from and to uint8 mostly into the same, by 128 apart."""
        tensor = self.graph.tensors[x]
        if tensor.scale is None:  # floats
            return self.node("QUANTIZE", (x,), self.shape(x), self.scale(0.02), self.zero(), dtype)
        scale, zero = self.scale(float(tensor.scale[0])), self.zero()
        if dtype != tensor.dtype and self.random.random() < 0.7:
            scale, zero = float(tensor.scale[0]), int(tensor.zero_point[0])
            zero += 128 if dtype == "uint8" else -128
        elif dtype == "uint8":
            zero += 128
        return self.node("QUANTIZE", (x,), self.shape(x), scale, zero, dtype)

    def dequantize(self, x: int) -> int:
        """DEQUANTIZE to float32."""
        return self.node("DEQUANTIZE", (x,), self.shape(x), None, 0, "float32")

    def flat(self, x: int) -> int:
        """RESHAPE to (1, elements)."""
        shape = (int(np.prod(self.shape(x))),)
        target = self.tensor(
            (2,), dtype="int32", name="shape", data=np.array((1, *shape), np.int32)
        )
        return self.like("RESHAPE", (x, target), shape)

    def dense(self, x: int, columns: int) -> int:
        """FULLY_CONNECTED."""
        (rows,) = self.shape(x)
        w, b, scale = self.weights(x, (columns, rows), columns, 0)
        attrs = {"activation": self.activation()}
        return self.node("FULLY_CONNECTED", (x, w, b), (columns,), scale, self.zero(), **attrs)

    def softmax(self, x: int) -> int:
        """SOFTMAX, whose output's scale TFLite prescribes."""
        return self.node("SOFTMAX", (x,), self.shape(x), 1 / 256, -128, beta=1.0)


def out_size(size, kernel, stride, padding) -> tuple[int, int]:
    """(OH, OW)."""
    if padding == "same":
        return tuple(-(-s // step) for s, step in zip(size, stride, strict=True))
    return tuple((s - k) // step + 1 for s, k, step in zip(size, kernel, stride, strict=True))


def random_graph(random: Random) -> Graph:
    """A chain of up to five operations on pixels, then perhaps a head.

    Input and output are both uint8, both int8 or both float32.
    """
    build = Builder(random)
    shape = random.randint(1, 9), random.randint(1, 9), random.choice((1, 3, random.randint(1, 20)))
    ends = random.choice(("uint8", "int8", "float32"))
    x = build.input(shape, ends)
    if ends != "int8":
        x = build.quantize(x)
    body = {
        "conv": lambda x: build.conv(x, random.randint(1, 9), *build.any_window(x)),
        "fire": build.fire,
        "max pool": lambda x: build.pool("MAX_POOL_2D", x),
        "average pool": lambda x: build.pool("AVERAGE_POOL_2D", x),
        "relu": build.relu,
        "quantize": build.quantize,
    }
    for _ in range(random.randint(1, 5)):
        x = body[random.choice(("conv", "conv", *body))](x)
    if random.random() < 0.6:
        x = build.flat(x)
        if random.random() < 0.7 or build.shape(x)[0] > MOST_CLASSES:
            x = build.dense(x, random.randint(1, 12))
        x = build.softmax(x)
    leave = {"uint8": lambda x: build.quantize(x, "uint8"), "float32": build.dequantize}
    build.graph.outputs = [leave[ends](x) if ends in leave else x]
    return build.graph


def images(graph: Graph, N: int, seed: int = 0) -> np.ndarray:
    """N images of any numbers; the first is all of the smallest, the second all of the largest."""
    tensor = graph.tensors[graph.inputs[0]]
    shape = (N, *tensor.shape[1:])
    if tensor.dtype == "float32":
        return floats(shape, float(graph.tensors[graph.nodes[0].output].scale[0]), seed)
    info = np.iinfo(tensor.dtype)
    x = np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(tensor.dtype)
    for n, value in enumerate((info.min, info.max)[: max(N - 1, 0)]):
        x[n] = value
    return x


def floats(shape, scale: float, seed: int) -> np.ndarray:
    """Multiples of half the scale, every second a tie, and some numbers beyond any range."""
    arrays = np.random.default_rng(seed)
    x = (arrays.integers(-600, 600, shape) * np.float64(scale / 2)).astype(np.float32)
    x[arrays.random(shape) < 0.3] *= np.float32(0.77)
    x[arrays.random(shape) < 0.02] = 1e4
    return x
