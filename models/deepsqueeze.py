"""Deepsqueeze, the thesis's deeper SqueezeNet: 1,022,727 parameters for 7 classes.

Between SqueezeNet's third pool and its last four fires stand three more blocks, each of two
fire(32, 128) and a pool. Six pools need an input of at least 255 pixels a side.
"""

from __future__ import annotations

import numpy as np

from minicnn.layers import Conv2D, Dropout, Fire, GlobalAvgPool2D, MaxPool2D, Sequential


def deepsqueeze(
    input_shape: tuple[int, int, int], classes: int, rng: np.random.Generator
) -> Sequential:
    return Sequential(
        [
            ("conv1", Conv2D(input_shape[2], 64, 3, stride=2, relu=True, rng=rng)),
            ("pool1", MaxPool2D(3, stride=2)),
            ("fire2", Fire(64, squeeze=16, expand=64, rng=rng)),
            ("fire3", Fire(128, squeeze=16, expand=64, rng=rng)),
            ("pool3", MaxPool2D(3, stride=2)),
            ("fire4", Fire(128, squeeze=32, expand=128, rng=rng)),
            ("fire5", Fire(256, squeeze=32, expand=128, rng=rng)),
            ("pool5", MaxPool2D(3, stride=2)),
            ("fire6", Fire(256, squeeze=32, expand=128, rng=rng)),
            ("fire7", Fire(256, squeeze=32, expand=128, rng=rng)),
            ("pool7", MaxPool2D(3, stride=2)),
            ("fire8", Fire(256, squeeze=32, expand=128, rng=rng)),
            ("fire9", Fire(256, squeeze=32, expand=128, rng=rng)),
            ("pool9", MaxPool2D(3, stride=2)),
            ("fire10", Fire(256, squeeze=32, expand=128, rng=rng)),
            ("fire11", Fire(256, squeeze=32, expand=128, rng=rng)),
            ("pool11", MaxPool2D(3, stride=2)),
            ("fire12", Fire(256, squeeze=48, expand=192, rng=rng)),
            ("fire13", Fire(384, squeeze=48, expand=192, rng=rng)),
            ("fire14", Fire(384, squeeze=64, expand=256, rng=rng)),
            ("fire15", Fire(512, squeeze=64, expand=256, rng=rng)),
            ("dropout", Dropout(0.5)),
            ("conv16", Conv2D(512, classes, 1, relu=True, rng=rng)),
            ("pool16", GlobalAvgPool2D()),
        ]
    )
