"""A .tflite file run on photographs: what it answers, and which files are refused."""

import numpy as np
import pytest
from small_files import NAMES, SIZE, float_net, int8_net, refused, without_ends, write

from minicnn.errors import UserError
from minicnn.graph import Graph, Node, Tensor
from minicnn.runtime import Runner, load

litert = pytest.importorskip("ai_edge_litert.interpreter")


def interpreted(content: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = litert.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    rows = []
    for image in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(rows).astype(np.float64)


@pytest.mark.parametrize("runtime", ["litert", "simulator", "auto"])
def test_probabilities_are_those_of_the_runtime_itself(file, images, runtime):
    runner = Runner(file, runtime)
    assert runner.size == SIZE
    y = runner.probabilities(images)
    assert y.dtype == np.float32 and y.shape == (3, 7)
    wanted = interpreted(file.read_bytes(), images)
    atol = {"simulator": 16}.get(runtime, 0)  # of 256: LiteRT's default kernels round otherwise
    np.testing.assert_allclose(256 * y, wanted, atol=atol)


@pytest.mark.parametrize("io", ["input", "output"])
def test_an_int8_end_means_the_same_bytes(tmp_path, file, images, io):
    wanted = Runner(file).probabilities(images)
    (tmp_path / io).mkdir()
    changed = write(tmp_path / io, without_ends(io))
    np.testing.assert_array_equal(Runner(changed).probabilities(images), wanted)


def test_a_float_input_is_normalized_as_the_metadata_say(tmp_path, images):
    graph = float_net()
    path = write(tmp_path, graph, mean=100.0, std=50.0, input_dtype="float32")
    x = (images.astype(np.float32) - 100) / 50
    runner = Runner(path)
    np.testing.assert_allclose(
        256 * runner.probabilities(images), 256 * interpreted(path.read_bytes(), x), rtol=1e-6
    )
    assert not runner.note


def test_a_float_input_without_metadata_takes_bytes_over_255_and_says_so(tmp_path, images):
    path = write(tmp_path, float_net())
    runner = Runner(path)
    x = images.astype(np.float32) / 255
    np.testing.assert_allclose(
        runner.probabilities(images), interpreted(path.read_bytes(), x), rtol=1e-6
    )
    assert "bytes / 255" in runner.note


def test_softmax_of_the_logits_gives_the_probabilities_back(file, tmp_path, images):
    for runner in (Runner(file), Runner(write(tmp_path, float_net()))):
        p = runner.probabilities(images)
        logits = runner.logits(images)
        assert np.isfinite(logits).all()
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, p, atol=len(NAMES) / 512)
        np.testing.assert_array_equal(logits.argsort(kind="stable"), p.argsort(kind="stable"))


def test_a_zero_of_an_integer_output_counts_as_half_a_step(file, images, monkeypatch):
    runner = Runner(file)
    sure = np.float32([[1, 0, 0, 0, 0, 0, 0]])
    monkeypatch.setattr(runner, "probabilities", lambda images: sure)
    np.testing.assert_allclose(np.exp(runner.logits(images)), np.maximum(sure, 1 / 512), rtol=1e-6)


def test_latency_counts_single_images_without_the_first(file, images, monkeypatch):
    runner, seen = Runner(file, "simulator"), []
    clock = iter(np.cumsum([0, 9, 0, 1, 0, 2, 0, 3]))  # warming up takes 9
    monkeypatch.setattr("minicnn.runtime.runner.time.perf_counter", lambda: next(clock))
    monkeypatch.setattr(runner, "probabilities", lambda image: seen.append(image.shape))
    assert runner.latency(images, 3) == 2
    assert seen == [(1, *SIZE, 3)] * 4


# --- names of the classes


