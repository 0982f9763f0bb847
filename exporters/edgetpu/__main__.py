"""Check a .tflite file for the Edge TPU: ``python -m exporters.edgetpu FILE.tflite``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import models
from exporters.edgetpu import check, compiler, report_text
from exporters.edgetpu.compiler import Run
from exporters.edgetpu.estimate import errors_text
from exporters.edgetpu.verdict import Verdict
from exporters.read import read
from minicnn.errors import Parser, UserError, command


@command
def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit status 0 when everything maps, 1 when not, 2 for a user's mistake."""
    arguments = _parser().parse_args(argv)
    if not arguments.compiler_timeout > 0:
        message = f"--compiler-timeout {arguments.compiler_timeout:g}: wanted seconds above 0"
        raise UserError(message)
    file = read(models.released(arguments.file))
    verdict = check(file)
    run = compiler.run(file.content, arguments.compiler_timeout)
    print(_json(verdict, run) if arguments.json else report_text(verdict, run))
    ends = sum(operation.at_end for operation in verdict.operations)
    agreed = run is None or (run.succeeded and run.on_cpu <= ends)
    return 0 if verdict.mapped and agreed else 1


def _parser() -> Parser:
    p = Parser(
        prog="python -m exporters.edgetpu",
        description="Check whether a .tflite file would run on a Coral Edge TPU, and how fast.",
    )
    p.add_argument("file", metavar="FILE.tflite")
    p.add_argument("--json", action="store_true", help="print everything as JSON")
    p.add_argument(
        *("--compiler-timeout",),
        type=float,
        default=compiler.SECONDS,
        metavar="SECONDS",
        help=f"for {compiler.NAME}, where it is on PATH ({compiler.SECONDS:g})",
    )
    return p


def _json(verdict: Verdict, run: Run | None) -> str:
    values: dict[str, Any] = dataclasses.asdict(verdict)
    values["mapped"] = verdict.mapped
    values["findings"] = [
        {**dataclasses.asdict(f), "severity": f.severity, "status": f.status}
        for f in verdict.findings
    ]
    values["operations"] = [
        {**dataclasses.asdict(o), "mapped": o.mapped} for o in verdict.operations
    ]
    values["estimate_error"] = errors_text()
    values["compiler"] = None if run is None else {**dataclasses.asdict(run), "on_cpu": run.on_cpu}
    return json.dumps(values, indent=2)


if __name__ == "__main__":
    raise SystemExit(main())
