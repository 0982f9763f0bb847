"""AlexNet as the thesis built it: 136,047,815 parameters for 7 classes at 450x600.

The widespread Keras variant of Krizhevsky et al., 2012: an 11x11 second convolution and three 2x2
pools. The thesis's prose names five pools, but its parameter count fits this network to the unit.
"""

from __future__ import annotations

import numpy as np

from minicnn.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Sequential


def alexnet(
    input_shape: tuple[int, int, int], classes: int, rng: np.random.Generator
) -> Sequential:
    features = Sequential(
        [
            ("conv1", Conv2D(input_shape[2], 96, 11, stride=4, relu=True, rng=rng)),
            ("pool1", MaxPool2D(2)),
            ("conv2", Conv2D(96, 256, 11, relu=True, rng=rng)),
            ("pool2", MaxPool2D(2)),
            ("conv3", Conv2D(256, 384, 3, relu=True, rng=rng)),
            ("conv4", Conv2D(384, 384, 3, relu=True, rng=rng)),
            ("conv5", Conv2D(384, 256, 3, relu=True, rng=rng)),
            ("pool5", MaxPool2D(2)),
            ("flatten", Flatten()),
        ]
    )
    # the first dense layer's width depends on the image size
    (flat,) = features.out_shape(input_shape)
    return Sequential(
        [
            *features.children(),
            ("dense6", Dense(flat, 4096, relu=True, rng=rng)),
            ("dropout6", Dropout(0.4)),
            ("dense7", Dense(4096, 4096, relu=True, rng=rng)),
            ("dropout7", Dropout(0.4)),
            ("dense8", Dense(4096, 1000, relu=True, rng=rng)),
            ("dropout8", Dropout(0.4)),
            ("dense9", Dense(1000, classes, rng=rng)),
        ]
    )
