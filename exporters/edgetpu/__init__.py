"""What edgetpu_compiler would say to a .tflite file: ``check``.

The compiler is closed and cannot be had everywhere; this checks what is known of its demands, rule
by rule (rules.py lists them with their sources), and estimates time and energy. Where the compiler
is installed, the command (``python -m exporters.edgetpu FILE``) runs it as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from exporters.container import File
from exporters.edgetpu.container import CACHE_BYTES, container, memory, parameter_bytes
from exporters.edgetpu.estimate import estimate as estimated
from exporters.edgetpu.operations import operation
from exporters.edgetpu.report import report_text
from exporters.edgetpu.rules import (
    LATER_STATUS,
    MAPPED_STATUS,
    REFUSED,
    SEVERITIES,
    WARNING,
    Finding,
)
from exporters.edgetpu.tensors import is_float_end, is_quantized, tensors
from exporters.edgetpu.verdict import Operation, Verdict
from exporters.edgetpu.versions import known
from minicnn.graph import Graph

__all__ = ["Finding", "Operation", "Verdict", "check", "report_text"]
END_STATUS = "On the CPU, as in any compiled model: it converts floats at the graph's end"
REFUSED_STATUS = "Not mapped: the file as a whole would be refused"


def check(file: File) -> Verdict:
    """Hold a file against all rules; what decides is types, shapes and values, never names.

    Findings come worst first. Raises nothing for whatever ``exporters.read`` gives.
    """
    graph = file.graph
    found = list(container(file))
    by_node: list[list[Finding]] = [[] for _ in graph.nodes]
    if graph.nodes and not is_quantized(graph):
        problem = "computes in floats, or in integers of other sizes"
        found.append(Finding("not-quantized", file.name, problem, "int8 (or legacy uint8)"))
    else:
        by_node = _by_node(graph)
    found += [finding for findings in by_node for finding in findings]
    operations = _operations(graph, by_node, any(f.severity == REFUSED for f in found))
    nodes = [node for node, o in zip(graph.nodes, operations, strict=True) if o.mapped]
    parameters = parameter_bytes(graph, nodes)
    found += memory(file, parameters)
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    streamed = max(0, parameters - CACHE_BYTES)
    verdict = Verdict(file.name, operations, found, parameters, parameters - streamed, streamed)
    if not verdict.mapped:
        return verdict
    return dataclasses.replace(verdict, estimate=estimated(graph, streamed))


def _by_node(graph: Graph) -> list[list[Finding]]:
    """The findings for each node."""
    seen: set[int] = set()
    found = []
    for node in graph.nodes:
        findings = list(known(graph, node))
        if not _breaks(findings):
            findings += [*tensors(graph, node, seen), *operation(graph, node)]
        found.append(findings)
    return found


def _breaks(findings: Iterable[Finding]) -> list[str]:
    """What the compiler would say to an operation with these findings; empty where it maps."""
    return [finding.status for finding in findings if finding.severity != WARNING]


def _operations(graph: Graph, by_node: list[list[Finding]], refused: bool) -> list[Operation]:
    """Where each node would run: after the first that does not map, nothing does."""
    operations, behind = [], False
    for node, findings in zip(graph.nodes, by_node, strict=True):
        said, at_end = _breaks(findings), is_float_end(graph, node)
        if said:
            status = said[0]
        elif refused:
            status = REFUSED_STATUS
        elif at_end:
            status = END_STATUS
        else:
            status = LATER_STATUS if behind else MAPPED_STATUS
        behind = behind or bool(said)
        operations.append(Operation(node.op, node.path, node.version, status, at_end and not said))
    return operations
