"""Whole channels taken out of a network: what is left is smaller for every kernel, and faster.

The filters of a convolution with the smallest sums of magnitudes go (Li et al., 2017, "Pruning
filters for efficient ConvNets", arXiv:1608.08710), and with each of them what later layers had for
its channel. The network's outputs all stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from minicnn.errors import UserError
from minicnn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Fire,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    MaxPool2D,
    ReLU,
    Sequential,
    Shape,
)

# Widths stay multiples of this: kernels take channels in vectors, and a
# SqueezeNet of 45 channels for 64, 11 for 16 ran slower than the whole one.
VECTOR = 8

Keep = Callable[[Conv2D], np.ndarray]  # which output channels of a convolution stay, in order


@dataclass(frozen=True)
class Flow:
    """What comes out of a layer: its shape before anything was removed, and what is left.

    left  positions along the last dimension of ``shape``, in order
    """

    shape: Shape
    left: np.ndarray


def remove(net: Sequential, input_shape: Shape, share: float) -> None:
    """Take a share of the output channels out of every convolution but the last layer's, in place.

    input_shape  (H, W, C) of the images
    share        from 0 to below 1; what stays is rounded to a multiple of VECTOR, at least one

    The two expands of a fire module lose equally many, each its own smallest. ValueError for a
    share out of range.
    """
    if not 0 <= share < 1:
        raise ValueError(f"a share of {share} of the channels: wanted at least 0 and below 1")

    def keep(conv: Conv2D) -> np.ndarray:
        w = conv.params["w"].value
        count = VECTOR * max(1, round((1 - share) * len(w) / VECTOR))
        norms = np.abs(w).sum(axis=(1, 2, 3), dtype=np.float64)
        return np.sort(np.argsort(-norms, kind="stable")[:count])

    _narrow(net, input_shape, keep)


def resize(net: Sequential, input_shape: Shape, params: Mapping[str, np.ndarray]) -> None:
    """Make a fresh network as narrow as ``params``, the values of one that lost channels, in place.

    Only widths are taken over, and only smaller ones: ``Checkpoint.load_into`` does the rest, and
    finds what does not fit. UserError for a fire module with unequal expands.
    """

    def keep(conv: Conv2D) -> np.ndarray:
        stored = params.get(f"{conv.path}/w")
        width = conv.out_channels if stored is None else len(stored)
        return np.arange(min(width, conv.out_channels))

    _narrow(net, input_shape, keep)


def _narrow(net: Sequential, input_shape: Shape, keep: Keep) -> None:
    last = [layer for layer in net.walk() if layer.params][-1]

    def kept(conv: Conv2D) -> np.ndarray:
        return np.arange(conv.out_channels) if conv is last else keep(conv)

    _pass(net, Flow(input_shape, np.arange(input_shape[-1])), kept)


def _pass(layer: Layer, x: Flow, keep: Keep) -> Flow:
    """Fit a layer to what is left of its input, and say what is left of its output."""
    if type(layer) not in NARROW:
        raise LookupError(f"{layer.path}: no row for {type(layer).__name__} to remove channels")
    shape = layer.out_shape(x.shape)  # while the layer is still whole
    return Flow(shape, NARROW[type(layer)](layer, x, keep))


def _sequential(net: Sequential, x: Flow, keep: Keep) -> np.ndarray:
    for layer in net.layers.values():
        x = _pass(layer, x, keep)
    return x.left


def _conv(conv: Conv2D, x: Flow, keep: Keep) -> np.ndarray:
    out = keep(conv)
    conv.in_channels, conv.out_channels = len(x.left), len(out)
    _cut(conv, out, x.left)
    return out


def _dense(dense: Dense, x: Flow, keep: Keep) -> np.ndarray:
    out = np.arange(dense.out_features)
    dense.in_features = len(x.left)
    _cut(dense, out, x.left)
    return out


def _cut(layer: Layer, out: np.ndarray, left: np.ndarray) -> None:
    """Keep these rows of w and b, and these of w's last dimension."""
    w, b = layer.params["w"], layer.params["b"]
    w.value, b.value = np.ascontiguousarray(w.value[out][..., left]), b.value[out]
    w.grad = b.grad = None


def _fire(fire: Fire, x: Flow, keep: Keep) -> np.ndarray:
    whole = fire.expand
    s = _pass(fire.squeeze, x, keep)
    one, three = (_pass(expand, s, keep).left for expand in (fire.expand1, fire.expand3))
    if len(one) != len(three):
        raise UserError(
            f"{fire.path} has expands of {len(one)} and {len(three)} channels: wanted equally many"
        )
    fire.expand = len(one)
    return np.concatenate([one, whole + three])


def _flatten(layer: Layer, x: Flow, keep: Keep) -> np.ndarray:
    positions = np.arange(np.prod(x.shape)).reshape(x.shape)
    return positions[..., x.left].reshape(-1)


def _as_it_comes(layer: Layer, x: Flow, keep: Keep) -> np.ndarray:
    return x.left


NARROW: dict[type[Layer], Callable[..., np.ndarray]] = {
    Sequential: _sequential,
    Conv2D: _conv,
    Dense: _dense,
    Fire: _fire,
    Flatten: _flatten,
    MaxPool2D: _as_it_comes,
    AvgPool2D: _as_it_comes,
    GlobalAvgPool2D: _as_it_comes,
    Dropout: _as_it_comes,
    ReLU: _as_it_comes,
}
