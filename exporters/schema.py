"""What a .tflite file calls things: data types, operations and where it keeps their settings.

One table serves both directions, so the reader and the writer cannot disagree. The names are those
of TensorFlow's schema.fbs (tensorflow/compiler/mlir/lite/schema); the ``tflite`` package is
generated from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tflite

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
CUSTOM = tflite.BuiltinOperator.CUSTOM


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if not name.startswith("_")}


OPERATORS = _names(tflite.BuiltinOperator)
OPTIONS_TYPES = _names(tflite.BuiltinOptions)
DTYPES = {value: name.lower() for value, name in _names(tflite.TensorType).items()}
RAW = ("string", "resource", "variant", "int4", "bfloat16")  # types that NumPy lacks
PADDINGS = {value: name.lower() for value, name in _names(tflite.Padding).items()}
ACTIVATIONS = _names(tflite.ActivationFunctionType)
WEIGHTS_FORMATS = _names(tflite.FullyConnectedOptionsWeightsFormat)


@dataclass(frozen=True)
class Setting:
    """One entry of ``Node.attrs`` and the fields of TFLite's options table that hold it.

    attr     its name in attrs
    fields   one field: attrs has its value; two: attrs has a tuple of both
    default  what the writer takes where attrs lack it
    names    for an enumeration, the name of each value
    vector   whether the field is a vector of int32, in attrs a tuple or None
    """

    attr: str
    fields: tuple[str, ...]
    default: Any
    names: dict[int, str] | None = None
    vector: bool = False


@dataclass(frozen=True)
class Options:
    """An operation's options: the table's name in the schema ("" for none), and its settings."""

    table: str
    settings: tuple[Setting, ...] = ()


ACTIVATION = Setting("activation", ("FusedActivationFunction",), "NONE", ACTIVATIONS)
STRIDE = Setting("stride", ("StrideH", "StrideW"), (1, 1))
DILATION = Setting("dilation", ("DilationHFactor", "DilationWFactor"), (1, 1))
PADDING = Setting("padding", ("Padding",), "valid", PADDINGS)
KERNEL = Setting("kernel", ("FilterHeight", "FilterWidth"), (1, 1))
POOL = Options("Pool2DOptions", (KERNEL, STRIDE, PADDING, ACTIVATION))

OPTIONS: dict[str, Options] = {
    "CONV_2D": Options("Conv2DOptions", (STRIDE, DILATION, PADDING, ACTIVATION)),
    "DEPTHWISE_CONV_2D": Options(
        "DepthwiseConv2DOptions",
        (
            STRIDE,
            DILATION,
            Setting("depth_multiplier", ("DepthMultiplier",), 1),
            PADDING,
            ACTIVATION,
        ),
    ),
    "MAX_POOL_2D": POOL,
    "AVERAGE_POOL_2D": POOL,
    "FULLY_CONNECTED": Options(
        "FullyConnectedOptions",
        (
            ACTIVATION,
            Setting("weights_format", ("WeightsFormat",), "DEFAULT", WEIGHTS_FORMATS),
            Setting("keep_dims", ("KeepNumDims",), False),
            Setting("asymmetric_inputs", ("AsymmetricQuantizeInputs",), False),
        ),
    ),
    "CONCATENATION": Options("ConcatenationOptions", (Setting("axis", ("Axis",), 3), ACTIVATION)),
    "RESHAPE": Options("ReshapeOptions", (Setting("new_shape", ("NewShape",), None, vector=True),)),
    "SOFTMAX": Options("SoftmaxOptions", (Setting("beta", ("Beta",), 1.0),)),
    "ADD": Options("AddOptions", (ACTIVATION,)),
    "MUL": Options("MulOptions", (ACTIVATION,)),
    "SUB": Options("SubOptions", (ACTIVATION,)),
    "MEAN": Options("ReducerOptions", (Setting("keep_dims", ("KeepDims",), False),)),
    "SPLIT": Options("SplitOptions", (Setting("num_splits", ("NumSplits",), 1),)),
    "PAD": Options("PadOptions"),
    "QUANTIZE": Options("QuantizeOptions"),
    "DEQUANTIZE": Options("DequantizeOptions"),
    "TRANSPOSE": Options("TransposeOptions"),
    "LOGISTIC": Options(""),
    "RELU": Options(""),
    "RELU6": Options(""),
}

# The oldest version whose kernel takes int8; of any other type, and any other operation, it is 1.
INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "MAX_POOL_2D": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "SOFTMAX": 2,
    "ADD": 2,
    "MUL": 2,
    "SUB": 2,
    "MEAN": 2,
    "PAD": 2,
    "SPLIT": 2,
    "TRANSPOSE": 2,
    "LOGISTIC": 2,
    "RELU": 2,
    "RELU6": 2,
    "DEQUANTIZE": 2,
}
