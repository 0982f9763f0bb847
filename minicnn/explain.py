"""What a trained network looks at: heat maps of a class, and views of activations and filters.

    from minicnn import explain, trained

    network = trained.load("squeezenet")
    x = network.normalization.apply(images)                    # (N, H, W, 3) uint8 to float32
    answers = network.net.forward(x).argmax(axis=1)
    heat = explain.grad_cam(network.net, x, answers)           # (N, h, w)
    shown = explain.overlay(images[0], heat[0])                # (H, W, 3) uint8

A heat map says which places raise a class's logit. It does not say that the reason is a good one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
import numpy as np
from PIL import Image

from minicnn.compress.simulate import Simulator
from minicnn.graph import Graph
from minicnn.layers import Dropout, GlobalAvgPool2D, Layer, Sequential

COLOURS = "viridis"  # rises in lightness as well: for print, and for every kind of colour vision


def activations(net: Sequential, x: np.ndarray) -> dict[str, np.ndarray]:
    """Every layer's output by the layer's name, in order, for x (N, H, W, 3) float32."""
    outputs = {}
    for name, layer in net.children():
        x = layer.forward(x)
        outputs[name] = x
    return outputs


def grad_cam(
    net: Sequential, x: np.ndarray, classes: np.ndarray, layer: str | None = None
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391): (N, h, w) float32, 0 or more.

    A layer's channels, each weighted by the mean gradient of the class's logit over its places,
    added up; what speaks against the class (below 0) is cut off. Works for any network.

    x        (N, H, W, 3) float32, normalized as in training
    classes  (N,) the class that is asked about, of each image
    layer    name of the layer whose output is weighted, (N, h, w, channels); None: the last with
             weights that has places, the one that gives the classes left out (SqueezeNet: fire9)

    Dropout does nothing here. Every ``param.grad`` behind the layer is overwritten. ValueError for
    an unknown layer, one without places, and classes that are not one for each image.
    """
    layers = list(net.children())
    names = [name for name, _ in layers]
    if layer is None:
        layer = _last_with_places(net, x.shape[1:])
    if layer not in names:
        raise ValueError(f"no layer is called {layer!r}: choose one of {', '.join(names)}")
    split = names.index(layer) + 1
    classes = np.asarray(classes)
    if classes.shape != (len(x),):
        raise ValueError(f"classes has shape {classes.shape}, wanted ({len(x)},): one an image")
    for _, before in layers[:split]:
        x = before.forward(x)
    if x.ndim != 4:
        raise ValueError(f"{layer} gives {x.shape}, wanted (N, h, w, channels)")
    with _without_dropout(net):
        y = x
        for _, after in layers[split:]:
            y = after.forward(y, train=True)
        if not np.all((classes >= 0) & (classes < y.shape[1])):
            raise ValueError(f"classes must be 0 to {y.shape[1] - 1}, got {classes}")
        dy = np.zeros_like(y)
        dy[np.arange(len(y)), classes] = 1
        for _, after in reversed(layers[split:]):
            dy = after.backward(dy)
    weights = dy.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * x).sum(axis=-1), 0)


def class_maps(net: Sequential, x: np.ndarray) -> np.ndarray:
    """Class activation maps of a network that ends in a mean over places: (N, h, w, classes).

    Zhou et al., 2016 (arXiv:1512.04150). In the squeezenets the last convolution already has a
    channel for each class; its mean over the places is the logit, so the map needs no gradient.

    x  (N, H, W, 3) float32, normalized as in training

    ValueError for a network that ends otherwise.
    """
    *layers, (_, last) = net.children()
    if not isinstance(last, GlobalAvgPool2D):
        raise ValueError(f"the network ends in {type(last).__name__}: use grad_cam instead")
    for _, layer in layers:
        x = layer.forward(x)
    return x


