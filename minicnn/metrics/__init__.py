"""What a classifier is worth: shares of right answers, calibration, detection of one class.

``report`` and what it is made of are cheap enough for every epoch; intervals are for the end.
"""

from minicnn.metrics.accuracy import (
    balanced_accuracy,
    confusion_matrix,
    majority_baseline,
    or_none,
    precision,
    recall,
    report,
    top_k,
)
from minicnn.metrics.bootstrap import CONFIDENCE, DRAWS, Draws, interval
from minicnn.metrics.calibration import Reliability, reliability
from minicnn.metrics.detection import Detection
from minicnn.metrics.uncertainty import detection_intervals, intervals

__all__ = [
    "CONFIDENCE",
    "DRAWS",
    "Detection",
    "Draws",
    "Reliability",
    "balanced_accuracy",
    "confusion_matrix",
    "detection_intervals",
    "interval",
    "intervals",
    "majority_baseline",
    "or_none",
    "precision",
    "recall",
    "reliability",
    "report",
    "top_k",
]
