"""The same weights and calibration images through TensorFlow's TFLiteConverter and through ours."""

import numpy as np
import pytest

import models
from exporters import flatbuffer
from exporters.read import read
from minicnn.compress.calibrate import calibrate
from minicnn.compress.fold import deployed
from minicnn.compress.quantize import quantize
from minicnn.data import synthetic
from minicnn.preparation import Normalization

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed: parity tests skipped")
litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")


def conv(x, w, b, attrs):
    y = tf.nn.conv2d(x, np.moveaxis(w, 0, -1), attrs["stride"], attrs["padding"].upper())
    y = tf.nn.bias_add(y, b)
    return tf.nn.relu(y) if attrs["activation"] == "RELU" else y


def pool(function):
    def run(x, attrs):
        return function(x, attrs["kernel"], attrs["stride"], attrs["padding"].upper())

    return run


TENSORFLOW = {
    "CONV_2D": conv,
    "MAX_POOL_2D": pool(tf.nn.max_pool2d),
    "AVERAGE_POOL_2D": pool(tf.nn.avg_pool2d),
    "CONCATENATION": lambda *args: tf.concat(args[:-1], -1),
    "RESHAPE": lambda x, shape, attrs: tf.reshape(x, shape),
    "SOFTMAX": lambda x, attrs: tf.nn.softmax(x),
}


def converted(graph, pixels, images):
    """What TFLiteConverter makes of a float graph, uint8 at both ends."""

    @tf.function(input_signature=[tf.TensorSpec((1, *graph.shape(0)), tf.float32)])
    def run(x):
        values = {graph.inputs[0]: x}
        for node in graph.nodes:
            inputs = [values[t] if t in values else graph.data(t) for t in node.inputs]
            values[node.output] = TENSORFLOW[node.op](*inputs, node.attrs)
        return values[graph.outputs[0]]

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [run.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([pixels.apply(x[None])] for x in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    return converter.convert()


def answers(content, images):
    interpreter = litert.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (x,), (y,) = interpreter.get_input_details(), interpreter.get_output_details()
    scores = []
    for image in images:
        interpreter.set_tensor(x["index"], image[None])
        interpreter.invoke()
        scores.append(interpreter.get_tensor(y["index"])[0])
    return np.array(scores).astype(int)


def by_role(graph):
    """(operation, scales and zero points of its inputs and output) of each node."""
    return [
        (node.op, [graph.tensors[t] for t in (*node.inputs, *node.outputs)]) for node in graph.nodes
    ]


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
def test_squeezenet():
    images = synthetic.generate(count=160, size=(96, 96), seed=5).images
    net = models.build("squeezenet", (96, 96, 3), seed=4)
    for param in net.named_params().values():
        param.value += 0.02 * np.random.default_rng(0).standard_normal(
            param.value.shape, np.float32
        )
    normalization = Normalization.of(images, np.arange(len(images)))
    graph, pixels = deployed(net, (96, 96, 3), normalization)
    ours = quantize(graph, calibrate(graph, pixels, images[:60]), pixels)
    content = flatbuffer.serialize(ours)
    theirs_content = converted(graph, pixels, images[:60])
    theirs = read(theirs_content).graph
    assert [node.op for node in ours.nodes] == [node.op for node in theirs.nodes]
    for (op, mine), (_, others) in zip(by_role(ours), by_role(theirs), strict=True):
        assert len(mine) == len(others)
        for a, b in zip(mine, others, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), (op, a.name)
            if a.scale is not None:
                np.testing.assert_allclose(a.scale, b.scale, rtol=0.01, err_msg=a.name)
                np.testing.assert_allclose(a.zero_point, b.zero_point, atol=1, err_msg=a.name)
            if a.data is not None and a.dtype == "int8":
                assert np.abs(a.data.astype(int) - b.data).max() <= 1
    mine, others = answers(content, images), answers(theirs_content, images)
    assert np.mean(mine.argmax(axis=1) == others.argmax(axis=1)) >= 0.99
    assert np.abs(mine - others).max() <= 6
    assert len(content) <= 0.96 * len(theirs_content)
