"""Look at photographs: ``python -m minicnn.predict RUN IMAGE...``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import trained
from minicnn.data.images import BadImage, load
from minicnn.errors import Parser, UserError, command
from minicnn.trained import Trained

TOP = 3


@command
def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(
        prog="python -m minicnn.predict", description="The three likeliest classes of each image."
    )
    p.add_argument("run", metavar="RUN", help="a run folder (its last.npz), or an .npz file")
    p.add_argument("images", metavar="IMAGE", nargs="+", help="a photograph: JPEG, PNG, ...")
    p.add_argument("--json", action="store_true", help="print one JSON array instead of text")
    args = p.parse_args(argv)
    network = trained.load(args.run)
    # all are read first: a bad one is reported before any answer is printed
    images = [_read(path, network.size) for path in args.images]
    answers = [
        _answer(network, path, image) for path, image in zip(args.images, images, strict=True)
    ]
    if args.json:
        print(json.dumps(answers))
        return 0
    for answer in answers:
        ranked = "   ".join(f"{top['class']} {top['probability']:.3f}" for top in answer["top"])
        print(f"{answer['image']}:  {ranked}")
    return 0


def _read(path: str, size: tuple[int, int]) -> np.ndarray:
    try:
        return load(Path(path), size)
    except BadImage as reason:
        raise UserError(f"{path} cannot be read: {reason}") from None


def _answer(network: Trained, path: str, image: np.ndarray) -> dict[str, Any]:
    (probabilities,) = network.probabilities(image[None])
    ranked = np.argsort(-probabilities, kind="stable")[:TOP]
    top = [
        {"class": network.classes[i], "probability": round(float(probabilities[i]), 6)}
        for i in ranked
    ]
    return {"image": path, "top": top}


if __name__ == "__main__":
    raise SystemExit(main())
