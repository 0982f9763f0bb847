"""The simulator's interface; its exactness is in test_simulate_exact.py."""

from collections import Counter
from random import Random

import int8_graphs
import numpy as np
import pytest
from int8_graphs import Builder

from minicnn import kernels
from minicnn.compress.int8_nodes import ROWS
from minicnn.compress.simulate import Loops, Simulator, simulate
from minicnn.graph import Graph


@pytest.fixture(autouse=True)
def loops():
    with kernels.using("reference"):
        yield


def test_the_random_graphs_have_every_operation():
    nodes = Counter(
        node.op for seed in range(60) for node in int8_graphs.random_graph(Random(seed)).nodes
    )
    assert set(nodes) == set(ROWS)


def test_each_image_is_computed_on_its_own():
    graph = int8_graphs.random_graph(Random(7))
    x = int8_graphs.images(graph, 5)
    alone = [simulate(graph, x[n : n + 1]) for n in range(5)]
    np.testing.assert_array_equal(simulate(graph, x), np.concatenate(alone))


def test_run_gives_the_outputs_and_tensors_the_input_too():
    graph = int8_graphs.random_graph(Random(7))
    x, simulator = int8_graphs.images(graph, 2), Simulator(graph)
    tensors = simulator.tensors(x)
    assert set(tensors) == {graph.inputs[0], *(node.output for node in graph.nodes)}
    np.testing.assert_array_equal(tensors[graph.inputs[0]], x)
    (y,) = simulator.run(x)
    np.testing.assert_array_equal(y, tensors[graph.outputs[0]])


def test_the_fast_twin_runs_where_it_was_chosen_and_can():
    graph = int8_graphs.random_graph(Random(7))
    build = Builder(Random(0))
    x = build.input((2, 2, 1))
    build.graph.outputs = [build.like("ADD", (x, x), (2, 2, 1), activation="NONE")]
    with kernels.using("fast"):
        assert not isinstance(Simulator(graph)._runs, Loops)
        assert isinstance(Simulator(build.graph)._runs, Loops)


def small_graph() -> Graph:
    build = Builder(Random(3))
    x = build.input((4, 5, 3))
    build.graph.outputs = [build.conv(x, 2, (3, 3))]
    return build.graph


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((1, 4, 5, 4), np.int8),
        np.zeros((4, 5, 3), np.int8),
        np.zeros((1, 4, 5, 3), np.uint8),
        np.int8(0),
    ],
)
def test_an_input_of_another_shape_or_type_is_refused(x):
    with pytest.raises(ValueError, match=r"wanted \(N, 4, 5, 3\) int8, got"):
        simulate(small_graph(), np.asarray(x))


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="litert-2.3, tflite-runtime-2.14"):
        Simulator(small_graph(), "tflite")


def test_an_operation_without_a_row_is_named():
    build = Builder(Random(3))
    x = build.input((4, 5, 3))
    build.graph.outputs = [build.like("HARD_SWISH", (x,), (4, 5, 3))]
    with pytest.raises(LookupError, match="hard_swish0: no row for HARD_SWISH to simulate"):
        Simulator(build.graph)


def broken(change) -> Graph:
    graph = small_graph()
    change(graph, {tensor.name: tensor for tensor in graph.tensors})
    return graph


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda g, t: g.inputs.append(0), "one input"),
        (lambda g, t: setattr(t["input"], "shape", (2, 4, 5, 3)), "batch size of 1"),
        (lambda g, t: setattr(t["input"], "scale", None), "needs one scale"),
        (lambda g, t: setattr(t["input"], "shape", (1, 4, 5, 7)), "7 channels come in"),
        (lambda g, t: setattr(t["input"], "dtype", "int16"), "input: int16, wanted int8"),
        (lambda g, t: setattr(t["w"], "dtype", "uint8"), "wanted int8 weights"),
        (lambda g, t: t["w"].zero_point.__setitem__(0, 3), "zero point 0"),
        (lambda g, t: g.nodes[0].attrs.update(activation="TANH"), "NONE, RELU, RELU6"),
    ],
)
def test_a_graph_that_cannot_be_simulated_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        Simulator(broken(change))


def test_concatenation_wants_equal_scales():
    build = Builder(Random(3))
    x = build.input((2, 2, 3))
    y = build.conv(x, 2, (1, 1))
    build.graph.outputs = [build.like("CONCATENATION", (x, y), (2, 2, 5), axis=3)]
    with pytest.raises(ValueError, match="differ in scale or zero point"):
        Simulator(build.graph)
