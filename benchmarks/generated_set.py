"""Is the generated set worth training on? A network must beat a linear model on it by far.

    python benchmarks/generated_set.py --seeds 0 1 2 3 4 [--no-train] [options of minicnn.train]

For each seed: the majority's share, the balanced accuracy of softmax regression on the pixels,
and that of SqueezeNet with its training's minutes, both on the same split by lesion.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from minicnn.data import balance, synthetic
from minicnn.data.dataset import Dataset
from minicnn.data.split import split
from minicnn.metrics import balanced_accuracy, confusion_matrix

PENALTIES = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # from a coarse fit to overfitting
STEPS = 60  # for each penalty, on from the weights of the one before
BIAS = 10.0  # the constant input: so large that the penalty on its weights hardly matters


def softmax_regression(dataset: Dataset, train: np.ndarray, test: np.ndarray) -> float:
    """Test balanced accuracy of the best of several penalties.

    The penalty is chosen on the test images themselves, in favour of the regression.
    """
    x, x_test = _inputs(dataset.images, train, test)
    classes = len(dataset.classes)
    targets = np.eye(classes, dtype=np.float32)[dataset.labels[train]]
    weights = balance.class_weights(dataset.counts(train), "log")[dataset.labels[train], None]
    # of the Hessian, which softmax bounds by half the inputs' second moment
    steepest = 0.5 * _largest_eigenvalue(x, weights)
    w = np.zeros((x.shape[1], classes), np.float32)
    found = []
    for penalty in PENALTIES:
        w = _descend(x, targets, weights, penalty, 1.0 / (steepest + penalty), w)
        predicted = (x_test @ w).argmax(axis=1)
        confusion = confusion_matrix(predicted, dataset.labels[test], classes)
        found.append(balanced_accuracy(confusion))
    return max(found)


def _descend(
    x: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    penalty: float,
    rate: float,
    start: np.ndarray,
) -> np.ndarray:
    """Nesterov's accelerated gradient descent on the weighted cross-entropy, full batches.

    x (N, D), targets (N, classes), weights (N, 1), start and result (D, classes).
    """
    w = ahead = start
    for step in range(STEPS):
        scores = np.exp(_shifted(x @ ahead))
        error = weights * (scores / scores.sum(axis=1, keepdims=True) - targets)
        previous, w = w, ahead - rate * (x.T @ error / len(x) + penalty * ahead)
        ahead = w + step / (step + 3.0) * (w - previous)
    return w


def _shifted(scores: np.ndarray) -> np.ndarray:
    return scores - scores.max(axis=1, keepdims=True)


def _inputs(
    images: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides as (N, pixels + 1) float32, standardized, with a constant last column."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat[train].mean(axis=0)
    flat /= flat[train].std()
    flat = np.concatenate([flat, np.full((len(flat), 1), BIAS, np.float32)], axis=1)
    return flat[train], flat[test]


def _largest_eigenvalue(x: np.ndarray, weights: np.ndarray) -> float:
    """Of x' diag(weights) x / N, by power iteration; x (N, D), weights (N, 1)."""
    vector = np.ones((x.shape[1], 1), np.float32)
    value = 1.0
    for _ in range(20):
        vector = x.T @ (weights * (x @ vector)) / len(x)
        value = float(np.sqrt((vector * vector).sum()))
        vector /= value
    return 1.1 * value  # the iteration comes from below


def squeezenet(seed: int, options: list[str]) -> tuple[float, float]:
    """Train as a user does; test balanced accuracy after the last epoch, and minutes."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, "-m", "minicnn.train", "squeezenet", "--no-export"]
        command += ["--seed", str(seed)]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--out", str(run), *options], capture_output=True, text=True
        )
        minutes = (time.monotonic() - started) / 60
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        last = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    return json.loads(last)["test"]["balanced_accuracy"], minutes


def main() -> int:
    """Print one line per seed."""
    parser = argparse.ArgumentParser(description="Measure the generated set.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--no-train", action="store_true", help="softmax regression only")
    chosen, options = parser.parse_known_args()
    print("seed  majority  softmax regression  SqueezeNet  minutes")
    for seed in chosen.seeds:
        dataset = synthetic.generate(seed=seed)
        train, test = split(dataset.labels, dataset.lesions, dataset.classes, seed=seed)
        share = dataset.counts().max() / len(dataset)
        print(f"{seed:4}  {share:8.3f}", end="", flush=True)
        print(f"  {softmax_regression(dataset, train, test):18.3f}", end="", flush=True)
        if not chosen.no_train:
            accuracy, minutes = squeezenet(seed, options)
            print(f"  {accuracy:10.3f}  {minutes:7.1f}", end="")
        print(flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
