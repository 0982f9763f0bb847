"""What a run looks like: tables for the terminal, pictures, and a page for the browser."""

from minicnn.report.pictures import draw_confusion, draw_curves, draw_reliability
from minicnn.report.tables import HEADER, advice, class_table, epoch_line

__all__ = [
    "HEADER",
    "advice",
    "class_table",
    "draw_confusion",
    "draw_curves",
    "draw_reliability",
    "epoch_line",
]