def test_names_come_from_the_metadata_else_from_labels_txt(tmp_path):
    path = write(tmp_path, int8_net())
    assert Runner(path).classes == tuple(f"class {i}" for i in range(7))
    assert not Runner(path).named
    beside = tmp_path / "labels.txt"
    beside.write_text("a\nb\nc\nd\ne\nf\ng\n")
    assert Runner(path).classes == tuple("abcdefg") and Runner(path).named
    assert Runner(write(tmp_path, int8_net(), labels=True)).classes == NAMES
    path = write(tmp_path, int8_net())
    beside.write_text("a\nb\n")
    refused(path, "labels.txt names 2 classes", "has 7")
    beside.write_bytes(b"\xff\xfe")
    refused(path, "labels.txt", "UTF-8")


def test_names_that_a_compiler_cut_off_are_those_of_labels_txt(tmp_path):
    path = write(tmp_path, int8_net(), labels=True)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"PK\x03\x04")])
    refused(path, "the labels appended to it are damaged")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\nf\ng\n")
    assert Runner(path).classes == tuple("abcdefg")


# --- files that are no classifiers of photographs


@pytest.mark.parametrize(
    ("shapes", "dtypes", "words"),
    [
        ([(1, 8, 8, 1), (1, 7)], ["uint8", "uint8"], ["(1, 8, 8, 1)", "one RGB image"]),
        ([(2, 8, 8, 3), (2, 7)], ["uint8", "uint8"], ["(2, 8, 8, 3)", "one RGB image"]),
        ([(1, 192), (1, 7)], ["uint8", "uint8"], ["(1, 192)", "one RGB image"]),
        ([(1, 8, 8, 3), (1, 8, 8, 7)], ["uint8", "uint8"], ["(1, 8, 8, 7)", "(1, classes)"]),
        ([(1, 8, 8, 3), (1, 7)], ["int16", "uint8"], ["input is int16", "uint8, int8, float32"]),
        ([(1, 8, 8, 3), (1, 7)], ["uint8", "int64"], ["output is int64"]),
    ],
)
def test_other_inputs_and_outputs_are_refused(tmp_path, shapes, dtypes, words):
    tensors = [Tensor(n, *both) for n, *both in zip("xy", shapes, dtypes, strict=True)]
    graph = Graph(tensors, [Node("RELU", (0,), (1,), "y")], [0], [1])
    refused(write(tmp_path, graph), *words)
    graph.outputs = [1, 1]
    refused(write(tmp_path, graph), "1 inputs and 2 outputs")


def test_a_file_that_the_runtime_cannot_run(tmp_path):
    tensors = [Tensor("x", (1, 8, 8, 3)), Tensor("y", (1, 7))]
    graph = Graph(tensors, [Node("FULLY_CONNECTED", (0,), (1,), "y")], [0], [1])
    refused(write(tmp_path, graph), "ai-edge-litert", "cannot run", "net.tflite")


def test_outputs_that_are_no_probabilities_are_refused(tmp_path, images):
    graph = float_net()
    graph.outputs = [graph.nodes.pop().inputs[0]]
    runner = Runner(write(tmp_path, graph))
    with pytest.raises(UserError, match="wanted probabilities, as a SOFTMAX"):
        runner.probabilities(images)


def test_metadata_that_cannot_normalize(tmp_path):
    path = write(tmp_path, float_net(), std=-1.0, input_dtype="float32")
    refused(path, "metadata normalize", "-1")


# --- load


def test_load_tells_files_from_runs(file, tmp_path):
    assert load(file).title == "net.tflite"
    (tmp_path / "x.tflite").write_bytes(b"no model")
    for path, words in [("x.tflite", "not a TFLite file"), ("none", "no run folder")]:
        with pytest.raises(UserError, match=words):
            load(tmp_path / path)


@pytest.mark.parametrize(("threads", "words"), [(0, "at least 1"), (10**6, "at most")])
def test_threads_that_cannot_be(file, threads, words):
    with pytest.raises(UserError, match=words):
        load(file, "simulator", threads=threads)
