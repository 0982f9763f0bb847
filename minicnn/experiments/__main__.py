"""``python -m minicnn.experiments NAME``: one of the experiments below."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from minicnn.errors import UserError, command
from minicnn.experiments import depth, release, thesis

EXPERIMENTS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "thesis": (thesis.main, "the thesis's networks by its protocol, compared with its results"),
    "depth": (depth.main, "why a deep network stays on the majority class, and what frees it"),
    "release": (release.main, "a run's network as the weights that come with the project"),
}


@command
def main(argv: Sequence[str] | None = None) -> int:
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print("usage: python -m minicnn.experiments NAME ... (NAME --help lists its flags)\n")
        print("\n".join(f"  {name:8}  {what}" for name, (_, what) in EXPERIMENTS.items()))
        return 0
    if name not in EXPERIMENTS:
        raise UserError(f"no experiment is called {name!r}: choose {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name][0](rest)


if __name__ == "__main__":
    raise SystemExit(main())
