"""A moving average of the weights: what is tested and exported in place of the last step's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from minicnn.layers import Param


class WeightAverage:
    """average = d * average + (1 - d) * weights after every step, d at most ``decay``.

    The last steps of a run jump about a good place; their mean lies nearer to it (Polyak and
    Juditsky, 1992). d begins low, (1 + t) / (10 + t) after t steps, or the initial weights would
    stay in it for long (as in TensorFlow's ExponentialMovingAverage with ``num_updates``).

    state  path -> the average, an array like the parameter's value; empty before the first step
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, np.ndarray] = {}

    def update(self, params: Mapping[str, Param], steps: int) -> None:
        """Take in the weights after ``steps`` optimizer steps; what is masked stays zero."""
        share = np.float32(1 - min(self.decay, (1 + steps) / (10 + steps)))
        for path, param in params.items():
            if path not in self.state:
                self.state[path] = param.value.copy()
            average = self.state[path]
            average += share * (param.value - average)
            if param.mask is not None:
                average *= param.mask

    @contextmanager
    def in_place(self, params: Mapping[str, Param]) -> Iterator[None]:
        """Inside, every parameter has its average for a value (its own before the first step)."""
        own = {path: param.value for path, param in params.items()}
        for path, average in self.state.items():
            params[path].value = average
        try:
            yield
        finally:
            for path, value in own.items():
                params[path].value = value