def integer_class_maps(graph: Graph, x: np.ndarray) -> tuple[np.ndarray, float, int]:
    """The same maps of an int8 file, out of its last convolution's integer tensor.

    graph  of the file: ``exporters.read.read(path).graph``, or ``convert(...).quantized``
    x      images as its input wants them: for files of ``exporters.tflite`` uint8 (N, H, W, 3)

    Returns integers (N, h, w, classes), their scale and zero point; a value is
    scale * (integer - zero point), bit for bit what TFLite's reference kernels compute.
    ValueError for a graph that does not end in a mean over places.
    """
    number = _input_of_mean(graph)
    tensor = graph.tensors[number]
    if tensor.scale is None or tensor.zero_point is None:
        raise ValueError(f"{tensor.name} is {tensor.dtype} without a scale: wanted an int8 graph")
    integers = Simulator(graph).tensors(x)[number]
    return integers, float(tensor.scale[0]), int(tensor.zero_point[0])


def overlay(image: np.ndarray, heat: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """An image with a heat map over it, as (H, W, 3) uint8.

    image     (H, W, 3) uint8
    heat      (h, w) of any range: its least value is dark blue, its largest yellow
    strength  share of the map's colours in the mixture, 0 to 1
    """
    large = enlarge(heat, image.shape[:2])
    colours = matplotlib.colormaps[COLOURS](_from_0_to_1(large))[..., :3]
    grey = image.mean(axis=-1, keepdims=True) / 255  # hue is the map's alone
    return np.round(255 * ((1 - strength) * grey + strength * colours)).astype(np.uint8)


def enlarge(heat: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) at (height, width) pixels, float32, between its values linearly."""
    picture = Image.fromarray(np.ascontiguousarray(heat, np.float32))
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))


def sheet(maps: np.ndarray, columns: int = 8) -> np.ndarray:
    """Maps side by side on one sheet, a pixel apart, to look at all of them at once.

    maps  (count, h, w) grey or (count, h, w, 3); each is stretched to 0 (dark) to 1 on its own:
          an activation's channels are ``y[0].transpose(2, 0, 1)``, filters are ``w`` itself

    Returns (rows * (h + 1) - 1, columns * (w + 1) - 1, ...) float32; the gaps are 1.
    """
    count, h, w = maps.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    paper = np.ones((rows * (h + 1), columns * (w + 1), *maps.shape[3:]), np.float32)
    for position, one in enumerate(maps):
        top, left = (h + 1) * (position // columns), (w + 1) * (position % columns)
        paper[top : top + h, left : left + w] = _from_0_to_1(one)
    return paper[:-1, :-1]


def _from_0_to_1(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1.0)


def _last_with_places(net: Sequential, shape: tuple[int, ...]) -> str:
    found = []
    for name, layer in net.children():
        shape = layer.out_shape(shape)
        if layer.named_params():
            found.append((name, len(shape) == 3))
    for name, has_places in reversed(found[:-1]):
        if has_places:
            return name
    raise ValueError("no layer before the last has weights and places: name one with `layer`")


@contextmanager
def _without_dropout(net: Layer) -> Iterator[None]:
    """Inside, a training forward drops nothing."""
    rates = [(layer, layer.rate) for layer in net.walk() if isinstance(layer, Dropout)]
    for layer, _ in rates:
        layer.rate = 0.0
    try:
        yield
    finally:
        for layer, rate in rates:
            layer.rate = rate


AFTER_THE_MEAN = ("SOFTMAX", "RESHAPE", "QUANTIZE", "DEQUANTIZE")


def _input_of_mean(graph: Graph) -> int:
    """The tensor whose mean over all places the logits are."""
    makers = {node.output: node for node in graph.nodes}
    node = makers.get(graph.outputs[0])
    while node is not None and node.op in AFTER_THE_MEAN:
        node = makers.get(node.inputs[0])
    if node is None or node.op != "AVERAGE_POOL_2D" or graph.shape(node.output)[:2] != (1, 1):
        ends = "nothing known" if node is None else node.op
        raise ValueError(f"the graph ends in {ends}, wanted AVERAGE_POOL_2D over all places")
    return node.inputs[0]
