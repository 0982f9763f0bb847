"""Contestants that run one int8 file, model_int8.tflite: see ``int8_inference.py``.

Frameworks are imported where a contestant is built, so that its process holds no other.
"""

from __future__ import annotations

import numpy as np
from workload import CHECKED, Contestant


def pictures(x: np.ndarray) -> np.ndarray:
    """Normal values as bytes, uint8."""
    return np.clip(np.rint(x * 50 + 128), 0, 255).astype(np.uint8)


class Int8(Contestant):
    """``infer`` takes the first image, ``infer_all`` the batch."""

    def load(self, x: np.ndarray, labels: np.ndarray) -> None:
        self.images = pictures(x)
        self.first = self.images[:1]

    def infer(self) -> np.ndarray:
        return self.run(self.first)

    def infer_all(self) -> np.ndarray:
        return self.run(self.images)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (N, classes) uint8 for images (N, H, W, 3) uint8."""
        raise NotImplementedError

    def check(self) -> list[list[float]]:
        return self.run(self.images[:CHECKED]).tolist()


class Minicnn(Int8):
    """NUMBA_NUM_THREADS, which the harness sets, says how many threads."""

    def build(self) -> None:
        from exporters.read import read
        from minicnn.compress.plan import Plan

        self.plan = Plan(read(self.folder / "model_int8.tflite").graph)

    def run(self, images: np.ndarray) -> np.ndarray:
        return self.plan.run(images)[0]


class LiteRT(Int8):
    """variant is a name in OpResolverType; the file's batch is 1."""

    def build(self) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.interpreter = Interpreter(
            str(self.folder / "model_int8.tflite"),
            num_threads=self.threads,
            experimental_op_resolver_type=OpResolverType[self.variant],
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.output = self.interpreter.get_output_details()[0]["index"]

    def run(self, images: np.ndarray) -> np.ndarray:
        outputs = []
        for image in images:
            self.interpreter.set_tensor(self.input, image[None])
            self.interpreter.invoke()
            outputs.append(self.interpreter.get_tensor(self.output))
        return np.concatenate(outputs)
