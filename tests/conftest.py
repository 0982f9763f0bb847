"""Settings that must stand before the libraries are imported."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")  # no window
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no banners

cache = tempfile.mkdtemp(prefix="minicnn-test-")
os.environ["MINICNN_CACHE"] = cache  # not the user's
# but compiled kernels serve the next run of the tests as well
kernels = Path(__file__).parents[1] / ".pytest_cache" / "kernels"
os.environ.setdefault("NUMBA_CACHE_DIR", str(kernels))
atexit.register(shutil.rmtree, cache, ignore_errors=True)
