"""The rules of the Edge TPU check, by id: how bad a breach is and what the compiler would say.

Sources, in the order of how much they prove:
    accepted   files with a compiled twin in public repositories; none of them breaks the rule
    TFLite     the kernels' own checks; the compiler loads the file in a TFLite of 2021 first
    coral.ai   https://coral.ai/docs/edgetpu/models-intro, supported operations and their limits
    reports    https://github.com/google-coral/edgetpu/issues, numbers as below
The compiler is closed: what it really says to one file only it can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

REFUSED = "refused"  # the whole file: it would fail to load or compile, or compute something else
UNMAPPED = "unmapped"  # this operation and everything behind it would run on the CPU
WARNING = "warning"  # works, or nothing is known against it, but no accepted file is like this
SEVERITIES = (REFUSED, UNMAPPED, WARNING)

MAPPED_STATUS = "Mapped to Edge TPU"
LATER_STATUS = "More than one subgraph is not supported"
TYPE_STATUS = "Operation is working on an unsupported data type"
LIMIT_STATUS = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
VERSION_STATUS = "Operation version not supported"
UNSUPPORTED_STATUS = "Operation not supported"
RANK_STATUS = "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"
CONSTANT_STATUS = "Filter, bias, or other param is not constant at compile-time"
LARGE_STATUS = "Compilation failed due to large activation tensors in model"
STATIC_STATUS = (
    "Attempting to use a delegate that only supports static-sized tensors with a graph that has "
    "dynamic-sized tensors"
)
LOAD_STATUS = "Model failed in Tflite interpreter"
QUANTIZED_STATUS = "Model not quantized"
INVALID_STATUS = "Invalid model"
WRONG_STATUS = "(no message: it would run and compute something else)"


@dataclass(frozen=True)
class Rule:
    """severity: one of the three; status: the compiler's words, "" for a warning; source: above."""

    severity: str
    status: str
    source: str


def _refused(status: str, source: str) -> Rule:
    return Rule(REFUSED, status, source)


def _unmapped(status: str, source: str) -> Rule:
    return Rule(UNMAPPED, status, source)


def _warning(source: str) -> Rule:
    return Rule(WARNING, "", source)


CONTAINER: dict[str, Rule] = {
    "identifier": _refused(INVALID_STATUS, "TFLite, accepted: the file's id is TFL3"),
    "schema-version": _refused(INVALID_STATUS, "TFLite, accepted: 3"),
    "subgraphs": _refused(LATER_STATUS, "accepted: one"),
    "buffer-zero": _refused(INVALID_STATUS, "accepted: buffer 0 is empty, by convention"),
    "sparse-tensor": _refused(INVALID_STATUS, "TFLite: integer kernels take dense weights"),
    "quantization-kind": _refused(INVALID_STATUS, "TFLite: scale and zero point"),
    "builtin-codes": _warning("accepted: the two fields of an operator code do not disagree"),
    "duplicate-names": _warning("accepted: no two tensors of one name"),
    "no-operations": _refused(INVALID_STATUS, "there is nothing to map"),
    "already-compiled": _refused(
        INVALID_STATUS, "the compiler's own output has a custom operation"
    ),
    "parameters-size": _warning("reports: 7.7 to 7.9 MiB are cached, the rest streams each time"),
}

OPERATION: dict[str, Rule] = {
    "op-unknown": _unmapped(UNSUPPORTED_STATUS, "coral.ai"),
    "op-too-new": _refused("Op builtin_code out of range", "TFLite 2.5's schema; onnx-simplifier"),
    "custom-op": _unmapped("Operation is a custom operation", "coral.ai"),
    "op-version": _refused("Didn't find op for builtin opcode", "reports 631; TFLite 2.5.0 loads"),
    "op-version-unmapped": _unmapped(VERSION_STATUS, "reports 420"),
    "op-version-unproven": _warning("newer than in any accepted file, older than the loader's end"),
    "op-operands": _refused(LOAD_STATUS, "TFLite: the kernels' own checks"),
    "fused-activation": _unmapped(LIMIT_STATUS, "TFLite: integer kernels know four"),
    "pool-activation": _unmapped(LIMIT_STATUS, "coral.ai"),
    "concat-activation": _refused(LOAD_STATUS, "coral.ai, TFLite concatenation.cc"),
    "dilation": _unmapped(LIMIT_STATUS, "coral.ai"),
    "dense-format": _refused(LOAD_STATUS, "coral.ai, TFLite fully_connected.cc"),
    "dense-output": _unmapped(LIMIT_STATUS, "coral.ai"),
    "dense-per-channel": _warning("TFLite before 2.11 computes it wrong and says nothing"),
    "softmax-input": _unmapped(LIMIT_STATUS, "coral.ai: one dimension of at most 16,000"),
    "softmax-beta": _unmapped(LIMIT_STATUS, "accepted: 1"),
    "concat-constant": _unmapped(LIMIT_STATUS, "coral.ai: only zeros, and only one of two inputs"),
    "mean-batch": _unmapped(LIMIT_STATUS, "coral.ai"),
    "mean-channels": _unmapped(LIMIT_STATUS, "coral.ai: z % 4 == 0"),
    "pad-batch": _unmapped(LIMIT_STATUS, "coral.ai"),
    "batch-axis": _unmapped(LIMIT_STATUS, "coral.ai"),
    "squeeze-layout": _unmapped(LIMIT_STATUS, "coral.ai: only leading ones"),
    "slice-strides": _unmapped(LIMIT_STATUS, "coral.ai: strides of 1, no ellipsis, no new axis"),
    "reshape-elements": _refused(LOAD_STATUS, "TFLite reshape.cc"),
}

