"""Neighbouring layers run as one: how Sequential saves passes over memory.

Two cases. A convolution's output, a network's largest array, is pooled as it is made and never
stored (``ConvPool``). And a ReLU's gradient is taken by the layer after it, whose kernel writes
that gradient anyway (``fused_relus``). Of all this the layers have but three attributes.
"""

from __future__ import annotations

import numpy as np

from minicnn import kernels
from minicnn.kernels.memory import empty
from minicnn.layers.base import Layer, Shape
from minicnn.layers.conv import Conv2D, relu_gradient
from minicnn.layers.pool import MaxPool2D
from minicnn.layers.window import like


class ConvPool(Layer):
    """The same as ``pool`` after ``conv``, whose parameters and gradients it uses.

    In training only where nobody needs the gradient of x: that one takes the stored output.
    """

    ends_in_relu = True
    masks_dx = True

    def __init__(self, conv: Conv2D, pool: MaxPool2D) -> None:
        super().__init__()
        self.conv, self.pool = conv, pool

    @staticmethod
    def fits(first: Layer, second: Layer) -> bool:
        """Whether the two layers are such a pair."""
        return (
            isinstance(first, Conv2D)
            and first.relu
            and isinstance(second, MaxPool2D)
            and second.padding == "valid"
            and second.kernel[0] * second.kernel[1] <= 256  # places that a byte holds
        )

    def out_shape(self, shape: Shape) -> Shape:
        return self.pool.out_shape(self.conv.out_shape(shape))

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        conv, pool = self.conv, self.pool
        if train and conv.input_gradient:
            return pool.forward(conv.forward(x, train), train)
        x, (N, *size, _) = conv.checked(x)
        y = like(x, (N, *self.out_shape(x.shape[1:])))
        argmax = empty(y.shape, np.uint8)
        w, b, pad = conv.params["w"].value, conv.params["b"].value, conv.pad(x.shape[1:])
        kernels.conv_pool_forward(
            x, w, b, conv.stride, pad, tuple(size), pool.kernel, pool.stride, y, argmax
        )
        if train:
            self.cache = x, y, argmax, tuple(size)
        return y

    def backward(
        self, dy: np.ndarray, relu_done: bool = False, x_is_relu: bool = False
    ) -> np.ndarray:
        conv, pool = self.conv, self.pool
        if conv.input_gradient:
            return conv.backward(pool.backward(dy), relu_done, x_is_relu)
        x, y, argmax, size = self.take_cache()
        dy = self.checked_gradient(dy, y.shape)
        if not relu_done:
            dy = relu_gradient(dy, y)  # the pooled value is positive just where the winner is
        w, b, pad = conv.params["w"], conv.params["b"], conv.pad(x.shape[1:])
        adding = w.adding
        kernels.conv_pool_backward_weights(
            *(x, dy, argmax, conv.stride, pad, size, pool.kernel, pool.stride, adding),
            *(w.grad_to_fill(), b.grad_to_fill()),
        )
        return like(x, (0,))


def fused_pairs(layers: list[Layer]) -> list[Layer]:
    """The layers, with each convolution and the max-pooling after it as one."""
    stages: list[Layer] = []
    for layer in layers:
        if stages and ConvPool.fits(stages[-1], layer):
            layer = ConvPool(stages.pop(), layer)  # type: ignore[arg-type]
        stages.append(layer)
    return stages


def fused_relus(layers: list[Layer]) -> list[dict[str, bool]]:
    """Arguments of each layer's ``backward`` that let the layer after a ReLU take its gradient.

    That layer writes dx anyway and has x, whose sign says where the ReLU let values through: this
    saves a pass over memory. Between the two may stand layers that keep signs, such as max-pooling.
    """
    fused: list[dict[str, bool]] = [{} for _ in layers]
    relu = None
    for position, layer in enumerate(layers):
        if relu is not None and layer.masks_dx:
            fused[position]["x_is_relu"] = fused[relu]["relu_done"] = True
        if layer.ends_in_relu:
            relu = position
        elif not layer.keeps_signs:
            relu = None
    return fused
