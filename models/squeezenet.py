"""SqueezeNet v1.1 (Iandola et al., 2016, arXiv:1602.07360): 726,087 parameters for 7 classes."""

from __future__ import annotations

import numpy as np

from minicnn.layers import Conv2D, Dropout, Fire, GlobalAvgPool2D, MaxPool2D, Sequential


def squeezenet(
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
            ("fire8", Fire(384, squeeze=64, expand=256, rng=rng)),
            ("fire9", Fire(512, squeeze=64, expand=256, rng=rng)),
            ("dropout", Dropout(0.5)),
            ("conv10", Conv2D(512, classes, 1, relu=True, rng=rng)),
            ("pool10", GlobalAvgPool2D()),
        ]
    )
