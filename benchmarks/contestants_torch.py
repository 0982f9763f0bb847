"""The contestant PyTorch, eager or in channels_last memory: see ``contestants.py``.

Written as torchvision writes SqueezeNet: ReLUs in place, dropout as a module. Only Flatten is
particular: it orders values as minicnn does, so that the weights after it fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from workload import CLASS_WEIGHTS, LR, MOMENTUM, Contestant, Layer, row

Weights = Mapping[str, np.ndarray]


def _copy(module: nn.Conv2d | nn.Linear, layer: Layer, weights: Weights) -> nn.Module:
    """The module with the layer's weights and, if it has one, its ReLU."""
    w, b = weights[f"{layer['path']}/w"], weights[f"{layer['path']}/b"]
    assert module.bias is not None
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.moveaxis(w, -1, 1)))  # OC, C, KH, KW
        module.bias.copy_(torch.from_numpy(b))
    return nn.Sequential(module, nn.ReLU(inplace=True)) if layer["relu"] else module


def _conv(layer: Layer, weights: Weights) -> nn.Module:
    sizes = layer["inputs"], layer["out_channels"], tuple(layer["kernel"]), tuple(layer["stride"])
    # "same" with a stride is refused by PyTorch itself
    return _copy(nn.Conv2d(*sizes, padding=layer["padding"]), layer, weights)


def _dense(layer: Layer, weights: Weights) -> nn.Module:
    return _copy(nn.Linear(layer["inputs"], layer["out_features"]), layer, weights)


def _max_pool(layer: Layer, weights: Weights) -> nn.Module:
    if layer["padding"] != "valid":
        raise LookupError(f"{layer['path']}: PyTorch's max-pooling has no TensorFlow 'same'")
    return nn.MaxPool2d(tuple(layer["kernel"]), tuple(layer["stride"]))


class Fire(nn.Module):
    """Squeeze, then both expands concatenated along the channels."""

    def __init__(self, layer: Layer, weights: Weights) -> None:
        super().__init__()
        convs = (_conv(child, weights) for child in layer["children"])
        self.squeeze, self.expand1, self.expand3 = convs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        s = self.squeeze(x)
        return torch.cat([self.expand1(s), self.expand3(s)], 1)


class RowsFlatten(nn.Module):
    """(N, C, H, W) to (N, H * W * C): free in channels_last, a small copy otherwise."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


MODULES: dict[str, Callable[[Layer, Weights], nn.Module]] = {
    "Conv2D": _conv,
    "Fire": Fire,
    "MaxPool2D": _max_pool,
    "Dropout": lambda layer, weights: nn.Dropout(layer["rate"]),
    "GlobalAvgPool2D": lambda *_: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "Flatten": lambda *_: RowsFlatten(),
    "Dense": _dense,
}


class Torch(Contestant):
    """variant is "eager" or "channels_last"."""

    def build(self) -> None:
        torch.set_num_threads(self.threads)
        last = self.variant == "channels_last"
        self.format = torch.channels_last if last else torch.contiguous_format
        layers, weights = self.network.layers, self.network.weights
        net = nn.Sequential(*(row(MODULES, layer)(layer, weights) for layer in layers))
        self.net = net.to(memory_format=self.format)  # type: ignore[call-overload]
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=LR, momentum=MOMENTUM)
        self.class_weights = torch.from_numpy(CLASS_WEIGHTS)

    def load(self, x: np.ndarray, labels: np.ndarray) -> None:
        images = torch.from_numpy(x).permute(0, 3, 1, 2)
        self.images = images.contiguous(memory_format=self.format)
        self.targets = torch.from_numpy(labels)

    def train_step(self) -> float:
        self.net.train()
        self.optimizer.zero_grad()
        logits = self.net(self.images)
        # "mean" would divide by the sum of the weights, not by the batch
        total = functional.cross_entropy(
            logits, self.targets, weight=self.class_weights, reduction="sum"
        )
        loss = total / len(self.targets)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def infer(self) -> np.ndarray:
        if self.net.training:
            self.net.eval()
        with torch.inference_mode():
            return self.net(self.images).numpy()
