"""Settings that must stand before the libraries are imported."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # no window
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no banners
