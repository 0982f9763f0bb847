"""The contestant minicnn: a worker's process builds it, see ``contestants.py``."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from workload import CLASS_WEIGHTS, CLASSES, LR, MOMENTUM, Contestant

import models
from minicnn import kernels
from minicnn.loss import CrossEntropy
from minicnn.optim import SGD


class Minicnn(Contestant):
    """NUMBA_NUM_THREADS, which the harness sets, says how many threads."""

    def build(self) -> None:
        self.net = models.build(self.network.name, self.network.shape, CLASSES)
        for path, param in self.net.named_params().items():
            param.value[...] = self.network.weights[path]
        self.loss, self.optimizer = CrossEntropy(CLASS_WEIGHTS), SGD(LR, momentum=MOMENTUM)
        self.constant: ExitStack | None = None  # open while it only infers

    def load(self, x: np.ndarray, labels: np.ndarray) -> None:
        self.kept = x, labels

    def train_step(self) -> float:
        if self.constant:
            self.constant.close()
            self.constant = None
        self.net.seed_dropout(0, self.optimizer.steps)
        value, _ = self.net.gradients(*self.kept, self.loss)
        self.optimizer.step(self.net.named_params())
        return value

    def infer(self) -> np.ndarray:
        if not self.constant:
            self.constant = ExitStack()
            self.constant.enter_context(kernels.constant_weights())
        return self.net.forward(self.kept[0])
