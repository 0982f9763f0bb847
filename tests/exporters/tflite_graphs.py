"""Small graphs to write to files, and a runtime to run the files in."""

import numpy as np

from minicnn.graph import Graph, Node, Tensor


def quantized(name, shape, scale=0.5, zero_point=0, dtype="int8", data=None, axis=0):
    scale = np.atleast_1d(np.float32(scale))
    zero_point = np.full(scale.size, zero_point, np.int64)
    return Tensor(name, shape, dtype, scale, zero_point, axis, data)


def constant(name, values):
    values = np.asarray(values)
    return Tensor(name, values.shape, values.dtype.name, data=values)


def convolution(rng=0, channels=4):
    """x (1, 6, 5, 3) -> CONV_2D -> y, int8, a scale for each channel."""
    rng = np.random.default_rng(rng)
    w = rng.integers(-127, 128, (channels, 3, 3, 3), np.int8)
    b = rng.integers(-500, 500, channels, np.int32)
    scale = rng.uniform(0.01, 0.02, channels).astype(np.float32)
    tensors = [
        quantized("x", (1, 6, 5, 3), 0.05, -3),
        quantized("conv/w", w.shape, scale, data=w),
        quantized("conv/b", b.shape, np.float32(0.05) * scale, dtype="int32", data=b),
        quantized("conv", (1, 3, 3, channels), 0.3, -128),
    ]
    attrs = {"stride": (2, 2), "padding": "same", "activation": "RELU"}
    node = Node("CONV_2D", (0, 1, 2), (3,), "conv", attrs)
    return Graph(tensors, [node], inputs=[0], outputs=[3])


def run(content, x, resolver=None):
    """The outputs of a .tflite file in LiteRT's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_REF if resolver is None else resolver
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    (inside,) = interpreter.get_input_details()
    interpreter.set_tensor(inside["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(out["index"]) for out in interpreter.get_output_details()]
