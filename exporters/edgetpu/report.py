"""The Edge TPU check's verdict as a text, in the manner of the compiler's log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from exporters.edgetpu.compiler import NAME, Run
from exporters.edgetpu.container import CACHE_BYTES
from exporters.edgetpu.estimate import WATTS, errors_text
from exporters.edgetpu.rules import RULES, Finding
from exporters.edgetpu.verdict import Operation, Verdict

SHOWN = 4  # findings of one rule that are spelled out
MIB = 2**20


def report_text(verdict: Verdict, run: Run | None = None) -> str:
    """The whole report; ``run`` is what the compiler itself did, where it was there."""
    parts = [_head(verdict, run), _table(verdict.operations)]
    if verdict.findings:
        parts.append(_findings(verdict.findings))
    parts.append(_memory(verdict))
    parts.append(_estimate(verdict))
    if run is not None:
        parts.append(_compiler(run))
    return "\n\n".join(parts)


def _head(verdict: Verdict, run: Run | None) -> str:
    on_tpu = sum(operation.mapped for operation in verdict.operations)
    at_end = sum(operation.at_end for operation in verdict.operations)
    count = len(verdict.operations)
    if verdict.refused:
        answer = "the compiler would refuse this file, or it would compute something else"
    elif not verdict.mapped:
        answer = f"{on_tpu} of {count} operations would map, the rest would run on the CPU"
    elif at_end:
        answer = f"all would map but {at_end} that convert floats at the ends, on the CPU as usual"
    else:
        answer = f"all {count} operations would map"
    ran = f"{NAME} was run as well, see below" if run else f"{NAME} was not run"
    return "\n".join(
        [
            f"Edge TPU check of {verdict.name}",
            f"verdict      {answer}",
            f"             {ran}: this is a structural check",
        ]
    )


def _table(operations: Sequence[Operation]) -> str:
    """A line for each pair of operation and status, in the order they first come in."""
    counts = Counter((operation.op, operation.status) for operation in operations)
    width = max([len("Operator"), *(len(op) for op, _ in counts)])
    lines = [f"{'Operator':{width}}  Count  Status"]
    lines += [f"{op:{width}}  {count:5}  {status}" for (op, status), count in counts.items()]
    return "\n".join(lines)


def _findings(findings: Sequence[Finding]) -> str:
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_rule[finding.rule].append(finding)
    lines = ["Findings"]
    for rule, found in by_rule.items():
        lines += [f"  {finding}" for finding in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"  ... and {len(found) - SHOWN} more of [{rule}]")
        said = f'; the compiler: "{RULES[rule].status}"' if RULES[rule].status else ""
        lines.append(f"      why: {RULES[rule].source}{said}")
    return "\n".join(lines)


def _memory(verdict: Verdict) -> str:
    if not any(operation.mapped for operation in verdict.operations):
        return "parameters   none on the chip: nothing maps"
    room = f"of about {CACHE_BYTES / MIB:.1f} MiB that the chip has for them"
    return "\n".join(
        [
            f"parameters   {_bytes(verdict.parameter_bytes)} of the operations that map",
            f"cached       {_bytes(verdict.cached_bytes)} stay on the chip, {room}",
            f"streamed     {_bytes(verdict.streamed_bytes)} go to the chip for each inference",
        ]
    )


def _bytes(count: int) -> str:
    return f"{count:,} bytes" + (f" ({count / MIB:.2f} MiB)" if count >= MIB / 10 else "")


def _estimate(verdict: Verdict) -> str:
    if verdict.estimate is None:
        return "estimate     none: it is made for files of which everything maps"
    estimate = verdict.estimate
    return "\n".join(
        [
            f"estimate     {estimate.ms:.1f} ms and {estimate.mj:.0f} mJ for an inference "
            f"({estimate.multiply_adds / 1e6:,.1f} million multiply-adds) on a USB 3 Accelerator",
            "             an estimate, not a measurement: fitted to Coral's published times:",
            f"             {errors_text()}",
            f"             energy is that time at the datasheet's {WATTS:g} W, without the host's",
        ]
    )


def _compiler(run: Run) -> str:
    verdict = "compiled the file" if run.succeeded else "did not compile the file"
    if run.succeeded and run.on_cpu:
        verdict += f", and left {run.on_cpu} operations to the CPU"
    return "\n".join([f"{NAME} {verdict}; its log:", *(f"  {line}" for line in run.summary())])
