"""Which runtime runs a file, and what it says where that one is not to be had."""

import ctypes
import ctypes.util
import sys
import types

import numpy as np
import pytest
from small_files import float_net, int8_net, refused, write
from small_int8 import as_file

from minicnn.errors import UserError
from minicnn.graph import Node
from minicnn.runtime import Runner, engines

litert = pytest.importorskip("ai_edge_litert.interpreter")

PACKAGES = ("pycoral", "ai_edge_litert", "tflite_runtime")


def hide(monkeypatch, *packages):
    """As if they were not installed."""
    for package in packages:
        for name in (package, f"{package}.interpreter"):
            monkeypatch.setitem(sys.modules, name, None)


def test_auto_takes_the_first_runtime_there_is(file, monkeypatch):
    monkeypatch.delitem(sys.modules, "pycoral", raising=False)
    assert Runner(file).runtime.startswith("ai-edge-litert 2")
    stand_in_tflite_runtime(monkeypatch)
    hide(monkeypatch, "ai_edge_litert")
    assert Runner(file).runtime == "tflite-runtime 2.17.1"
    hide(monkeypatch, "tflite_runtime")
    assert Runner(file).runtime == "minicnn's int8 simulator"


def stand_in_tflite_runtime(monkeypatch, version="2.17.1"):
    """LiteRT under the older package's name: they have the same interface."""
    package = types.ModuleType("tflite_runtime")
    package.__version__ = version
    monkeypatch.setitem(sys.modules, "tflite_runtime", package)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", litert)


@pytest.mark.parametrize("version", ["2.14.0", "2.5.0.post1"])
def test_a_tflite_runtime_built_for_numpy_1_is_passed_over(file, monkeypatch, version):
    stand_in_tflite_runtime(monkeypatch, version)
    monkeypatch.setattr("minicnn.runtime.engines.np.__version__", "1.26.4")
    assert Runner(file, "tflite-runtime").runtime == f"tflite-runtime {version}"
    monkeypatch.setattr("minicnn.runtime.engines.np.__version__", "2.4.6")
    refused(file, f"{version} is built for NumPy 1", "pip install", runtime="tflite-runtime")
    hide(monkeypatch, "ai_edge_litert")
    assert Runner(file).runtime == "minicnn's int8 simulator"


@pytest.mark.parametrize("runtime", ["pycoral", "litert", "tflite-runtime"])
def test_a_missing_runtime_says_how_to_install_it(file, monkeypatch, runtime):
    hide(monkeypatch, *PACKAGES)
    # never minicnn[...], which outside a checkout would bring PyPI's other project of that name
    hints = {
        "pycoral": "docs/coral.md",
        "litert": "pip install 'ai-edge-litert",
        "tflite-runtime": "pip install tflite-runtime 'numpy<2'",
    }
    hint = hints[runtime]
    refused(file, f"{runtime} is not installed", hint, runtime=runtime)


def test_another_project_called_pycoral_is_not_googles(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycoral", types.ModuleType("pycoral"))
    refused(file, "PyPI's pycoral is another project", runtime="pycoral")
    assert Runner(file).runtime.startswith("ai-edge-litert")


def fake_pycoral(monkeypatch, devices):
    """No real pycoral: its two functions that are used, over LiteRT's interpreter."""
    package, utils = types.ModuleType("pycoral"), types.ModuleType("pycoral.utils")
    package.__version__ = "2.0.0"
    utils.edgetpu = types.ModuleType("pycoral.utils.edgetpu")
    utils.edgetpu.list_edge_tpus = lambda: devices
    utils.edgetpu.make_interpreter = lambda content: litert.Interpreter(model_content=content)
    modules = {"pycoral": package, "pycoral.utils": utils, "pycoral.utils.edgetpu": utils.edgetpu}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def test_pycoral_runs_a_file_if_a_device_is_present(file, images, monkeypatch):
    wanted = Runner(file, "litert").probabilities(images)
    fake_pycoral(monkeypatch, [{"type": "usb", "path": "/sys/bus/usb/devices/2-1"}])
    runner = Runner(file, threads=2)
    assert runner.runtime == "pycoral 2.0.0, Edge TPU on usb"
    assert "not compiled for the Edge TPU" in runner.note and "threads" in runner.note
    np.testing.assert_array_equal(runner.probabilities(images), wanted)
    refused(file, "pycoral brings its own", runtime="pycoral", delegate="libedgetpu.so.1")
    # auto passes pycoral over where a delegate is asked for
    refused(file, "ai-edge-litert", "cannot load", delegate="no-such-library.so")


def test_pycoral_without_a_device_is_passed_over(file, monkeypatch):
    fake_pycoral(monkeypatch, [])
    assert Runner(file).runtime.startswith("ai-edge-litert")
    refused(file, "finds no Edge TPU", runtime="pycoral")


# --- delegates, compiled files


def test_a_delegate_is_loaded_and_given_to_the_interpreter(file, monkeypatch):
    given = {}

    def interpreter(model_content, **settings):
        given.update(settings)
        return real(model_content=model_content)

    real = litert.Interpreter
    library = types.SimpleNamespace(tflite_plugin_create_delegate=None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(litert, "load_delegate", lambda name: ("loaded", name))
    monkeypatch.setattr(litert, "Interpreter", interpreter)
    runner = Runner(file, delegate="libedgetpu.so.1", threads=3)
    assert given["experimental_delegates"] == [("loaded", "libedgetpu.so.1")]
    assert given["num_threads"] == 3
    assert runner.runtime.endswith(", delegate libedgetpu.so.1")


def test_a_delegate_that_cannot_be_loaded(file, capfd):
    refused(file, "no-such.so", "cannot load it", delegate="no-such.so")
    refused(file, "no-such.so", delegate="no-such.so", runtime="litert")
    refused(file, "the simulator takes none", delegate="no-such.so", runtime="simulator")
    no_delegate = ctypes.util.find_library("m")
    refused(file, "tflite_plugin_create_delegate", delegate=no_delegate)
    assert not capfd.readouterr().err  # no traceback beside the one line


def test_no_runtime_that_takes_a_delegate(file, monkeypatch):
    hide(monkeypatch, *PACKAGES)
    refused(file, "no runtime that loads a delegate", "ai-edge-litert", delegate="x.so")


@pytest.mark.parametrize("runtime", ["auto", "litert", "simulator"])
def test_a_compiled_file_wants_the_device(runtime):
    graph = int8_net()
    ends = tuple(graph.inputs), tuple(graph.outputs)
    graph.nodes = [Node("CUSTOM:edgetpu-custom-op", *ends, "all")]
    with pytest.raises(UserError, match="compiled for the Edge TPU.*pycoral.*--delegate"):
        engines.start(as_file(graph), engines.Settings(runtime))


def test_the_simulator_says_that_it_runs_int8_files_only(tmp_path, monkeypatch):
    path = write(tmp_path, float_net())
    refused(path, "int8 files", "ai-edge-litert", runtime="simulator")
    hide(monkeypatch, *PACKAGES)
    refused(path, "int8 files", "ai-edge-litert")
