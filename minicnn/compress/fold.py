"""From the trained layers to the graph that is deployed: raw pixels in, probabilities out.

Normalization goes into the first weights, a ReLU of its own into the convolution before it, and the
softmax that training keeps in its loss becomes the last node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from minicnn.data.augment import Normalization
from minicnn.errors import UserError
from minicnn.graph import LEARNED, Graph, Node, Tensor, from_layer
from minicnn.layers import Layer, Shape

MOST_CLASSES = 16_000  # elements that the Edge TPU's SOFTMAX takes


@dataclass(frozen=True)
class Pixels:
    """What the graph's input stands for: value = scale * (byte - zero), for each byte of RGB."""

    scale: float
    zero: int

    def apply(self, images: np.ndarray) -> np.ndarray:
        """Float32 input of the float graph for uint8 images."""
        return (images.astype(np.float32) - np.float32(self.zero)) * np.float32(self.scale)


def deployed(net: Layer, input_shape: Shape, normalization: Normalization) -> tuple[Graph, Pixels]:
    """The float graph of a trained network, and what its input is.

    Its input is bytes / 255 wherever the normalization can be folded into the weights that follow:
    before a 'valid' convolution or a dense layer. Before anything else, as a 'same' convolution
    whose padding is the normalized zero, the input's own scale and zero point take it over.

    Raises
    ------
    UserError
        Weights that are not finite, outputs that are not one score per class, too many classes, or
        a normalization that neither way can hold exactly.
    """
    graph = fuse_relus(from_layer(net, input_shape))
    _check(graph)
    pixels = fold_normalization(graph, normalization)
    if not graph.nodes or graph.nodes[-1].op != "SOFTMAX":
        shape = graph.shape(graph.outputs[0])
        graph.outputs = [graph.add("SOFTMAX", graph.outputs, shape, "probabilities", beta=1.0)]
    return graph, pixels


def _check(graph: Graph) -> None:
    for tensor in graph.tensors:
        if tensor.data is not None and not np.isfinite(tensor.data).all():
            raise UserError(
                f"{tensor.name} holds NaN or infinite values: train anew, at a lower --lr"
            )
    shape = graph.shape(graph.outputs[0])
    if len(shape) != 1:
        raise UserError(f"the network ends in a tensor of shape {shape}, wanted (classes,)")
    if shape[0] > MOST_CLASSES:
        raise UserError(f"{shape[0]} classes: the Edge TPU's softmax takes at most {MOST_CLASSES}")


def fuse_relus(graph: Graph) -> Graph:
    """Each RELU that alone reads a convolution or dense layer becomes its activation."""
    readers = [t for node in graph.nodes for t in node.inputs]
    fused: list[Node] = []
    for node in graph.nodes:
        before = next((n for n in fused if n.output == node.inputs[0]), None)
        if (
            node.op == "RELU"
            and before is not None
            and before.op in LEARNED
            and readers.count(before.output) == 1
        ):
            attrs = {**before.attrs, "activation": "RELU"}
            fused[fused.index(before)] = replace(before, outputs=node.outputs, attrs=attrs)
        else:
            fused.append(node)
    return compacted(replace(graph, nodes=fused))


def compacted(graph: Graph) -> Graph:
    """The same graph without the tensors that no node has; the others keep their order."""
    used = {*graph.inputs, *graph.outputs}
    used.update(t for node in graph.nodes for t in (*node.inputs, *node.outputs))
    number = {old: new for new, old in enumerate(sorted(used - {-1}))} | {-1: -1}
    nodes = [
        replace(
            node,
            inputs=tuple(number[t] for t in node.inputs),
            outputs=tuple(number[t] for t in node.outputs),
        )
        for node in graph.nodes
    ]
    tensors = [graph.tensors[t] for t in sorted(used - {-1})]
    inputs, outputs = ([number[t] for t in ends] for ends in (graph.inputs, graph.outputs))
    return Graph(tensors, nodes, inputs, outputs)


def fold_normalization(graph: Graph, normalization: Normalization) -> Pixels:
    """Change the first weights so that the graph takes pixels; the graph itself is changed."""
    readers = _first_learned(graph)
    if readers is not None:
        for node in readers:
            _fold_into(graph, node, normalization)
        return Pixels(1 / 255, 0)
    mean, zero = normalization.mean, 255 * normalization.mean[0]
    if len(set(mean)) == 1 and math.isclose(zero, round(zero), abs_tol=1e-4):
        return Pixels(1 / (255 * normalization.std), round(zero))
    first = graph.nodes[0]
    raise UserError(
        f"{first.path}: the training's normalization (means {', '.join(f'{m:.4f}' for m in mean)}) "
        f"cannot be folded exactly into {first.op}, whose padding stands for the means: begin with "
        "a 'valid' convolution, or train on bytes / 255 (standardize off, as in --recipe thesis)"
    )


def _first_learned(graph: Graph) -> list[Node] | None:
    """The nodes with weights that read the input, perhaps reshaped; None if another node does."""
    sources, found = set(graph.inputs), []
    for node in graph.nodes:
        if not sources & set(node.inputs):
            continue
        if node.op == "RESHAPE":
            sources.add(node.output)
        elif node.op in LEARNED and node.attrs.get("padding", "valid") == "valid":
            found.append(node)
        else:
            return None
    return found


def _fold_into(graph: Graph, node: Node, normalization: Normalization) -> None:
    """w * ((pixel - mean) / std) + b = (w / std) * pixel + (b - sum of w * mean / std)."""
    weights, biases = graph.tensors[node.inputs[1]], graph.tensors[node.inputs[2]]
    w = graph.data(node.inputs[1]).astype(np.float64) / normalization.std
    mean = np.array(normalization.mean)
    rows = w.reshape(len(w), -1)  # channels vary fastest, also after a RESHAPE
    shift = rows @ np.tile(mean, rows.shape[1] // len(mean))
    b = graph.data(node.inputs[2]) - shift
    graph.tensors[node.inputs[1]] = _with_data(weights, w)
    graph.tensors[node.inputs[2]] = _with_data(biases, b)


def _with_data(tensor: Tensor, data: np.ndarray) -> Tensor:
    return replace(tensor, data=data.astype(np.float32))
