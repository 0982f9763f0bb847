"""Fast float32 optimizer updates: each array is read and written once."""

from __future__ import annotations

import numpy as np
from numba import prange

from minicnn.kernels.jit import jit


@jit(parallel=True)
def sgd_update(w, v, grad, lr, momentum, nesterov, decay):
    """As :func:`minicnn.kernels.reference.sgd_update`, float32."""
    lr, momentum, decay = np.float32(lr), np.float32(momentum), np.float32(decay)
    again = momentum if nesterov else np.float32(1.0)
    once_more = lr if nesterov else np.float32(0.0)
    for i in prange(w.size):
        v[i] = momentum * v[i] - lr * grad[i]
        w[i] = w[i] * decay + (again * v[i] - once_more * grad[i])


@jit(parallel=True)
def adam_update(w, m, v, grad, rate, beta_1, beta_2, epsilon, decay):
    """As :func:`minicnn.kernels.reference.adam_update`, float32."""
    rate, decay, epsilon = np.float32(rate), np.float32(decay), np.float32(epsilon)
    to_m, to_v = np.float32(1.0 - beta_1), np.float32(1.0 - beta_2)
    for i in prange(w.size):
        m[i] += (grad[i] - m[i]) * to_m
        v[i] += (grad[i] * grad[i] - v[i]) * to_v
        w[i] = w[i] * decay - rate * m[i] / (np.sqrt(v[i]) + epsilon)
