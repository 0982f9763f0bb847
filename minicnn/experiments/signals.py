"""What a network does to a batch, layer by layer: signal forward, gradient backward, first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minicnn.layers import Layer, Sequential
from minicnn.optim import Optimizer

Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class LayerSignal:
    """One layer's figures over a batch.

    layer       its name, such as "fire2"
    depth       layers with weights that the image has passed by its end; a fire module counts two
    activation  standard deviation of all values of its output
    between     how much the same place differs from image to image: standard deviation over the
                images, root mean square over the places
    gradient    standard deviation of the gradient of the batch's loss at its output
    update      length of the first step of its weights, divided by the weights' own length
    changed     share of its weights that are another float32 after that step
    dead        share of the channels of its output that are 0 at all places of all images
    """

    layer: str
    depth: int
    activation: float
    between: float
    gradient: float
    update: float
    changed: float
    dead: float


def measure(
    net: Sequential, x: np.ndarray, labels: np.ndarray, loss: Loss, optimizer: Optimizer
) -> list[LayerSignal]:
    """A row for each layer with weights, from one training step, which ``net`` has then taken.

    x (N, H, W, 3) float32 with N of at least 2, labels (N,). The gradient is that of the loss's
    value as it stands, a mean over the images. Dropout drops; the optimizer must not decay weights.
    """
    forward = {}
    y = x
    for name, layer in net.children():
        y = layer.forward(y, train=True)
        forward[name] = _deviation(y), _between(y), _dead(y)
    _, dy = loss(y, labels)
    gradient = {}
    for name, layer in reversed(net.children()):
        gradient[name] = _deviation(dy)
        dy = layer.backward(dy)
    update = _step(net, optimizer)

    rows, depth = [], 0
    for name, layer in net.children():
        if name in update:
            depth += _weights_deep(layer)
            activation, between, dead = forward[name]
            signal = activation, between, gradient[name]
            rows.append(LayerSignal(name, depth, *signal, *update[name], dead))
    return rows


def logit_spread(logits: np.ndarray) -> float:
    """Standard deviation of each class's logit (N, classes) over the images, mean of the classes.

    0 means that all images get the same answer. What all classes have in common is left out first:
    softmax does not see it.
    """
    own = logits.astype(np.float64) - logits.mean(axis=1, keepdims=True)
    return float(own.std(axis=0).mean())


def _deviation(values: np.ndarray) -> float:
    return float(values.std(dtype=np.float64))


def _between(y: np.ndarray) -> float:
    return float(np.sqrt(y.var(axis=0, dtype=np.float64).mean()))


def _dead(y: np.ndarray) -> float:
    return float((y.reshape(-1, y.shape[-1]) == 0).all(axis=0).mean())


def _step(net: Sequential, optimizer: Optimizer) -> dict[str, tuple[float, float]]:
    """Take the step; by layer with weights, how long it was beside them and how many it changed."""
    params = net.named_params()
    before = {path: param.value.copy() for path, param in params.items()}
    # from zero, the step is what the weights become: next to weights it would be rounded away
    for param in params.values():
        param.value[...] = 0
    optimizer.step(params)
    steps = {path: param.value.copy() for path, param in params.items()}
    for path, param in params.items():
        param.value[...] = before[path] + steps[path]
    taken = {}
    for name, _ in net.children():
        own = [path for path in params if path.startswith(f"{name}/") and path.endswith("/w")]
        if own:
            length = _length([steps[path] for path in own]) / _length([before[p] for p in own])
            changed = sum(int((params[path].value != before[path]).sum()) for path in own)
            taken[name] = length, changed / sum(before[path].size for path in own)
    return taken


def _length(arrays: list[np.ndarray]) -> float:
    return float(np.sqrt(sum((array.astype(np.float64) ** 2).sum() for array in arrays)))


def _weights_deep(layer: Layer) -> int:
    """A fire module's two expands lie side by side, behind its squeeze."""
    return min(2, sum("w" in inner.params for inner in layer.walk()))
