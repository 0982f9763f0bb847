"""What a node of an int8 graph multiplies by and is cut at, as TFLite's Prepare works it out.

One place for the simulator's loops and for their fast twin. Sources: kernel_util.cc and
fully_connected.cc of TFLite.
"""

from __future__ import annotations

import numpy as np

from minicnn.graph import Graph, Node, Tensor
from minicnn.kernels.fixed_point import quantize_multiplier, round_half_away

# smallest and largest real value; kernel_util.cc, CalculateActivationRangeQuantized
ACTIVATIONS = {
    "NONE": (-np.inf, np.inf),
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
LITERT, TFLITE_RUNTIME = RULES = ("litert-2.3", "tflite-runtime-2.14")


def scale_of(tensor: Tensor) -> np.float32:
    """The one scale of an activation; ValueError where there is none, or several."""
    if tensor.scale is None or len(tensor.scale) != 1:
        raise ValueError(f"{tensor.name}: an activation needs one scale, this has {tensor.scale}")
    return np.float32(tensor.scale[0])


def zero_of(tensor: Tensor) -> int:
    """The zero point of an activation."""
    return 0 if tensor.zero_point is None else int(tensor.zero_point[0])


def limits(tensor: Tensor, activation: str = "NONE") -> tuple[int, int]:
    """Smallest and largest integer of an output after a fused activation.

    ValueError for an activation that TFLite's integer kernels do not fuse.
    """
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"{tensor.name}: fused activation {activation}, wanted one of {known}")
    info = np.iinfo(tensor.dtype)
    low, high = ACTIVATIONS[activation]
    if low > -np.inf:
        low = zero_of(tensor) + round_half_away(float(np.float32(low) / scale_of(tensor)))
    if high < np.inf:
        high = zero_of(tensor) + round_half_away(float(np.float32(high) / scale_of(tensor)))
    return int(max(info.min, low)), int(min(info.max, high))


def output_scales(graph: Graph, node: Node, channels: int) -> np.ndarray:
    """x_scale * w_scale / y_scale, (channels,) float64. PopulateConvolutionQuantizationParams.

    ValueError for inputs or weights that are no int8, or for weights with a zero point.
    """
    x, w, y = (graph.tensors[t] for t in (node.inputs[0], node.inputs[1], node.output))
    if x.dtype != "int8":
        raise ValueError(f"{x.name}: {x.dtype}, wanted int8")
    if w.dtype != "int8" or w.scale is None or np.any(w.zero_point):
        raise ValueError(f"{w.name}: wanted int8 weights with scales and zero point 0")
    scales = float(scale_of(x)) * w.scale.astype(np.float64) / float(scale_of(y))
    return np.ascontiguousarray(np.broadcast_to(scales, channels))


def multipliers(scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each scale's multiplier and shift, two int32 arrays."""
    pairs = np.array([quantize_multiplier(float(s)) for s in scales], np.int32).reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def bias_of(graph: Graph, node: Node, channels: int) -> np.ndarray:
    """The int32 bias, zeros where the node has none."""
    if len(node.inputs) < 3 or node.inputs[2] < 0:
        return np.zeros(channels, np.int32)
    return graph.data(node.inputs[2])


def dense_scales(graph: Graph, node: Node, rules: str) -> np.ndarray:
    """output_scales of a FULLY_CONNECTED, (OUT,) float64.

    With one scale for all its weights, tflite-runtime 2.14 multiplies x_scale * w_scale in float32;
    GetQuantizedConvolutionMultipler in kernel_util.cc.
    """
    x, w, y = (graph.tensors[t] for t in (node.inputs[0], node.inputs[1], node.output))
    scales = output_scales(graph, node, w.shape[0])
    if rules == TFLITE_RUNTIME and w.scale is not None and len(w.scale) == 1:
        scales = np.full_like(scales, float(scale_of(x) * np.float32(w.scale[0])))
        scales /= float(scale_of(y))
    return scales


def softmax_scales(x: Tensor, beta: float) -> tuple[int, int, int]:
    """(multiplier, shift, least difference) of a softmax: x * beta in fixed point, 2^26 being 1.

    Differences to the largest value below the least count as nothing (CalculateInputRadius).
    """
    scale = beta * float(scale_of(x)) * 2**26
    multiplier, shift = quantize_multiplier(min(scale, 2.0**31 - 1))
    return multiplier, shift, -int(31 * 2**26 // 2**shift)
