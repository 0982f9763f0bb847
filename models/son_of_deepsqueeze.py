"""Son of Deepsqueeze, the thesis's wider Deepsqueeze: 3,400,455 parameters for 7 classes.

Deepsqueeze's layering, but after every second fire the squeeze grows by 16 and the expand by 64.
Six pools need an input of at least 255 pixels a side.
"""

from __future__ import annotations

import numpy as np

from minicnn.layers import Conv2D, Dropout, Fire, GlobalAvgPool2D, MaxPool2D, Sequential


def son_of_deepsqueeze(
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
            ("fire6", Fire(256, squeeze=48, expand=192, rng=rng)),
            ("fire7", Fire(384, squeeze=48, expand=192, rng=rng)),
            ("pool7", MaxPool2D(3, stride=2)),
            ("fire8", Fire(384, squeeze=64, expand=256, rng=rng)),
            ("fire9", Fire(512, squeeze=64, expand=256, rng=rng)),
            ("pool9", MaxPool2D(3, stride=2)),
            ("fire10", Fire(512, squeeze=80, expand=320, rng=rng)),
            ("fire11", Fire(640, squeeze=80, expand=320, rng=rng)),
            ("pool11", MaxPool2D(3, stride=2)),
            ("fire12", Fire(640, squeeze=96, expand=384, rng=rng)),
            ("fire13", Fire(768, squeeze=96, expand=384, rng=rng)),
            ("fire14", Fire(768, squeeze=112, expand=448, rng=rng)),
            ("fire15", Fire(896, squeeze=112, expand=448, rng=rng)),
            ("dropout", Dropout(0.5)),
            ("conv16", Conv2D(896, classes, 1, relu=True, rng=rng)),
            ("pool16", GlobalAvgPool2D()),
        ]
    )
