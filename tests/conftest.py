"""Settings that must stand before the libraries are imported."""

import os
import tempfile

os.environ.setdefault("MPLBACKEND", "Agg")  # no window
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no banners
os.environ.setdefault("MINICNN_CACHE", tempfile.mkdtemp(prefix="minicnn-test-"))  # not the user's
