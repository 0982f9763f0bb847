"""A small file and photographs for it."""

import numpy as np
import pytest
from small_files import SIZE, int8_net, write


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), np.uint8)


@pytest.fixture
def file(tmp_path):
    return write(tmp_path, int8_net())
