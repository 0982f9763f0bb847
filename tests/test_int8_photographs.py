"""The four networks as int8 files on real photographs, tensor by tensor; it takes minutes."""

import numpy as np
import pytest
from small import PHOTOGRAPHS

import models
from exporters import flatbuffer
from minicnn.compress.calibrate import calibrate
from minicnn.compress.equalize import equalize
from minicnn.compress.fold import deployed
from minicnn.compress.quantize import quantize
from minicnn.compress.rounding import inputs_of_weights
from minicnn.compress.simulate import Simulator
from minicnn.data.augment import Normalization
from minicnn.data.images import load

interpreter = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="ai-edge-litert is not installed"
)
CALIBRATED_ON = 8


def photographs(count, size):
    """The first ``count`` of both folders, at ``size`` (H, W)."""
    if not PHOTOGRAPHS.is_dir():
        pytest.skip(f"no photographs at {PHOTOGRAPHS}: set MINICNN_HAM10000 to HAM10000's folder")
    paths = sorted(PHOTOGRAPHS.glob("HAM10000_images_part_*/*.jpg"))
    chosen = paths[:: max(1, len(paths) // count)][:count]
    return np.stack([load(path, size) for path in chosen])


def int8_graph(name, images):
    """The network with fresh weights, folded and quantized on some of the images."""
    size = images.shape[1:]
    net = models.build(name, size, seed=3)
    for param in net.named_params().values():
        noise = np.random.default_rng(param.value.size).standard_normal(param.value.shape, "f4")
        param.value += np.float32(0.01) * noise
    some = images[:CALIBRATED_ON]
    graph, pixels = deployed(net, size, Normalization.of(images, np.arange(len(some))))
    graph = equalize(graph, pixels, some)
    ranges = calibrate(graph, pixels, some, "mse")
    return quantize(graph, ranges, pixels, inputs=inputs_of_weights(graph, pixels, some))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("squeezenet", 200, (224, 224)),
        ("deepsqueeze", 20, (255, 340)),
        ("son_of_deepsqueeze", 20, (255, 340)),
        ("alexnet", 20, (450, 600)),
    ],
)
def test_every_tensor_is_that_of_builtin_ref(name, count, size):
    images = photographs(count, size)
    graph = int8_graph(name, images)
    content = flatbuffer.serialize(graph)
    theirs = interpreter.Interpreter(
        model_content=content,
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    usual = interpreter.Interpreter(model_content=content)
    simulator = Simulator(graph)
    del content
    for one in (theirs, usual):
        one.allocate_tensors()
    x, y = graph.inputs[0], graph.outputs[0]
    answers = []
    for image in images:
        for one in (theirs, usual):
            one.set_tensor(one.get_input_details()[0]["index"], image[None])
            one.invoke()
        ours = simulator.tensors(image[None])
        for node in graph.nodes:
            t = node.output
            np.testing.assert_array_equal(ours[t], theirs.get_tensor(t), graph.tensors[t].name)
        np.testing.assert_array_equal(ours[x], image[None])
        answers.append((ours[y][0], usual.get_tensor(usual.get_output_details()[0]["index"])[0]))
    exact, default = np.array(answers).astype(int).transpose(1, 0, 2)
    # XNNPACK rounds otherwise: some steps of a probability of 1/256 apart
    assert np.abs(exact - default).max() <= 12
    top = np.take_along_axis(exact, exact.argmax(axis=1)[:, None], 1)[:, 0]
    others = np.take_along_axis(exact, default.argmax(axis=1)[:, None], 1)[:, 0]
    assert (top - others <= 6).all()  # another class only where both were nearly level
