"""The runtimes that can run a .tflite file, each opened by its row of ``OPEN``."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from exporters.container import File
from minicnn.compress.simulate import Simulator
from minicnn.errors import UserError

COMPILED = "CUSTOM:edgetpu-custom-op"  # what edgetpu_compiler puts in place of what it mapped
AUTO = "auto"
LAST_FOR_NUMPY_1 = 2, 14  # tflite-runtime's version


class Unavailable(UserError):
    """A runtime that is not installed here, or has no device; ``auto`` goes on to the next."""


@dataclass(frozen=True)
class Engine:
    """A file made ready to run.

    name    the runtime, for people
    invoke  x (N, H, W, 3) in the input's dtype to y (N, classes) in the output's
    note    what the user should know of it, or ""
    """

    name: str
    invoke: Callable[[np.ndarray], np.ndarray]
    note: str = ""


@dataclass(frozen=True)
class Settings:
    """How to run: a row of ``OPEN`` or "auto"; a delegate's library; threads, None for any."""

    runtime: str = AUTO
    delegate: str | None = None
    threads: int | None = None


def start(file: File, settings: Settings) -> Engine:
    """Make a file ready to run.

    "auto" takes the first runtime there is, in the order of ``OPEN``; with a delegate, the first
    that can load one. UserError where none is, or where it cannot run the file.
    """
    if settings.runtime != AUTO:
        return OPEN[settings.runtime](file, settings)
    for name in TAKES_DELEGATE if settings.delegate else OPEN:
        try:
            return OPEN[name](file, settings)
        except Unavailable:
            continue
    raise UserError(f"no runtime that loads a delegate is installed: {INSTALL['litert']}")


def use_threads(threads: int | None) -> None:
    """Let minicnn's own kernels use so many threads, all of them by default.

    UserError for less than one, and for more than the machine runs.
    """
    if threads is not None and threads < 1:
        raise UserError(f"--threads {threads}: wanted a whole number of at least 1")
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if threads is not None and threads > most:
        raise UserError(f"--threads {threads}: this machine runs at most {most}")
    numba.set_num_threads(most if threads is None else threads)


def _pycoral(file: File, settings: Settings) -> Engine:
    """Google's pycoral: a TFLite interpreter that its own libedgetpu is attached to."""
    if settings.delegate:
        raise UserError("--delegate: pycoral brings its own; leave it out or take another runtime")
    edgetpu = _module("pycoral", "pycoral.utils.edgetpu")
    devices = edgetpu.list_edge_tpus()
    if not devices:
        raise Unavailable("pycoral finds no Edge TPU: is it plugged in? (docs/coral.md)")
    name = f"{_named('pycoral', 'pycoral')}, Edge TPU on {devices[0]['type']}"
    notes = []
    if not _compiled(file):
        notes.append("the file is not compiled for the Edge TPU: all of it runs on the processor")
    if settings.threads is not None:
        notes.append("pycoral has no setting for threads")
    invoke = _ready(file, name, lambda: edgetpu.make_interpreter(file.content))
    return Engine(name, invoke, "; ".join(notes))


def _litert(file: File, settings: Settings) -> Engine:
    return _interpreter(file, settings, "litert", "ai-edge-litert", "ai_edge_litert")


def _tflite_runtime(file: File, settings: Settings) -> Engine:
    version = _module("tflite-runtime", "tflite_runtime").__version__
    numbers = tuple(int(number) for number in version.split(".")[:2])
    if numbers <= LAST_FOR_NUMPY_1 and not np.__version__.startswith("1."):
        # it could be imported, but its first use fails after a page of NumPy's warnings
        message = f"tflite-runtime {version} is built for NumPy 1: {INSTALL['tflite-runtime']}"
        raise Unavailable(message)
    return _interpreter(file, settings, "tflite-runtime", "tflite-runtime", "tflite_runtime")


def _interpreter(file: File, settings: Settings, runtime: str, title: str, package: str) -> Engine:
    """TFLite's interpreter, which both packages have under the same names."""
    module = _module(runtime, f"{package}.interpreter")
    if settings.delegate is None:
        _refuse_compiled(file)
    name = _named(title, package)
    options: dict[str, Any] = {"num_threads": settings.threads}
    if settings.delegate is not None:
        options["experimental_delegates"] = [_delegate(module, settings.delegate, title)]
        name += f", delegate {settings.delegate}"
    make = functools.partial(module.Interpreter, model_content=file.content, **options)
    return Engine(name, _ready(file, name, make))


def _simulator(file: File, settings: Settings) -> Engine:
    """minicnn's own integer arithmetic, for machines without any runtime."""
    if settings.delegate:
        raise UserError(f"--delegate: the simulator takes none; take litert: {INSTALL['litert']}")
    _refuse_compiled(file)
    use_threads(settings.threads)
    try:
        simulator = Simulator(file.graph)
    except (LookupError, ValueError) as reason:
        raise UserError(
            f"{file.name}: minicnn's simulator runs int8 files of its own operations only "
            f"({reason}); for this one: {INSTALL['litert']}"
        ) from None
    return Engine("minicnn's int8 simulator", lambda x: simulator.run(x)[0])


# In the order in which "auto" tries them.
OPEN: dict[str, Callable[[File, Settings], Engine]] = {
    "pycoral": _pycoral,
    "litert": _litert,
    "tflite-runtime": _tflite_runtime,
    "simulator": _simulator,
}
TAKES_DELEGATE = ("litert", "tflite-runtime")
INSTALL = {
    "pycoral": "see docs/coral.md (PyPI's pycoral is another project)",
    "litert": "pip install 'ai-edge-litert>=2,<3'",
    "tflite-runtime": "pip install tflite-runtime 'numpy<2' (Python 3.11 or older)",
}


def _module(runtime: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as reason:
        message = f"the runtime {runtime} is not installed ({reason}): {INSTALL[runtime]}"
        raise Unavailable(message) from None


def _named(title: str, package: str) -> str:
    version = getattr(importlib.import_module(package), "__version__", "")
    return f"{title} {version}".rstrip()


def _delegate(module: Any, library: str, title: str) -> Any:
    try:
        # asked beforehand, for a failure of load_delegate's own also prints a traceback
        ctypes.CDLL(library).tflite_plugin_create_delegate  # noqa: B018
        return module.load_delegate(library)
    except (OSError, AttributeError, ValueError) as reason:
        raise UserError(f"--delegate {library}: {title} cannot load it: {reason}") from None


def _ready(file: File, name: str, make: Callable[[], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """``Engine.invoke`` of an interpreter: it takes one image at a time."""
    try:
        interpreter = make()
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as reason:
        raise UserError(f"{name} cannot run {file.name}: {reason}") from None
    x_index = interpreter.get_input_details()[0]["index"]
    y_index = interpreter.get_output_details()[0]["index"]

    def invoke(x: np.ndarray) -> np.ndarray:
        rows = []
        for image in x:
            interpreter.set_tensor(x_index, image[None])
            interpreter.invoke()
            rows.append(interpreter.get_tensor(y_index))
        return np.concatenate(rows)

    return invoke


def _compiled(file: File) -> bool:
    return any(node.op == COMPILED for node in file.graph.nodes)


def _refuse_compiled(file: File) -> None:
    if _compiled(file):
        raise UserError(
            f"{file.name} is compiled for the Edge TPU and runs on the device only: through "
            "pycoral, or with --delegate libedgetpu.so.1 (docs/coral.md)"
        )
