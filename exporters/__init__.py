"""Trained networks as files for other runtimes, and what reads such files."""
