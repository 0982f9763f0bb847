"""What the exporter writes, in the runtimes of old: the last tflite-runtime, and pycoral's.

The default kernels of these and of LiteRT round differently in places, so scores are compared
within a bound. Loading is the point: edgetpu_compiler begins by loading a file in such a runtime.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small_int8
import tflite_graphs
from old_runtimes import TFLITE_2_5, TFLITE_2_14, Environment, run_in
from small import ACCEPTED

import models
from exporters.convert import convert
from exporters.flatbuffer import serialize
from exporters.read import read
from minicnn.compress.compare import input_of
from minicnn.data import synthetic
from minicnn.data.augment import Normalization
from minicnn.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Fire,
    Flatten,
    MaxPool2D,
    ReLU,
    Sequential,
)
from minicnn.trained import Trained

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.slow  # the environments are built first

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
IMAGES = 8
# Steps of the output, a softmax's being 1/256, by kernel set: seen were 22 and, after
# FULLY_CONNECTED, whose rounding changed, 9. Without it the reference kernels give the same bits.
BOUND = {"AUTO": 32, "BUILTIN_WITHOUT_DEFAULT_DELEGATES": 32, "BUILTIN_REF": 16}
Made = tuple[bytes, np.ndarray]  # a file, and inputs (N, ...) for it


def exported(
    name: str, size: tuple[int, int], io: str = "uint8", count: int = IMAGES
) -> Callable[[], Made]:
    """One of the networks, untrained but with answers as far apart as trained ones are."""

    def make() -> Made:
        images = synthetic.generate(count=30, size=size, seed=1).images
        net = models.build(name, (*size, 3), len(CLASSES), seed=0)
        normalization = Normalization.of(images, np.arange(len(images)))
        head = [param for path, param in net.named_params().items() if path.endswith("w")][-1]
        logits = net.forward(normalization.apply(images[:count]))
        head.value *= 4 / logits.std(axis=1).mean()
        trained = Trained(net, name, CLASSES, size, normalization, None, None, Path("none"))
        converted = convert(trained, images, "minmax", io, refine=False)
        x = input_of(converted.quantized, converted.pixels, images[:count])
        return converted.int8_file(), x

    return make


def every_operation() -> Made:
    x = np.random.default_rng(0).integers(0, 256, (IMAGES, 16, 16, 3), np.uint8)
    return serialize(small_int8.net()), x


def every_layer() -> Made:
    """Every kind of layer that can be exported, with strides and paddings of both kinds."""
    layers = [
        ("conv", Conv2D(3, 8, (3, 2), stride=(2, 1), padding="same", relu=True, rng=0)),
        ("fire", Fire(8, 4, 6, rng=1)),
        ("max", MaxPool2D((3, 2), (2, 2))),
        ("conv2", Conv2D(12, 10, (3, 3), padding="valid", rng=2)),
        ("relu", ReLU()),
        ("average", AvgPool2D((2, 2), (1, 2))),
        ("drop", Dropout(0.5)),
        ("flat", Flatten()),
        ("dense", Dense(30, 16, relu=True, rng=3)),
        ("head", Dense(16, len(CLASSES), rng=4)),
    ]
    images = synthetic.generate(count=30, size=(20, 16), seed=1).images
    trained = Trained(
        Sequential(layers), "every", CLASSES, (20, 16), Normalization(), None, None, Path("none")
    )
    return convert(trained, images, "minmax", refine=False).int8_file(), images[:IMAGES]


def accepted(name: str, shape: tuple[int, ...]) -> Callable[[], Made]:
    """A file that Google's compiler is known to have taken."""

    def make() -> Made:
        path = ACCEPTED / f"{name}.tflite"
        if not path.exists():
            pytest.skip(f"{path.name} does not stand beside the checkout")
        x = np.random.default_rng(0).integers(0, 256, (IMAGES, *shape), np.uint8)
        return path.read_bytes(), x

    return make


FILES: dict[str, Callable[[], Made]] = {
    "squeezenet": exported("squeezenet", (224, 224)),
    "squeezenet int8": exported("squeezenet", (96, 64), "int8"),
    "squeezenet float32": exported("squeezenet", (64, 96), "float32"),
    "deepsqueeze": exported("deepsqueeze", (256, 256)),
    "son_of_deepsqueeze": exported("son_of_deepsqueeze", (256, 256)),
    "alexnet": exported("alexnet", (256, 256)),
    "alexnet of the thesis": exported("alexnet", (450, 600), count=2),
    "every layer": every_layer,
    "every operation": every_operation,
    "gabor": accepted("gabor_64x64_p4", (64, 64, 1)),
    "bright": accepted("bright_16x16", (16, 16, 1)),
}


@pytest.fixture(scope="module", params=FILES)
def made(request: pytest.FixtureRequest) -> Made:
    return FILES[request.param]()


def in_litert(content: bytes, x: np.ndarray, resolver: str) -> np.ndarray:
    """The output for each input, in steps."""
    from ai_edge_litert.interpreter import OpResolverType

    rows = [tflite_graphs.run(content, image[None], OpResolverType[resolver]) for image in x]
    return in_steps(np.concatenate([y for (y,) in rows]))


def in_steps(y: np.ndarray) -> np.ndarray:
    """Of 1/256 where it is floats; else they are steps already."""
    return y.astype(np.float64) * (256 if y.dtype == np.float32 else 1)


@pytest.mark.parametrize("environment", [TFLITE_2_14, TFLITE_2_5], ids=lambda e: e.name)
@pytest.mark.parametrize("resolver", list(BOUND))
def test_an_old_runtime_answers_as_litert_does(
    made: Made, environment: Environment, resolver: str
) -> None:
    content, x = made
    (y,) = run_in(environment, content, x, resolver)
    old, new = in_steps(y), in_litert(content, x, resolver)
    same_rounding = all(node.op != "FULLY_CONNECTED" for node in read(content).graph.nodes)
    bound = 0 if resolver == "BUILTIN_REF" and same_rounding else BOUND[resolver]
    assert old.shape == new.shape
    assert np.abs(old - new).max() <= bound
    if new.ndim == 2:
        second, first = np.sort(new, axis=1)[:, -2:].T
        clear = first - second > bound
        assert clear.any()  # or the answers say nothing
        assert (old.argmax(axis=1) == new.argmax(axis=1))[clear].all()


def test_a_file_that_does_not_load_is_told_with_the_runtimes_words() -> None:
    content, x = every_operation()
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run_in(TFLITE_2_14, content[:2000], x)
    assert failure.value.stderr
