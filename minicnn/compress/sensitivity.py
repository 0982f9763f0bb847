"""How much each layer alone bears: pruned by itself, without retraining, and put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minicnn.compress.prune import layer_masks, prunable
from minicnn.layers import Layer

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)


@dataclass(frozen=True)
class Sensitivity:
    """One layer: ``scores`` of the whole network, one for each sparsity of its weights at ``path``.

    weights  how many there are
    """

    path: str
    weights: int
    scores: tuple[float, ...]


def scan(
    net: Layer, score: Callable[[], float], sparsities: Sequence[float] = SPARSITIES
) -> list[Sensitivity]:
    """A row for each array of weights, in the network's order.

    score  measures the network as it is now, such as its accuracy on some images: of the training
           side, for what is chosen by this table must not have seen the test side
    """
    rows = []
    for path, param in prunable(net.named_params()).items():
        whole, scores = param.value, []
        try:
            for sparsity in sparsities:
                param.value = whole * layer_masks({path: whole}, sparsity)[path]
                scores.append(score())
        finally:
            param.value = whole
        rows.append(Sensitivity(path, whole.size, tuple(scores)))
    return rows
