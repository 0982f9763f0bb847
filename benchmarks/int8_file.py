"""Write a network's int8 .tflite by minicnn's exporter; ``int8_inference.py`` calls this.

    python benchmarks/int8_file.py FOLDER

adds model_int8.tflite, bytes in and bytes out, to the FOLDER that ``network_file.py`` filled. The
ranges are those of a few images of the benchmark's own kind.
"""

from __future__ import annotations

import sys
from pathlib import Path

from contestants_int8 import pictures
from workload import CLASSES, Network

import models
from exporters.flatbuffer import serialize
from minicnn.compress.calibrate import calibrate
from minicnn.compress.fold import deployed
from minicnn.compress.quantize import quantize
from minicnn.data.augment import Normalization


def main() -> None:
    folder = Path(sys.argv[1])
    network = Network(folder)
    net = models.build(network.name, network.shape, CLASSES)
    for path, param in net.named_params().items():
        param.value[...] = network.weights[path]
    graph, pixels = deployed(net, network.shape, Normalization())
    ranges = calibrate(graph, pixels, pictures(network.batch(4)[0]))
    content = serialize(quantize(graph, ranges, pixels))
    (folder / "model_int8.tflite").write_bytes(content)


if __name__ == "__main__":
    main()
