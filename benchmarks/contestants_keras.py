"""The contestant Keras on TensorFlow, step and inference each a tf.function: ``contestants.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from workload import CLASS_WEIGHTS, LR, MOMENTUM, Contestant, Layer, row

Weights = Mapping[str, np.ndarray]
layers = tf.keras.layers


def _copy(twin: Any, layer: Layer, weights: Weights, x: Any) -> Any:
    """The twin's output for x; calling it builds it, and then it takes the layer's weights."""
    y = twin(x)
    w, b = weights[f"{layer['path']}/w"], weights[f"{layer['path']}/b"]
    twin.set_weights([np.moveaxis(w, 0, -1), b])  # KH, KW, C, OC
    return y


def _conv(layer: Layer, weights: Weights, x: Any) -> Any:
    sizes = layer["out_channels"], layer["kernel"], layer["stride"], layer["padding"]
    twin = layers.Conv2D(*sizes, activation="relu" if layer["relu"] else None)
    return _copy(twin, layer, weights, x)


def _dense(layer: Layer, weights: Weights, x: Any) -> Any:
    twin = layers.Dense(layer["out_features"], activation="relu" if layer["relu"] else None)
    return _copy(twin, layer, weights, x)


def _fire(layer: Layer, weights: Weights, x: Any) -> Any:
    squeeze, *expands = layer["children"]
    s = _conv(squeeze, weights, x)
    return layers.Concatenate()([_conv(expand, weights, s) for expand in expands])


def _max_pool(layer: Layer, weights: Weights, x: Any) -> Any:
    return layers.MaxPooling2D(layer["kernel"], layer["stride"], layer["padding"])(x)


TWINS: dict[str, Callable[[Layer, Weights, Any], Any]] = {
    "Conv2D": _conv,
    "Fire": _fire,
    "MaxPool2D": _max_pool,
    "Dropout": lambda layer, weights, x: layers.Dropout(layer["rate"])(x),
    "GlobalAvgPool2D": lambda layer, weights, x: layers.GlobalAveragePooling2D()(x),
    "Flatten": lambda layer, weights, x: layers.Flatten()(x),
    "Dense": _dense,
}


class Keras(Contestant):
    """A functional model; ``run`` and ``step`` are compiled at their first call for a shape."""

    def build(self) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(self.threads)
        tf.config.threading.set_inter_op_parallelism_threads(self.threads)
        x = images = layers.Input(self.network.shape)
        for layer in self.network.layers:
            x = row(TWINS, layer)(layer, self.network.weights, x)
        self.model = tf.keras.Model(images, x)
        self.loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.optimizer = tf.keras.optimizers.SGD(LR, momentum=MOMENTUM)
        self.optimizer.build(self.model.trainable_variables)
        self.class_weights = tf.constant(CLASS_WEIGHTS)
        self.run = tf.function(lambda x: self.model(x, training=False))
        self.step = tf.function(self._step)

    def load(self, x: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.targets = tf.constant(x), tf.constant(labels)

    def _step(self, x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        weights = tf.gather(self.class_weights, labels)
        with tf.GradientTape() as tape:
            value = self.loss(labels, self.model(x, training=True), sample_weight=weights)
        variables = self.model.trainable_variables
        gradients = tape.gradient(value, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return value

    def train_step(self) -> float:
        return float(self.step(self.images, self.targets))

    def infer(self) -> np.ndarray:
        return self.run(self.images).numpy()
