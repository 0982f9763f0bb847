"""Look at photographs: ``python -m minicnn.predict RUN-OR-FILE.tflite IMAGE...``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import kernels, runtime
from minicnn.data.images import BadImage, load
from minicnn.errors import Parser, UserError, command
from minicnn.runtime import Network

TOP = 3
REPEATS = 20  # single images behind the latency


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(
        prog="python -m minicnn.predict", description="The three likeliest classes of each image."
    )
    runtime.add_arguments(p)
    p.add_argument("images", metavar="IMAGE", nargs="+", help="a photograph: JPEG, PNG, ...")
    p.add_argument("--json", action="store_true", help="print one JSON array instead of text")
    args = p.parse_args(argv)
    network = runtime.load(args.network, args.runtime, args.delegate, args.threads)
    # all are read first: a bad one is reported before any answer is printed
    images = np.stack([_read(path, network.size) for path in args.images])
    with kernels.constant_weights():
        latency = network.latency(images, REPEATS)
        probabilities = [network.probabilities(image[None])[0] for image in images]
    answers = [
        {"image": path, "top": _top(network, values)}
        for path, values in zip(args.images, probabilities, strict=True)
    ]
    if args.json:
        ran = {"runtime": network.runtime, "latency_seconds": latency}
        print(json.dumps([answer | ran for answer in answers]))
        return 0
    print(runtime.text(network, latency, REPEATS))
    for answer in answers:
        ranked = "   ".join(f"{top['class']} {top['probability']:.3f}" for top in answer["top"])
        print(f"{answer['image']}:  {ranked}")
    return 0


def _read(path: str, size: tuple[int, int]) -> np.ndarray:
    try:
        return load(Path(path), size)
    except BadImage as reason:
        raise UserError(f"{path} cannot be read: {reason}") from None


def _top(network: Network, probabilities: np.ndarray) -> list[dict[str, Any]]:
    ranked = np.argsort(-probabilities, kind="stable")[:TOP]
    return [
        {"class": network.classes[i], "probability": round(float(probabilities[i]), 6)}
        for i in ranked
    ]


if __name__ == "__main__":
    raise SystemExit(main())
