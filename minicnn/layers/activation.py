"""Activations as layers of their own; Conv2D and Dense can fuse a ReLU instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.layers.base import Layer, Shape
from minicnn.layers.conv import relu_gradient


class _Elementwise(Layer):
    op = ""

    def out_shape(self, shape: Shape) -> Shape:
        return shape

    def emit(self, graph: Any, tensor: int) -> int:
        return graph.add(self.op, [tensor], graph.shape(tensor), self.path)


class ReLU(_Elementwise):
    """max(x, 0), any shape; a NaN stays NaN."""

    op = "RELU"
    ends_in_relu = True

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, _ = self.checked(x)
        y = np.maximum(x, 0)
        if train:
            self.cache = y
        return y

    def backward(self, dy: np.ndarray, relu_done: bool = False) -> np.ndarray:
        y = self.take_cache()
        dy = self.checked_gradient(dy, y.shape)
        return dy if relu_done else relu_gradient(dy, y)


class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x)), any shape. For training: the Edge TPU export has no row for it."""

    op = "LOGISTIC"

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, _ = self.checked(x)
        # exp of a negative number only: it cannot overflow
        e = np.exp(-np.abs(x))
        y = np.where(x >= 0, 1, e) / (1 + e)
        if train:
            self.cache = y
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        y = self.take_cache()
        return self.checked_gradient(dy, y.shape) * y * (1 - y)


class Softmax(_Elementwise):
    """Each row of (N, C) as probabilities.

    Networks here end in logits: CrossEntropy and the graph add the softmax themselves.
    """

    op = "SOFTMAX"

    def out_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise self.error(f"wanted (C,) logits, got shape {shape}")
        return shape

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        x, _ = self.checked(x)
        y = np.empty_like(x)
        kernels.softmax_forward(x, y)
        if train:
            self.cache = y
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        y = self.take_cache()
        dx = np.empty_like(y)
        kernels.softmax_backward(self.checked_gradient(dy, y.shape), y, dx)
        return dx
