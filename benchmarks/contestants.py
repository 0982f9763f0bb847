"""Who takes part: a table from a contestant's name to how its process is started."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field

# Large blocks stay with malloc instead of going back to the system and being mapped anew.
TUNED = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296"

PACKAGES = {
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "ai_edge_litert": "LiteRT (ai-edge-litert)",
}


@dataclass(frozen=True)
class Entry:
    """How to start a contestant.

    module, kind   file in this folder, and the class in it
    needs          packages by their import names
    environment    variables that are set for its process alone
    """

    name: str
    title: str
    module: str
    kind: str
    variant: str = ""
    needs: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def _torch(name: str, title: str, variant: str, **environment: str) -> Entry:
    needs = ("torch",)
    return Entry(name, title, "contestants_torch", "Torch", variant, needs, environment)


_TF = ("tensorflow", "keras")
_ALL = [
    Entry("minicnn", "minicnn", "contestants_minicnn", "Minicnn"),
    _torch("torch", "PyTorch eager", "eager"),
    _torch("torch-last", "PyTorch channels_last", "channels_last"),
    _torch("torch-malloc", "... and malloc tuned", "channels_last", GLIBC_TUNABLES=TUNED),
    Entry("keras", "Keras, tf.function", "contestants_keras", "Keras", "", _TF),
    Entry("litert", "LiteRT float", "contestants_litert", "LiteRT", "", ("ai_edge_litert", *_TF)),
]
CONTESTANTS = {entry.name: entry for entry in _ALL}
TRAINING = ("minicnn", "torch", "torch-last", "torch-malloc", "keras")
INFERENCE = ("minicnn", "torch", "torch-last", "keras", "litert")
START_UP = ("minicnn", "torch", "keras")

# OpenBLAS's threads spin for 2^26 clock ticks after a product, into the next contestant's turn
_SLEEP = {"OPENBLAS_THREAD_TIMEOUT": "20"}
SGEMM = Entry("sgemm", "sgemm", "contestants_limit", "Sgemm", environment=_SLEEP)
FMA = Entry("fma", "FMA in registers", "contestants_limit", "Fma")
TRIAD = Entry("triad", "memory triad", "contestants_limit", "Triad")


def installed(names: Sequence[str]) -> list[Entry]:
    """The entries whose packages are there; a printed line for each of the others."""
    found = []
    for entry in (CONTESTANTS[name] for name in dict.fromkeys(names)):
        missing = [package for package in entry.needs if not importlib.util.find_spec(package)]
        if missing:
            print(f"{PACKAGES[missing[0]]} is not installed: {entry.name} skipped")
        else:
            found.append(entry)
    return found
