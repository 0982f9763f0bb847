"""How far runtimes agree on a run's test images.

    python benchmarks/int8_agreement.py RUN

compares the run's float network, its model_int8.tflite in minicnn's simulator, and the same file in
LiteRT with its default kernels: the share of images with one answer, and how far scores are apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exporters.tflite import NAME
from minicnn import kernels, preparation, runtime, trained
from minicnn.errors import Parser, UserError, command
from minicnn.runtime import Network

BATCH = 32
HEADER = f"{'':22}{'same answer':>12}  {'scores at most apart':>20}  {'bit for bit':>11}"


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python benchmarks/int8_agreement.py", description=__doc__)
    p.add_argument("run", metavar="RUN", help="a run folder with its int8 file")
    folder = Path(p.parse_args(argv).run)
    network = trained.load(folder)
    if network.config is None:
        raise UserError(f"{folder} does not say what it was trained on")
    data = preparation.prepare(network.config)
    images = data.dataset.images[data.test]
    file = folder / NAME
    networks = {
        "float32": runtime.load(folder),
        "simulator": runtime.load(file, "simulator"),
        "LiteRT": runtime.load(file, "litert"),
    }
    print(f"{len(images)} test images of {data.dataset.source}")
    with kernels.constant_weights():
        scores = {name: _scores(one, images) for name, one in networks.items()}
    print(HEADER)
    for first, second in itertools.combinations(scores, 2):
        a, b = scores[first], scores[second]
        same = np.mean(a.argmax(axis=1) == b.argmax(axis=1))
        equal = np.mean((a == b).all(axis=1))
        apart = f"{256 * np.abs(a - b).max():.1f} / 256"
        print(f"{first + ', ' + second:22}{same:12.2%}  {apart:>20}  {equal:11.1%}")
    return 0


def _scores(network: Network, images: np.ndarray) -> np.ndarray:
    starts = range(0, len(images), BATCH)
    return np.concatenate([network.probabilities(images[at : at + BATCH]) for at in starts])


if __name__ == "__main__":
    raise SystemExit(main())
