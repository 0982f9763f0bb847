"""Each broken rule is found, by its own id and no other: in small graphs and in accepted files."""

from __future__ import annotations

import copy

import pytest
import small_int8
from edgetpu_mutations import MUTATIONS, Mutation
from small import ACCEPTED

from exporters import edgetpu
from exporters.container import File
from exporters.edgetpu.rules import REFUSED, RULES, UNMAPPED, WARNING
from exporters.edgetpu.verdict import Verdict
from exporters.read import read
from minicnn.graph import Graph

INT8 = (
    "tf2_mobilenet_v2_1.0_224_ptq",
    "mobilenet_edgetpu_0.75_224_post_training_quant",
    "bright_16x16",
    "gabor_64x64_p4",
)
NET = small_int8.net()
IN_NET = {name: m for name, m in MUTATIONS.items() if m.op in {node.op for node in NET.nodes}}


def rules(verdict: Verdict) -> set[str]:
    return {finding.rule for finding in verdict.findings}


def assert_found(verdict: Verdict, mutation: Mutation) -> None:
    assert {mutation.rule} <= rules(verdict) <= {mutation.rule} | mutation.also
    severity = RULES[mutation.rule].severity
    if not mutation.also:
        assert verdict.mapped == (severity == WARNING)
        assert verdict.refused == (severity == REFUSED)
    if severity == UNMAPPED:
        assert RULES[mutation.rule].status in {o.status for o in verdict.operations}


def mutated(graph: Graph, mutation: Mutation) -> Graph:
    graph = copy.deepcopy(graph)
    mutation.change(graph)
    return graph


@pytest.mark.parametrize("name", IN_NET)
def test_a_mutation_of_a_graph_is_found_by_its_own_rule(name: str) -> None:
    mutation = IN_NET[name]
    verdict = edgetpu.check(small_int8.as_file(mutated(NET, mutation)))
    assert_found(verdict, mutation)


@pytest.mark.parametrize("name", [name for name, m in IN_NET.items() if m.writable])
def test_a_mutation_that_was_written_and_read_is_found(name: str) -> None:
    mutation = IN_NET[name]
    assert_found(edgetpu.check(small_int8.written(mutated(NET, mutation))), mutation)


def accepted(name: str) -> File:
    path = ACCEPTED / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there, a model that edgetpu_compiler accepted")
    return read(path)


@pytest.mark.parametrize("name", INT8)
def test_mutations_of_accepted_files_are_found(name: str) -> None:
    file = accepted(name)
    before = rules(edgetpu.check(file))
    ops = {node.op for node in file.graph.nodes}
    fitting = {key: m for key, m in MUTATIONS.items() if m.op in ops}
    wrong, tried = {}, 0
    for key, mutation in fitting.items():
        broken = copy.copy(file)
        broken.graph = _copy(file.graph)
        try:
            mutation.change(broken.graph)
        except LookupError:
            continue  # such as a bias that this file leaves out
        tried += 1
        found = rules(edgetpu.check(broken)) - before
        if not {mutation.rule} <= found <= {mutation.rule} | mutation.also:
            wrong[key] = found
    assert not wrong
    assert tried >= {"gabor_64x64_p4": 15}.get(name, 25)  # gabor has three kinds of operation


def _copy(graph: Graph) -> Graph:
    """Tensors of their own; the constants, which no mutation changes in place, stay shared."""
    tensors = [copy.copy(tensor) for tensor in graph.tensors]
    return Graph(tensors, list(graph.nodes), list(graph.inputs), list(graph.outputs))
