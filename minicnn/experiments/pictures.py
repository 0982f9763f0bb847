"""How the experiments draw: as ``minicnn.report`` does, in colours that everybody tells apart."""

from minicnn.report.pictures import BASELINE, TEST, TRAIN
from minicnn.report.pictures import save as save

OURS, THESIS, GREY = TRAIN, TEST, BASELINE
OTHERS = ("#228833", "#aa3377", "#66ccee", "#777777")  # more of Paul Tol's bright scheme
