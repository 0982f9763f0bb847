"""The contestant LiteRT, float, on XNNPACK (its default): inference only, see ``contestants.py``.

It reads model.tflite, which ``tflite_file.py`` made in another process.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from workload import Contestant


class LiteRT(Contestant):
    """The file's batch is fixed."""

    def build(self) -> None:
        path = str(self.folder / "model.tflite")
        self.interpreter = Interpreter(path, num_threads=self.threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.output = self.interpreter.get_output_details()[0]["index"]

    def load(self, x: np.ndarray, labels: np.ndarray) -> None:
        self.images = x

    def infer(self) -> np.ndarray:
        self.interpreter.set_tensor(self.input, self.images)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)
