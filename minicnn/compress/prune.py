"""Magnitude pruning: the smallest weights are set to zero while the network trains on.

Zhu and Gupta, 2017, "To prune, or not to prune" (arXiv:1710.01878), as in TensorFlow's Model
Optimization Toolkit (tfmot). Only weights are pruned, never biases. A weight that is pruned stays
zero: as the share grows, what is zero already counts among the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from minicnn.config import Pruning
from minicnn.layers import Param

Weights = Mapping[str, np.ndarray]  # path -> values, of any shapes
Masks = dict[str, np.ndarray]  # path -> bool of the same shape: what is kept


@dataclass(frozen=True)
class PolynomialDecay:
    """The share of zeros by step: fast from ``initial`` on, slow towards ``final``.

    Weights are pruned before step ``begin`` (the first step of a run is 0) and every ``every``
    steps after it, as long as the step is not beyond ``end``; tfmot's class of that name.
    """

    initial: float = 0.5
    final: float = 0.9
    begin: int = 20
    end: int = 125
    every: int = 100
    power: float = 3.0

    def prunes(self, step: int) -> bool:
        """Whether weights are pruned before this step."""
        return self.begin <= step <= self.end and (step - self.begin) % self.every == 0

    def sparsity(self, step: int) -> float:
        """The share of zeros that the formula wants at a step, from 0 to 1."""
        done = (step - self.begin) / (self.end - self.begin)
        left = 1.0 - min(max(done, 0.0), 1.0)
        return self.final + (self.initial - self.final) * left**self.power

    def turns(self, steps: int | None = None) -> list[tuple[int, float]]:
        """(step, sparsity) of every pruning, or of those in a run of so many steps."""
        end = self.end + 1 if steps is None else min(self.end + 1, steps)
        return [(step, self.sparsity(step)) for step in range(self.begin, end, self.every)]


def schedule_of(pruning: Pruning) -> PolynomialDecay:
    """The schedule that a run's settings describe."""
    p = pruning
    return PolynomialDecay(p.initial, p.final, p.begin, p.end, p.every, p.power)


def kept(size: int, sparsity: float) -> int:
    """How many of ``size`` weights a sparsity leaves: tfmot's count, rounded, at least one."""
    return max(1, round(size * (1.0 - sparsity)))


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """A flat mask of the ``count`` values of largest magnitude; of equal ones the earlier stay."""
    mask = np.zeros(values.size, bool)
    mask[np.argsort(-np.abs(values.reshape(-1)), kind="stable")[:count]] = True
    return mask


def layer_masks(weights: Weights, sparsity: float) -> Masks:
    """Each array loses the same share, as in tfmot; the threshold is its own."""
    return {
        path: _largest(values, kept(values.size, sparsity)).reshape(values.shape)
        for path, values in weights.items()
    }


def global_masks(weights: Weights, sparsity: float) -> Masks:
    """One threshold of magnitude for all arrays: those of many small weights lose the most.

    An array keeps at least its largest weight, or nothing would pass its layer any more.
    """
    return _largest_of_all({path: np.abs(values) for path, values in weights.items()}, sparsity)


def adaptive_masks(weights: Weights, sparsity: float) -> Masks:
    """One threshold for all arrays, of each weight's share of what its own array has left.

    The score w^2 / (sum of v^2 over the v of the array that are not smaller) is LAMP's (Lee et al.,
    2021, arXiv:2010.07611): large arrays, where it is spread thin, lose more than small ones, and
    the largest weight of an array always scores 1.
    """
    scores = {}
    for path, values in weights.items():
        squares = np.square(values.reshape(-1), dtype=np.float64)
        order = np.argsort(-squares, kind="stable")
        left = np.cumsum(squares[order])
        score = np.zeros(squares.shape)
        score[order] = squares[order] / np.maximum(left, np.finfo(float).tiny)
        scores[path] = score.reshape(values.shape)
    return _largest_of_all(scores, sparsity)


def _largest_of_all(scores: Weights, sparsity: float) -> Masks:
    whole = np.concatenate([values.reshape(-1) for values in scores.values()])
    mask = _largest(whole, kept(whole.size, sparsity))
    masks, start = {}, 0
    for path, values in scores.items():
        own = mask[start : start + values.size] | _largest(values, 1)
        masks[path] = own.reshape(values.shape)
        start += values.size
    return masks


SCOPES: dict[str, Callable[[Weights, float], Masks]] = {
    "layer": layer_masks,
    "global": global_masks,
    "adaptive": adaptive_masks,
}


def prunable(params: Mapping[str, Param]) -> dict[str, Param]:
    """The parameters that are weights, by path; biases have one dimension."""
    return {path: param for path, param in params.items() if param.value.ndim > 1}


def prune(params: Mapping[str, Param], sparsity: float, scope: str = "layer") -> None:
    """Mask the weights of smallest magnitude and set them to zero.

    params    ``net.named_params()``; ``Optimizer.step`` keeps to the masks from then on
    sparsity  share of the weights that become zero, from 0 to below 1
    scope     one of SCOPES

    ValueError for a sparsity out of that range.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is {sparsity}, wanted at least 0 and below 1")
    chosen = prunable(params)
    masks = SCOPES[scope]({path: param.value for path, param in chosen.items()}, sparsity)
    for path, param in chosen.items():
        param.mask = masks[path]
        param.value *= param.mask


class Pruner:
    """What prunes during a run: ``before_step`` at every step, with no state but the masks."""

    def __init__(self, pruning: Pruning) -> None:
        self.schedule, self.scope = schedule_of(pruning), pruning.scope
        self.last = max((step for step, _ in self.schedule.turns()), default=0)

    def before_step(self, params: Mapping[str, Param], step: int) -> None:
        """Prune if it is this step's turn."""
        if self.schedule.prunes(step):
            prune(params, self.schedule.sparsity(step), self.scope)

    def finished(self, steps: int) -> bool:
        """Whether all pruning lies behind, after so many steps."""
        return steps > self.last


def masks_of(params: Mapping[str, Param]) -> Masks:
    """The masks there are, for a checkpoint; none before the first pruning."""
    return {path: param.mask for path, param in params.items() if param.mask is not None}


def set_masks(params: Mapping[str, Param], masks: Masks) -> None:
    """Put back what :func:`masks_of` returned, and the zeros with it."""
    for path, mask in masks.items():
        params[path].mask = mask
        params[path].value *= mask
