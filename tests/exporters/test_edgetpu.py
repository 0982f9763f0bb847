"""The Edge TPU check of whole files: accepted models pass, and what maps where."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import small_int8
from small import ACCEPTED

from exporters import edgetpu
from exporters.container import File
from exporters.edgetpu.container import CACHE_BYTES
from exporters.edgetpu.rules import LATER_STATUS, MAPPED_STATUS, TYPE_STATUS
from exporters.read import read
from minicnn.graph import Graph, Node, Tensor

NAMES = (
    "tf2_mobilenet_v2_1.0_224_ptq",
    "mobilenet_edgetpu_0.75_224_post_training_quant",
    "mobilenet_v1_0.25_128_quant",
    "gabor_64x64_p4",
    "bright_16x16",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_the_compiler_accepted_passes(name: str) -> None:
    path = ACCEPTED / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there, a model that edgetpu_compiler accepted")
    verdict = edgetpu.check(read(path))
    assert verdict.mapped
    assert {operation.status for operation in verdict.operations} == {MAPPED_STATUS}
    assert not verdict.findings
    assert verdict.estimate is not None
    assert verdict.streamed_bytes == 0 < verdict.parameter_bytes == verdict.cached_bytes


@pytest.mark.parametrize("file_of", [small_int8.as_file, small_int8.written])
def test_a_small_network_maps(file_of: Callable[[Graph], File]) -> None:
    verdict = edgetpu.check(file_of(small_int8.net()))
    assert verdict.mapped
    assert not verdict.findings
    learned = sum(
        t.data.nbytes
        for t in small_int8.net().tensors
        if t.data is not None and t.name.endswith(("/w", "/b"))
    )
    assert verdict.parameter_bytes == learned


def _with_float_ends() -> Graph:
    graph = small_int8.net()
    graph.tensors[graph.inputs[0]] = Tensor("input", (1, 16, 16, 3))
    graph.tensors[graph.outputs[0]] = Tensor("output", (1, 7))
    graph.nodes[-1] = dataclasses.replace(graph.nodes[-1], op="DEQUANTIZE")
    return graph


def test_floats_at_the_ends_are_the_cpus_part() -> None:
    verdict = edgetpu.check(small_int8.as_file(_with_float_ends()))
    assert verdict.mapped
    assert not verdict.findings
    ends = [operation for operation in verdict.operations if not operation.mapped]
    assert [end.op for end in ends] == ["QUANTIZE", "DEQUANTIZE"]
    assert all(end.at_end and "On the CPU" in end.status for end in ends)
    assert "all would map but 2" in edgetpu.report_text(verdict)


def test_floats_inside_are_not() -> None:
    graph = _with_float_ends()
    last = graph.nodes[-1]
    number = graph.new_tensor(Tensor("after", (1, 7)))
    graph.nodes.append(Node("SOFTMAX", (last.output,), (number,), "after", {}))
    graph.outputs = [number]
    verdict = edgetpu.check(small_int8.as_file(graph))
    assert {f.rule for f in verdict.findings} == {"float-tensor"}
    assert [o.status for o in verdict.operations[-2:]] == [TYPE_STATUS, TYPE_STATUS]


def test_everything_behind_the_first_unmapped_operation_goes_to_the_cpu() -> None:
    graph = small_int8.net()
    at = next(at for at, node in enumerate(graph.nodes) if node.op == "MEAN")
    graph.nodes[at] = dataclasses.replace(graph.nodes[at], op="CUMSUM")
    verdict = edgetpu.check(small_int8.as_file(graph))
    statuses = [operation.status for operation in verdict.operations]
    assert statuses[:at] == [MAPPED_STATUS] * at
    assert statuses[at + 1 :] == [LATER_STATUS] * (len(statuses) - at - 1)
    assert not verdict.mapped and not verdict.refused
    assert verdict.estimate is None


def test_a_network_of_floats_has_one_finding() -> None:
    graph = small_int8.net()
    for tensor in graph.tensors:
        if tensor.scale is not None:
            tensor.dtype, tensor.scale, tensor.zero_point = "float32", None, None
            tensor.data = None if tensor.data is None else tensor.data.astype(np.float32)
    verdict = edgetpu.check(small_int8.as_file(graph))
    assert [finding.rule for finding in verdict.findings] == ["not-quantized"]
    assert not any(operation.mapped for operation in verdict.operations)


def test_parameters_beyond_the_cache_are_streamed() -> None:
    m = small_int8.Maker()
    m.graph.inputs = [m.activation("x", (1, 9216), small_int8.OUT, "int8")]
    m.graph.outputs = [m.weighted("FULLY_CONNECTED", "y", 0, (4096, 9216), (1, 4096))]
    verdict = edgetpu.check(small_int8.as_file(m.graph))
    assert [finding.rule for finding in verdict.findings] == ["parameters-size"]
    assert verdict.mapped
    assert verdict.parameter_bytes == 4096 * 9216 + 4 * 4096
    assert verdict.cached_bytes == CACHE_BYTES
    assert verdict.cached_bytes + verdict.streamed_bytes == verdict.parameter_bytes
