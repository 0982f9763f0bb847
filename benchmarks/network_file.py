"""Write one of minicnn's networks so that other frameworks can build it; the harness calls this.

    python benchmarks/network_file.py NETWORK HxW FOLDER

leaves network.json (layers, FLOPs of a step) and weights.npz in FOLDER. It is a process of its
own because AlexNet's weights take half a gigabyte. All biases are random and the head has the
scale of the other layers, so that a mistake in a copy shows in the logits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from workload import CLASSES

import models
from minicnn.data.dataset import parse_size
from minicnn.errors import UserError, command
from minicnn.graph import from_layer, multiply_adds
from minicnn.layers import Layer, Sequential

# What a layer's twin in another framework has to know, beside its children and weights.
SETTINGS: dict[str, tuple[str, ...]] = {
    "Conv2D": ("out_channels", "kernel", "stride", "padding", "relu"),
    "Fire": (),
    "MaxPool2D": ("kernel", "stride", "padding"),
    "Dropout": ("rate",),
    "GlobalAvgPool2D": (),
    "Flatten": (),
    "Dense": ("out_features", "relu"),
}


def describe(layer: Layer) -> dict[str, Any]:
    """A layer as plain values; "inputs" is the number of channels or features that come in."""
    kind = type(layer).__name__
    if kind not in SETTINGS:
        raise LookupError(f"{layer.path}: no row for {kind} in {Path(__file__).name}")
    values = {name: getattr(layer, name) for name in SETTINGS[kind]}
    children = [describe(child) for _, child in layer.children()]
    if "w" in layer.params:
        values["inputs"] = layer.params["w"].value.shape[-1]
    return {"kind": kind, "path": layer.path, "children": children, **values}


def training_flops(net: Sequential, shape: tuple[int, int, int]) -> int:
    """Of a step, for one image: two for each multiply-add with a weight.

    Backward costs forward twice, for the weights' gradient and the input's; the first layer's
    input has none.
    """
    counts = multiply_adds(from_layer(net, shape))
    first = next(count for count in counts if count)
    return 2 * (3 * sum(counts) - first)


def fill(net: Sequential) -> None:
    """Random biases, and the head's weights at He's scale like the others."""
    rng = np.random.default_rng(1)
    params = net.named_params()
    for path, param in params.items():
        if path.endswith("/b"):
            param.value += np.float32(0.1) * rng.standard_normal(param.value.shape, np.float32)
    head = [path for path in params if path.endswith("/w")][-1]
    params[head].value *= np.float32(10)


@command
def main(argv: Sequence[str] | None = None) -> int:
    name, size, folder = sys.argv[1:] if argv is None else argv
    shape = (*parse_size(size), 3)
    try:
        net = models.build(name, shape, CLASSES)
    except ValueError as error:
        raise UserError(str(error)) from None
    fill(net)
    content = {
        "name": name,
        "shape": shape,
        "layers": [describe(layer) for layer in net.layers.values()],
        "training_flops": training_flops(net, shape),
    }
    Path(folder, "network.json").write_text(json.dumps(content), encoding="utf-8")
    weights = {path: param.value for path, param in net.named_params().items()}
    np.savez(Path(folder, "weights.npz"), **weights)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
