"""Optimizers with Keras's update rules, and learning-rate schedules.

An optimizer keeps its state itself, keyed by the parameter's path, so it can be saved and restored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from minicnn import kernels
from minicnn.layers import Param

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """The same rate at every step."""
    return lambda step: lr


def warmup_cosine(lr: float, warmup: int, total: int) -> Schedule:
    """Linear from lr / warmup to lr over ``warmup`` steps, then half a cosine to 0 at ``total``.

    Loshchilov and Hutter, 2017, arXiv:1608.03983 (without restarts).
    """

    def rate(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        done = (step - warmup) / max(total - warmup, 1)
        return lr * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    return rate


def step_decay(lr: float, factor: float, every: int) -> Schedule:
    """lr, multiplied by ``factor`` after every ``every`` steps."""
    return lambda step: lr * factor ** (step // every)


class Optimizer:
    """Base: counts steps, looks up the rate, applies decay and masks.

    lr            a number or a schedule (step -> rate; the first step is 0)
    weight_decay  each step also takes rate * weight_decay off every weight with ``param.decay``
                  (decoupled, as in Keras); 0 for none
    """

    slots: tuple[str, ...] = ()  # names of the state arrays that each parameter has

    def __init__(self, lr: float | Schedule, weight_decay: float = 0.0) -> None:
        self.schedule: Schedule = lr if callable(lr) else constant(lr)
        self.weight_decay = weight_decay
        self.steps = 0
        self.state: dict[str, dict[str, np.ndarray]] = {slot: {} for slot in self.slots}

    @property
    def lr(self) -> float:
        """The rate that the next step will use."""
        return self.schedule(self.steps)

    def step(self, params: Mapping[str, Param]) -> None:
        """Update every parameter from its gradient; ``params`` is ``net.named_params()``."""
        lr = self.lr
        for path, param in params.items():
            if param.grad is None:
                raise RuntimeError(f"{path} has no gradient: call net.backward before step")
            # kernels change flat views, and of a transposed array, say, there is none
            param.value = np.ascontiguousarray(param.value)
            for slot in self.slots:
                if path not in self.state[slot]:
                    self.state[slot][path] = np.zeros_like(param.value)
            decay = 1 - lr * self.weight_decay if param.decay else 1.0
            self.update(path, param.value.reshape(-1), param.grad.reshape(-1), lr, decay)
            if param.mask is not None:
                param.value *= param.mask
        self.steps += 1

    def update(self, path: str, w: np.ndarray, grad: np.ndarray, lr: float, decay: float) -> None:
        """Change the parameter w at ``path``, flat, times ``decay`` first; its state too."""
        raise NotImplementedError

    def flat(self, slot: str, path: str) -> np.ndarray:
        """A state array of the parameter at ``path``, flat."""
        return self.state[slot][path].reshape(-1)


class SGD(Optimizer):
    """v = momentum * v - lr * grad; w += v, or with ``nesterov`` w += momentum * v - lr * grad."""

    slots = ("momentum",)

    def __init__(
        self,
        lr: float | Schedule,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, path: str, w: np.ndarray, grad: np.ndarray, lr: float, decay: float) -> None:
        v = self.flat("momentum", path)
        kernels.sgd_update(w, v, grad, lr, self.momentum, self.nesterov, decay)


class Adam(Optimizer):
    """Kingma and Ba, 2015, arXiv:1412.6980; epsilon where Keras has it, outside the root."""

    slots = ("momentum", "second_moment")

    def __init__(
        self,
        lr: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def update(self, path: str, w: np.ndarray, grad: np.ndarray, lr: float, decay: float) -> None:
        m, v = self.flat("momentum", path), self.flat("second_moment", path)
        t = self.steps + 1
        rate = lr * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        kernels.adam_update(w, m, v, grad, rate, self.beta_1, self.beta_2, self.epsilon, decay)
