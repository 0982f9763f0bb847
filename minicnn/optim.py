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


class Muon(Optimizer):
    """Momentum whose step is made orthogonal, so that it moves all directions equally far.

    A gradient of weights (OC, KH, KW, C), read as a matrix OC x (KH KW C), is ruled by a few
    directions, and so is a step of SGD. Here the step U S V' becomes nearly U V'. Biases have no
    directions and are Adam's, at ``bias_lr`` of the rate. Jordan et al., 2024, "Muon: an optimizer
    for hidden layers in neural networks"; the step is Nesterov's, times sqrt(max(1, rows /
    columns)).
    """

    slots = ("momentum", "second_moment")

    def __init__(
        self,
        lr: float | Schedule = 0.002,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        bias_lr: float = 0.25,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.momentum, self.bias_lr = momentum, bias_lr
        self.adam = Adam()
        self.adam.state = self.state

    def update(self, path: str, w: np.ndarray, grad: np.ndarray, lr: float, decay: float) -> None:
        shape = self.state["momentum"][path].shape
        if len(shape) == 1:
            self.adam.steps = self.steps
            self.adam.update(path, w, grad, self.bias_lr * lr, decay)
            return
        rows = shape[0]
        v, keep = self.flat("momentum", path), grad.dtype.type(self.momentum)
        v += (1 - keep) * (grad - v)
        step = orthogonal(((1 - keep) * grad + keep * v).reshape(rows, -1))
        factor = lr * math.sqrt(max(1.0, rows / step.shape[1]))
        w *= w.dtype.type(decay)
        w -= w.dtype.type(factor) * step.reshape(-1)


def orthogonal(a: np.ndarray) -> np.ndarray:
    """About U V' of a's singular value decomposition U S V', a (rows, columns); a new array.

    Five steps of an odd polynomial in a (Newton and Schulz) bring every singular value that is not
    tiny to between 0.7 and 1.2: near enough, and only products are needed. The coefficients are
    those of Jordan et al., 2024.
    """
    if a.shape[0] > a.shape[1]:  # the products below are of the short side
        return orthogonal(np.ascontiguousarray(a.T)).T
    x = a / (np.sqrt(np.sum(a * a)) + a.dtype.type(1e-7))
    for _ in range(5):
        gram = times_transposed(x, x)
        mix = -4.7750 * gram + 2.0315 * times_transposed(gram, gram)
        x = 3.4445 * x + times_transposed(mix, np.ascontiguousarray(x.T))
    return x


def times_transposed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a times b', for a (M, K) and b (N, K): a convolution 1x1 whose pixels are a's rows.

    NumPy's own product has other bits with another number of threads; this one has not.
    """
    (M, K), N = a.shape, len(b)
    y = np.empty((1, 1, M, N), a.dtype)
    x, w = a.reshape(1, 1, M, K), b.reshape(N, 1, 1, K)
    kernels.conv2d_forward(x, w, np.zeros(N, a.dtype), (1, 1), (0, 0), False, y, 0)
    return y.reshape(M, N)
