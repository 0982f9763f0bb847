"""``python -m minicnn.prune``."""

from __future__ import annotations

from minicnn.prune import main

if __name__ == "__main__":
    raise SystemExit(main())
