"""Fully connected layer, and the flattening before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.layers.base import Layer, Param, Shape, he_normal
from minicnn.layers.conv import no_mask, relu_gradient
from minicnn.layers.window import like


class Dense(Layer):
    """y = x times w transposed, plus b, with an optional ReLU: (N, IN) to (N, OUT).

    Parameters: w (OUT, IN), He-normal from ``rng``; b (OUT,), zeros.
    """

    masks_dx = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        relu: bool = False,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.relu = in_features, out_features, relu
        w = he_normal(np.random.default_rng(rng), (out_features, in_features))
        self.params["w"] = Param(w)
        self.params["b"] = Param(np.zeros(out_features, np.float32), decay=False)

    @property
    def ends_in_relu(self) -> bool:  # type: ignore[override]
        """See :class:`Layer`."""
        return self.relu

    def out_shape(self, shape: Shape) -> Shape:
        if shape != (self.in_features,):
            raise self.error(f"wanted ({self.in_features},) features, got shape {shape}")
        return (self.out_features,)

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, shape = self.checked(x)
        y = like(x, shape)
        kernels.dense_forward(x, self.params["w"].value, self.params["b"].value, self.relu, y)
        if train:
            self.cache = x, y
        return y

    def backward(
        self, dy: np.ndarray, relu_done: bool = False, x_is_relu: bool = False
    ) -> np.ndarray:
        """dx; ``relu_done`` and ``x_is_relu`` as for Conv2D."""
        x, y = self.take_cache()
        w, b = self.params["w"], self.params["b"]
        dy = self.checked_gradient(dy, y.shape)
        if self.relu and not relu_done:
            dy = relu_gradient(dy, y)
        adding = w.adding
        kernels.dense_backward_weights(x, dy, adding, w.grad_to_fill(), b.grad_to_fill())
        if not self.input_gradient:
            return like(x, (0,))
        dx, mask = like(x, x.shape), x if x_is_relu else no_mask(x)
        kernels.dense_backward_input(dy, w.value, mask, dx)
        return dx

    def emit(self, graph: Any, tensor: int) -> int:
        return graph.add(
            "FULLY_CONNECTED",
            [tensor],
            (self.out_features,),
            self.path,
            w=self.params["w"].value,
            b=self.params["b"].value,
            activation="RELU" if self.relu else "NONE",
        )


class Flatten(Layer):
    """(N, H, W, C) to (N, H * W * C), row by row."""

    keeps_signs = True

    def out_shape(self, shape: Shape) -> Shape:
        return (int(np.prod(shape)),)

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, shape = self.checked(x)
        if train:
            self.cache = x.shape
        return x.reshape(shape)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        N, *shape = self.take_cache()
        return self.checked_gradient(dy, (N, int(np.prod(shape)))).reshape(N, *shape)

    def emit(self, graph: Any, tensor: int) -> int:
        shape = self.out_shape(graph.shape(tensor))
        return graph.add(
            "RESHAPE", [tensor], shape, self.path, new_shape=np.array([1, *shape], np.int32)
        )
