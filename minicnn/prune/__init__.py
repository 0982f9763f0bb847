"""Prune a trained network: ``python -m minicnn.prune RUN``."""

from minicnn.prune.command import main

__all__ = ["main"]
