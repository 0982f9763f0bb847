"""Networks as the commands use them: bytes of photographs in, probabilities out.

A float network and a .tflite file look the same from here.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

import minicnn
import models
from exporters.read import read
from minicnn import trained
from minicnn.errors import Parser, UserError
from minicnn.runfolder import RunFolder
from minicnn.runtime import ends, engines
from minicnn.runtime.engines import AUTO, Settings
from minicnn.trained import Trained

SLACK = 1e-3  # by which a probability may leave [0, 1] for rounding


class Network(ABC):
    """A classifier of RGB photographs.

    path     the file it is in
    title    what to call it: the network's or the file's name
    runtime  what runs it, with its version
    note     what the user should know of how it runs, or ""
    size     (H, W) of the photographs it takes
    classes  names, in the order of its outputs; ``named`` is False where they are made up
    """

    path: Path
    title: str
    runtime: str
    note: str = ""
    size: tuple[int, int]
    classes: tuple[str, ...]
    named: bool = True

    @abstractmethod
    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(N, classes) float32 for uint8 RGB images (N, H, W, 3) of ``size``."""

    @abstractmethod
    def logits(self, images: np.ndarray) -> np.ndarray:
        """Scores (N, classes) whose softmax are the probabilities."""

    @abstractmethod
    def origin(self) -> Trained | None:
        """The training run it comes from, where that is known."""

    def latency(self, images: np.ndarray, repeats: int = 20) -> float:
        """Median seconds for one image, from bytes to probabilities.

        images (N, H, W, 3) take turns, ``repeats`` in all; one more comes first, to warm up.
        """
        seconds = []
        for at in range(repeats + 1):
            image = images[at % len(images)][None]
            began = time.perf_counter()
            self.probabilities(image)
            seconds.append(time.perf_counter() - began)
        return float(np.median(seconds[1:]))


class FloatNetwork(Network):
    """The network of a checkpoint, in float32 by minicnn's own kernels."""

    def __init__(self, network: Trained) -> None:
        self._network = network
        self.path, self.title = network.path, network.model
        self.runtime = f"minicnn {minicnn.__version__}, float32"
        self.size, self.classes = network.size, network.classes

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        return self._network.probabilities(images)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self._network.net.forward(self._network.normalization.apply(images))

    def origin(self) -> Trained:
        return self._network


class Runner(Network):
    """A .tflite file, by one of the runtimes.

    runtime   "pycoral", "litert", "tflite-runtime", "simulator", or "auto": the first of them
              there is, pycoral only with a device
    delegate  a library to load into it, such as libedgetpu.so.1
    threads   of the processor; None leaves it to the runtime

    Raw bytes go in: as they are where the input is uint8, less 128 where it is int8; where it is
    float32, normalized as the file's TFLite metadata say, or divided by 255. Names of the classes
    come from the metadata, else from labels.txt beside the file.

    Raises UserError for a file that cannot be read or is no classifier of RGB photographs, and for
    a runtime, device or delegate that is not to be had.
    """

    def __init__(
        self,
        path: str | Path,
        runtime: str = AUTO,
        delegate: str | None = None,
        threads: int | None = None,
    ) -> None:
        file = read(path)
        x, self._y = ends.find(file)
        self.path = Path(path)
        self.title = self.path.name
        self.size = (x.shape[1], x.shape[2])
        names = ends.labels(file, self.path, self._y.shape[1])
        self.named = names is not None
        self.classes = names or tuple(f"class {number}" for number in range(self._y.shape[1]))
        self._convert, note = ends.conversion(file, x)
        engine = engines.start(file, Settings(runtime, delegate, threads))
        self._invoke, self.runtime = engine.invoke, engine.name
        self.note = "; ".join(filter(None, (note, engine.note)))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """As :meth:`Network.probabilities`; UserError where the file's outputs are none."""
        y = self._y.real(self._invoke(self._convert(images)))
        if not (y.min() >= -SLACK and y.max() <= 1 + SLACK):
            raise UserError(
                f"{self.path}: its outputs reach from {y.min():.3g} to {y.max():.3g}; wanted "
                "probabilities, as a SOFTMAX or LOGISTIC at the end gives them"
            )
        return y

    def logits(self, images: np.ndarray) -> np.ndarray:
        """ln of the probabilities. An integer output's 0 counts as half a step, for ln 0 is none;
        the softmax then shares out the little that the row has too much.
        """
        steps = self._y.scale
        least = float(np.finfo(np.float32).tiny) if steps is None else float(steps[0]) / 2
        return np.log(np.maximum(self.probabilities(images), least))

    def origin(self) -> Trained | None:
        """The run whose folder the file stands in, if it takes the same images and classes.

        Beside released weights that is NAME.npz, for NAME_int8.tflite.
        """
        folder, released = self.path.absolute().parent, self.path.stem.removesuffix("_int8")
        found = [p for p in (RunFolder(folder).last, folder / f"{released}.npz") if p.exists()]
        if not found:
            return None
        network = trained.load(found[0])
        same = (network.size, network.classes) == (self.size, self.classes)
        return network if same else None


def load(
    path: str | Path,
    runtime: str | None = None,
    delegate: str | None = None,
    threads: int | None = None,
) -> Network:
    """A .tflite file, or the float network of a run folder or an .npz file.

    The further arguments are :class:`Runner`'s; a float network has but ``threads``.
    """
    if threads is not None and threads < 1:
        raise UserError(f"--threads {threads}: wanted a whole number of at least 1")
    if Path(path).suffix == ".tflite":
        return Runner(models.released(path), runtime or AUTO, delegate, threads)
    if runtime or delegate:
        flag = "--runtime" if runtime else "--delegate"
        raise UserError(f"{flag} is for .tflite files: python -m exporters.tflite {path} makes one")
    network = FloatNetwork(trained.load(path))
    engines.use_threads(threads)
    return network


def add_arguments(p: Parser) -> None:
    """What the commands ask of :func:`load`: a network, and how to run it."""
    p.add_argument(
        "network",
        metavar="RUN",
        help="a run folder (its last.npz), an .npz or .tflite file, or squeezenet: our own weights",
    )
    names = (AUTO, *engines.OPEN)
    p.add_argument("--runtime", choices=names, help="what runs a .tflite file (the first there is)")
    p.add_argument("--delegate", metavar="PATH", help="a library for it, as libedgetpu.so.1")
    p.add_argument("--threads", type=int, metavar="N", help="processor threads")


def text(network: Network, latency: float, repeats: int) -> str:
    """How a network runs, as lines for people; latency in seconds."""
    lines = [
        f"runtime           {network.runtime}",
        f"latency           {1000 * latency:.2f} ms an image, the median of {repeats}",
    ]
    if network.note:
        lines.append(f"note              {network.note}")
    return "\n".join(lines)
