"""A table of mutations: ways to break one rule of the Edge TPU check, and the rule's id."""

from __future__ import annotations

import dataclasses

import numpy as np
from edgetpu_changes import (
    Change,
    attrs,
    batch_axis_too,
    batch_of_two,
    bigger,
    computed,
    dropped,
    fewer_channels,
    float_bias,
    float_output,
    float_weights,
    one_minus_128,
    padded_batch,
    same_names,
    tensor,
    thinner_weights,
    ulp_more,
    version,
    without_bias,
)

from exporters.edgetpu.versions import VERSIONS


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A change and the rule it breaks.

    op        what the graph must have for it
    writable  by our own writer, which refuses some of them itself
    also      rules that it breaks as well in some graphs, through a neighbour
    """

    rule: str
    op: str
    change: Change
    writable: bool = True
    also: frozenset[str] = frozenset()


CONV, DW, DENSE = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"
OFF = {"scale": lambda s: s * np.float32(1.001)}
HALF = {"scale": lambda s: s * np.float32(0.5)}
ONE_MORE = {"zero_point": lambda z: z + 1}
MUTATIONS: dict[str, Mutation] = {
    "an activation of floats": Mutation("float-tensor", CONV, float_output(CONV)),
    "an activation of int16": Mutation("data-type", CONV, tensor(CONV, None, dtype="int16")),
    "a uint8 activation": Mutation(
        "mixed-types",
        "SOFTMAX",
        tensor("SOFTMAX", 0, dtype="uint8", zero_point=np.array([7])),
        also=frozenset({"reshape-scales"}),
    ),
    "an open size": Mutation(
        "static-shape", CONV, tensor(CONV, None, signature=lambda _: (1, -1, -1, 8))
    ),
    "an open batch": Mutation(
        "static-shape", CONV, tensor(CONV, None, signature=lambda _: (-1, 8, 8, 8))
    ),
    "an open batch of vectors": Mutation(
        "dynamic-batch", "SOFTMAX", tensor("SOFTMAX", None, signature=(-1, 7))
    ),
    "a size of -1": Mutation(
        "static-shape", CONV, tensor(CONV, None, shape=lambda s: (1, -1, *s[2:])), writable=False
    ),
    "a computed new shape": Mutation("static-shape", "RESHAPE", computed("RESHAPE", 1)),
    "computed axes": Mutation("static-shape", "MEAN", computed("MEAN", 1)),
    "computed paddings": Mutation("static-shape", "PAD", computed("PAD", 1)),
    "two images": Mutation("batch", CONV, batch_of_two),
    "five dimensions": Mutation("rank", "QUANTIZE", tensor("QUANTIZE", 0, shape=lambda s: (2, *s))),
    "a huge activation": Mutation(
        "activation-size", "QUANTIZE", tensor("QUANTIZE", 0, shape=(1, 4096, 4096, 3))
    ),
    "no quantization": Mutation(
        "quantization-missing", "SOFTMAX", tensor("SOFTMAX", 0, scale=None, zero_point=None)
    ),
    "no quantization of weights": Mutation(
        "quantization-missing", CONV, tensor(CONV, 1, scale=None, zero_point=None)
    ),
    "two scales of an activation": Mutation(
        "activation-per-channel",
        "SOFTMAX",
        tensor("SOFTMAX", 0, scale=np.float32([0.1, 0.1]), zero_point=np.array([3, 3])),
    ),
    "a scale of 0": Mutation(
        "activation-scale", "SOFTMAX", tensor("SOFTMAX", 0, scale=np.float32([0])), writable=False
    ),
    "a negative scale": Mutation(
        "activation-scale", CONV, tensor(CONV, None, scale=lambda s: -s), writable=False
    ),
    "a tiny scale": Mutation(
        "activation-scale", CONV, tensor(CONV, None, scale=np.float32([1e-12]))
    ),
    "too few zero points": Mutation(
        "zero-point-length", CONV, tensor(CONV, 1, zero_point=dropped), writable=False
    ),
    "no zero point of an activation": Mutation(
        "zero-point-length", CONV, tensor(CONV, None, zero_point=dropped), writable=False
    ),
    "a zero point out of range": Mutation(
        "zero-point-range",
        "SOFTMAX",
        tensor("SOFTMAX", 0, zero_point=np.array([200])),
        also=frozenset({"reshape-scales"}),
    ),
    "half a range behind a RELU": Mutation(
        "relu-zero-point",
        CONV,
        tensor(CONV, None, zero_point=np.array([-100])),
        also=frozenset({"pool-scales", "copy-scales"}),
    ),
    "a pool of another scale": Mutation(
        "pool-scales", "AVERAGE_POOL_2D", tensor("AVERAGE_POOL_2D", 0, **HALF)
    ),
    "a pool of another zero point": Mutation(
        "pool-scales",
        "AVERAGE_POOL_2D",
        tensor("AVERAGE_POOL_2D", 0, **ONE_MORE),
        also=frozenset({"relu-zero-point"}),
    ),
    "a max-pool of another scale": Mutation(
        "pool-scales", "MAX_POOL_2D", tensor("MAX_POOL_2D", 0, **HALF)
    ),
    "a reshape of another scale": Mutation(
        "reshape-scales", "RESHAPE", tensor("RESHAPE", 0, **HALF), also=frozenset({"pool-scales"})
    ),
    "a padding of another scale": Mutation("copy-scales", "PAD", tensor("PAD", 0, **HALF)),
    "concatenated scales": Mutation(
        "concat-scales", "CONCATENATION", tensor("CONCATENATION", 0, **OFF)
    ),
    "concatenated zero points": Mutation(
        "concat-zero-points",
        "CONCATENATION",
        tensor("CONCATENATION", 1, **ONE_MORE),
        also=frozenset({"relu-zero-point"}),
    ),
    "softmax's scale": Mutation(
        "softmax-scale", "SOFTMAX", tensor("SOFTMAX", None, scale=np.float32([1 / 255]))
    ),
    "softmax's zero point": Mutation(
        "softmax-zero-point", "SOFTMAX", tensor("SOFTMAX", None, zero_point=np.array([0]))
    ),
    "softmax's beta": Mutation("softmax-beta", "SOFTMAX", attrs("SOFTMAX", beta=2.0)),
    "softmax of a column": Mutation(
        "softmax-input",
        "SOFTMAX",
        tensor("SOFTMAX", 0, shape=lambda s: s[::-1]),
        also=frozenset({"weight-shape", "bias-shape", "dense-output"}),
    ),
    "logistic's scale": Mutation("fixed-scale", "LOGISTIC", tensor("LOGISTIC", None, **HALF)),
    "logistic's zero point": Mutation(
        "fixed-zero-point", "LOGISTIC", tensor("LOGISTIC", None, **ONE_MORE)
    ),
    "computed weights": Mutation("not-constant", CONV, computed(CONV, 1)),
    "weights of floats": Mutation("weight-type", CONV, float_weights),
    "weights of another shape": Mutation("weight-shape", CONV, thinner_weights(CONV)),
    "a weight of -128": Mutation("weight-minus-128", CONV, tensor(CONV, 1, data=one_minus_128)),
    "a dense weight of -128": Mutation(
        "weight-minus-128", DENSE, tensor(DENSE, 1, data=one_minus_128)
    ),
    "weights' zero point": Mutation("weight-zero-point", CONV, tensor(CONV, 1, **ONE_MORE)),
    "a weight scale of 0": Mutation(
        "weight-scale", CONV, tensor(CONV, 1, scale=np.zeros_like), writable=False
    ),
    "too few weight scales": Mutation("weight-scale-count", CONV, fewer_channels(CONV)),
    "weight scales along columns": Mutation("quantized-dimension", CONV, tensor(CONV, 1, axis=3)),
    "depthwise scales along rows": Mutation("quantized-dimension", DW, tensor(DW, 1, axis=0)),
    "no bias": Mutation("bias-missing", CONV, without_bias(CONV)),
    "no depthwise bias": Mutation("bias-missing", DW, without_bias(DW)),
    "a bias of floats": Mutation("bias-type", CONV, float_bias(CONV)),
    "a bias too short": Mutation(
        "bias-shape", CONV, tensor(CONV, 2, shape=lambda s: (s[0] - 1,), data=dropped)
    ),
    "bias's zero point": Mutation("bias-zero-point", CONV, tensor(CONV, 2, **ONE_MORE)),
    "one bias scale": Mutation(
        "bias-scale-count",
        CONV,
        tensor(CONV, 2, scale=lambda s: s[:1].copy(), zero_point=lambda z: z[:1].copy()),
    ),
    "bias scales off": Mutation("bias-scale", CONV, tensor(CONV, 2, **OFF)),
    "dense bias scale off": Mutation("bias-scale", DENSE, tensor(DENSE, 2, **OFF)),
    "bias scales nearly right": Mutation(
        "bias-scale-inexact", CONV, tensor(CONV, 2, scale=ulp_more)
    ),
    "a bias beyond 2**30": Mutation("bias-range", CONV, tensor(CONV, 2, data=bigger)),
    "a pool's activation": Mutation(
        "pool-activation", "AVERAGE_POOL_2D", attrs("AVERAGE_POOL_2D", activation="RELU")
    ),
    "a max-pool's activation": Mutation(
        "pool-activation", "MAX_POOL_2D", attrs("MAX_POOL_2D", activation="RELU6")
    ),
    "a concatenation's activation": Mutation(
        "concat-activation", "CONCATENATION", attrs("CONCATENATION", activation="RELU")
    ),
    "a convolution's tanh": Mutation("fused-activation", CONV, attrs(CONV, activation="TANH")),
    "uneven dilation": Mutation("dilation", CONV, attrs(CONV, dilation=(1, 2))),
    "uneven depthwise dilation": Mutation("dilation", DW, attrs(DW, dilation=(2, 1))),
    "shuffled dense weights": Mutation(
        "dense-format", DENSE, attrs(DENSE, weights_format="SHUFFLED4x16INT8")
    ),
    "mean over the batch": Mutation("mean-batch", "MEAN", tensor("MEAN", 1, data=batch_axis_too)),
    "padding of the batch": Mutation("pad-batch", "PAD", tensor("PAD", 1, data=padded_batch)),
    "concatenated images": Mutation("batch-axis", "CONCATENATION", attrs("CONCATENATION", axis=0)),
    "a reshape that loses elements": Mutation(
        "reshape-elements", "RESHAPE", tensor("RESHAPE", 0, shape=lambda s: (1, s[1] + 1, *s[2:]))
    ),
    "two tensors of one name": Mutation("duplicate-names", "QUANTIZE", same_names),
}
for _op, _versions in VERSIONS.items():
    _change = version(_op, _versions.loads + 1)
    MUTATIONS[f"{_op} of a version too high"] = Mutation("op-version", _op, _change)
    if _versions.loads > _versions.proven and _versions.proven + 1 not in _versions.unmapped:
        _change = version(_op, _versions.proven + 1)
        MUTATIONS[f"{_op} of an untried version"] = Mutation("op-version-unproven", _op, _change)
MUTATIONS["a dense version that loads"] = Mutation("op-version-unmapped", DENSE, version(DENSE, 9))
