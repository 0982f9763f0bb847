"""Write a network's float .tflite by TensorFlow's converter; the harness calls this.

    python benchmarks/tflite_file.py FOLDER BATCH THREADS

adds model.tflite to the FOLDER that ``network_file.py`` filled. It is a process of its own, so that
LiteRT's memory does not count the converter's.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf
from contestants_keras import Keras
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def main() -> None:
    folder, batch, threads = sys.argv[1:]
    keras = Keras("", int(threads), folder, int(batch))
    shape = tf.TensorSpec(keras.images.shape, tf.float32)
    # Keras 3's variables are not tracked: unless frozen they would stay variables in the file
    frozen = convert_variables_to_constants_v2(keras.run.get_concrete_function(shape))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    Path(folder, "model.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
