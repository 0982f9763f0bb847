"""What the head's initialization does: the loss before training, and classes that a ReLU shuts off.

    python benchmarks/first_loss.py [--seeds 0 1 2 3]

Prints, for each squeezenet and seed, the unweighted cross-entropy on 32 generated images (guessing
is ln 7 = 1.946) and how many of the 7 logits are below 0.01 on average: first with He's scale and
zero biases at the head as everywhere else, then as ``models.build`` starts it.
"""

from __future__ import annotations

import argparse

import numpy as np

import models
from minicnn.data import synthetic
from minicnn.data.augment import Normalization
from minicnn.layers import Sequential
from minicnn.loss import cross_entropies


def plain_he(net: Sequential) -> Sequential:
    """Undo what ``models.build`` does to the head beyond He's initialization."""
    w, b = list(net.named_params().values())[-2:]
    w.value /= np.float32(models.HEAD_SCALE)
    b.value[:] = 0
    return net


def describe(net: Sequential, x: np.ndarray, labels: np.ndarray) -> str:
    logits = net.forward(x)
    loss = cross_entropies(logits, labels).mean()
    return f"{loss:6.3f} {int((logits.mean(axis=0) < 0.01).sum()):4d}"


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    seeds = p.parse_args().seeds
    print(f"{'network':20} seed   He: loss dead   as built: loss dead")
    for name in ("squeezenet", "deepsqueeze", "son_of_deepsqueeze"):
        size = (64, 64) if name == "squeezenet" else (256, 256)
        dataset = synthetic.generate(32, size, seed=0)
        x = Normalization.of(dataset.images, np.arange(32)).apply(dataset.images)
        for seed in seeds:
            built = models.build(name, (*size, 3), 7, seed)
            ours = describe(built, x, dataset.labels)
            print(f"{name:20} {seed:4}     {describe(plain_he(built), x, dataset.labels)}", end="")
            print(f"         {ours}")


if __name__ == "__main__":
    main()
