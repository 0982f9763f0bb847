"""The thesis's four networks by name, fresh (``build``) or trained (``pretrained``)."""

from __future__ import annotations

import bisect
from pathlib import Path

import numpy as np

from minicnn import checkpoint
from minicnn.compress import channels
from minicnn.errors import UserError
from minicnn.layers import Sequential, Shape
from minicnn.layers.base import glorot_uniform
from models.alexnet import alexnet
from models.deepsqueeze import deepsqueeze
from models.son_of_deepsqueeze import son_of_deepsqueeze
from models.squeezenet import squeezenet

_BUILDERS = {
    "squeezenet": squeezenet,
    "deepsqueeze": deepsqueeze,
    "son_of_deepsqueeze": son_of_deepsqueeze,
    "alexnet": alexnet,
}
NAMES = tuple(_BUILDERS)
WEIGHTS = Path(__file__).with_name("weights")  # README.md there is the model card


def build(
    name: str,
    input_shape: Shape = (224, 224, 3),
    classes: int = 7,
    seed: int = 0,
    init: str = "he",
) -> Sequential:
    """A network with fresh weights.

    name         one of NAMES
    input_shape  (H, W, 3) of the images
    classes      width of the output
    seed         fixes the weights, and what dropout draws, bit for bit
    init         "he": He-normal weights, zero biases, and a head that starts with equal and live
                 logits; "glorot": Keras's defaults (Glorot-uniform, zero biases), as in the thesis

    ``forward`` gives logits (N, classes), ``predict`` probabilities. The gradient of the pixels is
    left out (see ``Layer.input_gradient``). ValueError for an unknown name, and for an image that
    is too small; the latter names the layer and the smallest side that works.
    """
    if name not in _BUILDERS:
        raise ValueError(f"no network is called {name!r}: choose one of {', '.join(NAMES)}")
    if init not in INITS:
        raise ValueError(f"no initialization is called {init!r}: choose one of {', '.join(INITS)}")
    if len(input_shape) != 3:
        raise ValueError(f"input_shape is {input_shape}, wanted (height, width, channels)")
    height, width, channels = input_shape
    if classes < 1 or channels < 1:
        raise ValueError(f"{classes} classes, {channels} channels: wanted at least one of each")
    try:
        net = _fitting(name, (height, width, channels), classes, seed)
    except ValueError as error:
        side = _smallest_side(name, channels, classes)
        raise ValueError(
            f"{name} does not fit {height}x{width} (H x W) images: {error}; "
            f"the smallest side that works is {side}"
        ) from None
    next(iter(net.layers.values())).input_gradient = False
    INITS[init](net, seed)
    net.seed_dropout(seed)
    return net


def pretrained(name: str = "squeezenet") -> Sequential:
    """A network with the trained weights that come with the project.

    For its classes, image size and normalization as well: ``minicnn.trained.load("squeezenet")``;
    every command takes the name in place of a run. ``weights/README.md`` says what it was trained
    on, how well it does and what it is not for. UserError for a network without weights.
    """
    path = released(name)
    if not path.is_relative_to(WEIGHTS):
        have = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*.npz")))
        raise UserError(f"no trained weights of {name!r} come with minicnn: there are {have}")
    state = checkpoint.load(path)
    shape = tuple(state.meta["input_shape"])
    net = build(state.meta["model"], shape, len(state.meta["classes"]))
    channels.resize(net, shape, state.params)
    state.load_into(net)
    return net


def released(name: str | Path) -> Path:
    """The file of that name that comes with the project, if there is no such path; else the path.

    "squeezenet" is squeezenet.npz, "squeezenet_int8.tflite" the file for the Edge TPU.
    """
    path = Path(name)
    if path.exists() or path.name != str(name):
        return path
    found = [file for file in (WEIGHTS / path, WEIGHTS / f"{path}.npz") if file.is_file()]
    return found[0] if found else path


HEAD_SCALE = 0.03  # a tenth left Deepsqueeze's first loss 26 % above ln 7 at one seed of six


def _he(net: Sequential, seed: int) -> None:
    """The layers draw He-normal weights themselves; what is left is the head.

    He's scale there gives logits of several units before anything is learned, and the ReLU that
    ends the squeezenets shuts off the classes whose logits come out negative: they get no gradient.
    So the head's weights start at HEAD_SCALE of it and, under a ReLU, its biases at 1.
    """
    head = [layer for layer in net.layers.values() if layer.params][-1]
    head.params["w"].value *= np.float32(HEAD_SCALE)
    if getattr(head, "relu", False):
        head.params["b"].value[:] = 1.0


def _glorot(net: Sequential, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for path, param in net.named_params().items():
        if path.endswith("/w"):
            param.value[...] = glorot_uniform(rng, param.value.shape)


INITS = {"he": _he, "glorot": _glorot}


def _fitting(name: str, shape: tuple[int, int, int], classes: int, seed: int) -> Sequential:
    net = _BUILDERS[name](shape, classes, np.random.default_rng(seed))
    net.out_shape(shape)
    return net


def _smallest_side(name: str, channels: int, classes: int) -> int:
    """Found by doubling, then halving: once a side fits, every larger one does."""

    def fits(side: int) -> bool:
        try:
            _fitting(name, (side, side, channels), classes, seed=0)
        except ValueError:
            return False
        return True

    side = 1
    while not fits(side):
        side *= 2
    return bisect.bisect_left(range(side), True, lo=side // 2, key=fits)
