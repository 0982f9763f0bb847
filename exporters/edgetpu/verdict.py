"""What the Edge TPU check says of a file: the verdict, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporters.edgetpu.estimate import Estimate
from exporters.edgetpu.rules import MAPPED_STATUS, REFUSED, WARNING, Finding


@dataclass(frozen=True)
class Operation:
    """One operation and where it would run.

    mapped    whether on the Edge TPU
    at_end    whether it only turns the graph's float input or output into integers or back, which
              is the CPU's part in any compiled model
    status    in the compiler's words
    """

    op: str
    path: str
    version: int | None
    status: str
    at_end: bool = False

    @property
    def mapped(self) -> bool:
        """Whether it would run on the Edge TPU."""
        return self.status == MAPPED_STATUS


@dataclass(frozen=True)
class Verdict:
    """What is to be expected of ``edgetpu_compiler``; bytes are of parameters.

    parameter_bytes  of the operations that map
    cached_bytes     of these, what stays on the chip
    streamed_bytes   the rest, sent again for each inference
    estimate         None where not everything maps
    """

    name: str
    operations: Sequence[Operation]
    findings: Sequence[Finding]
    parameter_bytes: int
    cached_bytes: int
    streamed_bytes: int
    estimate: Estimate | None = None

    @property
    def refused(self) -> bool:
        """Whether the file as a whole would fail."""
        return any(finding.severity == REFUSED for finding in self.findings)

    @property
    def mapped(self) -> bool:
        """Whether everything would run on the Edge TPU but conversions of float ends."""
        bad = any(finding.severity != WARNING for finding in self.findings)
        return not bad and all(o.mapped or o.at_end for o in self.operations)
