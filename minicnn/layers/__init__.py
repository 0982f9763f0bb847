"""The layers: each runs forward and backward, and describes itself as graph nodes."""

from minicnn.layers.activation import ReLU, Sigmoid, Softmax
from minicnn.layers.base import Layer, Param, Shape
from minicnn.layers.conv import Conv2D
from minicnn.layers.dense import Dense, Flatten
from minicnn.layers.dropout import Dropout
from minicnn.layers.fire import Fire
from minicnn.layers.pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from minicnn.layers.sequential import Sequential

__all__ = [
    "AvgPool2D",
    "Conv2D",
    "Dense",
    "Dropout",
    "Fire",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "MaxPool2D",
    "Param",
    "ReLU",
    "Sequential",
    "Shape",
    "Sigmoid",
    "Softmax",
]
