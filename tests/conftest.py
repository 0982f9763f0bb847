"""Settings that must stand before the libraries are imported."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("MPLBACKEND", "Agg")  # no window
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no banners

cache = tempfile.mkdtemp(prefix="minicnn-test-")
os.environ["MINICNN_CACHE"] = cache  # not the user's
atexit.register(shutil.rmtree, cache, ignore_errors=True)