TENSOR: dict[str, Rule] = {
    "not-quantized": _refused(QUANTIZED_STATUS, "reports 79, 168, 313"),
    "float-tensor": _unmapped(TYPE_STATUS, "coral.ai"),
    "data-type": _unmapped(TYPE_STATUS, "coral.ai: int8 or uint8"),
    "mixed-types": _refused(LOAD_STATUS, "TFLite: one type for all of an operation"),
    "static-shape": _refused(STATIC_STATUS, "coral.ai, reports 829; reshape.cc, pad.cc, reduce.cc"),
    "dynamic-batch": _warning("accepted: a vector's signature (-1, n) beside a static shape"),
    "batch": _unmapped(RANK_STATUS, "coral.ai, reports 30, 75"),
    "rank": _unmapped(RANK_STATUS, "coral.ai"),
    "activation-size": _unmapped(LARGE_STATUS, "reports 157, 309, 439; the limit is unpublished"),
    "quantization-missing": _refused(QUANTIZED_STATUS, "TFLite: int8 needs a scale"),
    "activation-per-channel": _refused(LOAD_STATUS, "TFLite's specification"),
    "activation-scale": _refused(
        "no_integer_overflow_from_quantization was not true", "reports 453; tensorflow 47143"
    ),
    "zero-point-length": _refused(INVALID_STATUS, "accepted: as many zero points as scales"),
    "zero-point-range": _refused(INVALID_STATUS, "TFLite's specification: within the type"),
    "relu-zero-point": _warning("accepted: -128 behind a fused RELU or RELU6"),
    "pool-scales": _refused(WRONG_STATUS, "TFLite pooling.cc ignores the second scale"),
    "reshape-scales": _refused(WRONG_STATUS, "TFLite reshape.cc copies"),
    "copy-scales": _refused(WRONG_STATUS, "TFLite: the kernel copies or compares stored values"),
    "concat-scales": _refused(LOAD_STATUS, "TFLite concatenation.cc"),
    "concat-zero-points": _refused(LOAD_STATUS, "TFLite concatenation.cc"),
    "softmax-scale": _refused(WRONG_STATUS, "TFLite activations.cc computes with 1/256"),
    "softmax-zero-point": _refused(WRONG_STATUS, "TFLite activations.cc: the lowest value"),
    "fixed-scale": _refused(LOAD_STATUS, "TFLite: LOGISTIC 1/256, TANH and L2_NORMALIZATION 1/128"),
    "fixed-zero-point": _refused(WRONG_STATUS, "TFLite: as for fixed-scale"),
}

WEIGHTS: dict[str, Rule] = {
    "not-constant": _unmapped(CONSTANT_STATUS, "coral.ai, reports 25"),
    "weight-type": _refused(INVALID_STATUS, "TFLite conv.cc: weights of the input's type"),
    "weight-shape": _refused(LOAD_STATUS, "TFLite conv.cc, depthwise_conv.cc, fully_connected.cc"),
    "weight-minus-128": _refused(INVALID_STATUS, "TFLite's specification, accepted: [-127, 127]"),
    "weight-zero-point": _refused(WRONG_STATUS, "TFLite's specification, accepted: 0"),
    "weight-scale": _refused(INVALID_STATUS, "TFLite: finite and above 0"),
    "weight-scale-count": _refused(LOAD_STATUS, "TFLite kernel_util.cc: 1 or the channels"),
    "quantized-dimension": _refused(LOAD_STATUS, "TFLite kernel_util.cc: 0; DEPTHWISE 3"),
    "bias-missing": _refused(LOAD_STATUS, "TFLite conv.cc: three inputs"),
    "bias-type": _refused(QUANTIZED_STATUS, "reports 168, 313: int32"),
    "bias-shape": _refused(LOAD_STATUS, "TFLite conv.cc: one for each output channel"),
    "bias-zero-point": _refused(WRONG_STATUS, "TFLite's specification, accepted: 0"),
    "bias-scale-count": _refused(WRONG_STATUS, "accepted: as many scales as the weights have"),
    "bias-scale": _refused(WRONG_STATUS, "TFLite computes with input times weights; 2.1 refused"),
    "bias-scale-inexact": _warning("accepted: exactly the float32 product, in int8 files"),
    "bias-range": _warning("accepted: up to about 2**30, so that sums stay in 32 bits"),
}

RULES: dict[str, Rule] = {**CONTAINER, **OPERATION, **TENSOR, **WEIGHTS}


@dataclass(frozen=True)
class Finding:
    """One breach of one rule: where (a node's path or a tensor's name), what, what would be right.

    ``remedy`` completes the sentence "wanted ...".
    """

    rule: str
    where: str
    problem: str
    remedy: str

    @property
    def severity(self) -> str:
        """refused, unmapped or warning."""
        return RULES[self.rule].severity

    @property
    def status(self) -> str:
        """What the compiler would say."""
        return RULES[self.rule].status

    def __str__(self) -> str:
        return f"{self.severity} [{self.rule}] {self.where}: {self.problem}; wanted {self.remedy}"
