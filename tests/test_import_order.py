"""Who may import whom: ARCHITECTURE.md's order, read from the source and enforced."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("minicnn", "models", "exporters")

# Lowest first. A module imports from lower levels only; modules of one level leave each other
# alone. An entry that is a folder stands for all in it, and inside one folder all is allowed.
LEVELS = [
    ["minicnn.errors"],  # everybody's
    ["minicnn.files"],  # writing a file in one step
    ["minicnn.kernels"],
    ["minicnn.layers"],  # below optim, which needs Param
    ["minicnn.loss", "minicnn.optim", "minicnn.weight_average", "minicnn.metrics", "minicnn.data"],
    ["minicnn.recipes"],  # what fills in the settings that are left open
    ["minicnn.config"],  # settings: it checks them against data's
    ["minicnn.graph", "minicnn.checkpoint", "minicnn.evaluation"],
    ["minicnn.preparation", "minicnn.runfolder"],
    ["minicnn.compress", "minicnn.report"],
    ["minicnn.explain"],  # reads its maps out of int8 graphs as well
    ["models"],
    ["minicnn.trained"],  # a network out of a run folder: exporters and commands begin with it
    # the same for a run that goes on, or begins with trained weights; what a run was trained on
    ["minicnn.starting", "minicnn.own_data"],
    ["exporters"],
    ["minicnn.runtime"],
    [
        "minicnn.training",
        "minicnn.image_set",
        "minicnn.shares",
    ],  # above exporters, which must never import it
    ["minicnn.train", "minicnn.evaluate", "minicnn.predict"],
    ["minicnn.prune"],  # retrains as train does
    ["minicnn.experiments"],  # runs the other commands
]
PLACE = {entry: level for level, entries in enumerate(LEVELS) for entry in entries}
PLACE["minicnn"] = -1  # minicnn/__init__.py holds the version and imports nothing

# What the library stands in for, or is compared with: never a dependency of it.
FRAMEWORKS = {"tensorflow", "keras", "torch", "torchvision", "jax", "tensorflow_datasets"}


def source_files():
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source, package):
    """Every module a source may import, also inside functions; ``from a import b`` gives a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def entry(module):
    """The longest entry of the table that the module belongs to; None if it has no place."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in PLACE), None)


def problems(module, package, source):
    """What is wrong with a module's imports, as sentences."""
    own = entry(module)
    if own is None or (own == "minicnn" and module != "minicnn"):
        yield f"{module} is in no level: place it in LEVELS of {Path(__file__).name}"
        return
    for imported in imports(source, package):
        if imported.split(".")[0] in FRAMEWORKS:
            yield f"{module} imports {imported}: the library must run without it"
        if imported.split(".")[0] not in FOLDERS:
            continue
        other = entry(imported)
        if other != own and PLACE[other] >= PLACE[own]:
            yield f"{module} imports {imported}, which is not below it"


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_imports_point_downwards(path):
    module = module_name(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = list(problems(module, package, path.read_text()))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("minicnn.layers.conv", "import minicnn.graph"),
        ("minicnn.layers.conv", "from minicnn.graph import Graph"),
        ("minicnn.layers.conv", "from minicnn import graph"),
        ("minicnn.layers.conv", "from .. import graph"),
        ("minicnn.layers.conv", "from ..graph import Graph"),
        ("minicnn.layers.conv", "def later():\n    from models import build"),
        ("minicnn.loss", "from minicnn import metrics"),  # neighbours
        ("minicnn.loss", "from . import metrics"),
        ("exporters.tflite", "from minicnn.train import train"),
        ("models", "import exporters.tflite"),
        ("minicnn.runtime", "import numpy, tensorflow.lite as tf"),
        ("minicnn.report", "from torch import nn"),
        ("minicnn.brand_new", "import numpy"),
    ],
)
def test_the_check_finds(module, source):
    assert list(problems(module, module.rpartition(".")[0] or module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("minicnn.layers.conv", "from minicnn import kernels\nfrom minicnn.layers.base import L"),
        ("minicnn.layers.conv", "from . import base\nfrom ..kernels import use\nimport numpy.fft"),
        ("minicnn.kernels.fast_conv", "from minicnn.errors import UserError"),
        ("minicnn.data.cache", "from minicnn import __version__"),
        ("exporters.tflite", "from minicnn.graph import Node\nimport models"),
        ("minicnn.train", "import exporters.tflite\nfrom minicnn.optim import SGD"),
    ],
)
def test_the_check_allows(module, source):
    assert not list(problems(module, module.rpartition(".")[0], source))
