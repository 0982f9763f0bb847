"""TFLite's int8 kernels as plain loops: the arithmetic of OpResolverType.BUILTIN_REF, bit for bit.

A stored integer q stands for scale * (q - zero). A convolution sums (x - x_zero) * w and the bias
in int32, which is exact, and then comes back to int8 by one multiplication with
x_scale * w_scale / y_scale: the only inexact step, whose roundings are in ``fixed_point``.

Set NUMBA_DISABLE_JIT=1 and a debugger steps through this very source. Letters, stride and pad are
those of ``reference``; outputs are arguments. x and y are int8 unless said otherwise; ``low`` and
``high`` are the smallest and the largest integer of the output: its type's, or narrower where an
activation is fused. Padding stands for the value 0, so it adds nothing to a sum.

Each docstring names TFLite's source, below tensorflow/lite/kernels/ (LiteRT: tflite/kernels/).
"""

from __future__ import annotations

import numpy as np

from minicnn.kernels.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    divide_by_power_of_two,
    exp_of_negative,
    high_mul,
    leading_zeros,
    multiply,
    reciprocal,
    round_half_away,
    saturate,
    wrap,
)
from minicnn.kernels.jit import jit


@jit
def conv2d(x, w, b, x_zero, multiplier, shift, y_zero, stride, pad, dilation, low, high, y):
    """y = x correlated with w, plus b, brought to y's scale.

    x (N, H, W, C), w (OC, KH, KW, C) int8, b (OC,) int32, y (N, OH, OW, OC); multiplier and shift
    (OC,) int32, of x_scale * w_scale[o] / y_scale. internal/reference/integer_ops/conv.h
    """
    _, H, W, C = x.shape
    _, KH, KW, _ = w.shape
    N, OH, OW, OC = y.shape
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for o in range(OC):
                    total = int(b[o])
                    for kh in range(KH):
                        h = i * stride[0] - pad[0] + kh * dilation[0]
                        if h < 0 or h >= H:
                            continue
                        for kw in range(KW):
                            v = j * stride[1] - pad[1] + kw * dilation[1]
                            if v < 0 or v >= W:
                                continue
                            for c in range(C):
                                total += (int(x[n, h, v, c]) - x_zero) * int(w[o, kh, kw, c])
                    scaled = multiply(wrap(total), int(multiplier[o]), int(shift[o]))
                    y[n, i, j, o] = saturate(scaled + y_zero, low, high)


@jit
def _dot(x, w, b, x_zero, n, o):
    total = int(b[o])
    for k in range(x.shape[1]):
        total += (int(x[n, k]) - x_zero) * int(w[o, k])
    return wrap(total)


@jit
def fully_connected(x, w, b, x_zero, multiplier, shift, y_zero, low, high, y):
    """y (N, OUT) = x (N, IN) times w (OUT, IN) transposed, plus b; in fixed point.

    The rule of tflite-runtime 2.14; b, multiplier and shift (OUT,) int32.
    internal/reference/integer_ops/fully_connected.h
    """
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            total = _dot(x, w, b, x_zero, n, o)
            scaled = multiply(total, int(multiplier[o]), int(shift[o]))
            y[n, o] = saturate(scaled + y_zero, low, high)


@jit
def fully_connected_double(x, w, b, x_zero, scale, y_zero, low, high, y):
    """The same by the rule of LiteRT 2.3: the sum times a double, rounded once.

    scale (OUT,) float64, x_scale * w_scale[o] / y_scale. The same file, overloaded.
    """
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            scaled = _dot(x, w, b, x_zero, n, o) * scale[o]
            # beyond int32, C's conversion has no defined result: here it saturates
            scaled = saturate(scaled, float(INT32_MIN), float(INT32_MAX))
            y[n, o] = saturate(round_half_away(scaled) + y_zero, low, high)


@jit
def max_pool(x, kernel, stride, pad, low, high, y):
    """y = the largest integer of each window; scale and zero stay. integer_ops/pooling.h"""
    _, H, W, _ = x.shape
    N, OH, OW, C = y.shape
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for c in range(C):
                    best = low
                    for kh in range(kernel[0]):
                        for kw in range(kernel[1]):
                            h = i * stride[0] - pad[0] + kh
                            v = j * stride[1] - pad[1] + kw
                            if 0 <= h < H and 0 <= v < W:
                                best = max(best, int(x[n, h, v, c]))
                    y[n, i, j, c] = min(best, high)


@jit
def average_pool(x, kernel, stride, pad, low, high, y):
    """y = the mean of each window's pixels inside the image; ties go away from zero.

    The mean of the stored integers, so "zero" is the integer 0. integer_ops/pooling.h
    """
    _, H, W, _ = x.shape
    N, OH, OW, C = y.shape
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for c in range(C):
                    total, count = 0, 0
                    for kh in range(kernel[0]):
                        for kw in range(kernel[1]):
                            h = i * stride[0] - pad[0] + kh
                            v = j * stride[1] - pad[1] + kw
                            if 0 <= h < H and 0 <= v < W:
                                total += int(x[n, h, v, c])
                                count += 1
                    size = (abs(total) + count // 2) // count
                    y[n, i, j, c] = saturate(size if total > 0 else -size, low, high)


@jit
def softmax(x, multiplier, shift, diff_min, y):
    """y (N, C): each row of x (N, C) as probabilities, in steps of 1/256 from -128.

    multiplier and shift bring a difference of two integers to Q5.26; one below ``diff_min`` counts
    as minus infinity. Where a row's exp(x - largest) add up to 512 or more (of over 511 classes),
    TFLite ends the process with a failed check; here such a row's shares are 0.
    internal/reference/softmax.h
    """
    N, C = x.shape
    for n in range(N):
        largest = -128
        for c in range(C):
            largest = max(largest, int(x[n, c]))
        exps = np.zeros(C, np.int64)
        total = 0  # Q12.19
        for c in range(C):
            diff = int(x[n, c]) - largest
            if diff >= diff_min:
                exps[c] = exp_of_negative(multiply(diff, multiplier, shift))
                total += divide_by_power_of_two(int(exps[c]), 12)
        # total = 2^exponent * (1 + rest)
        zeros = leading_zeros(total)
        exponent, rest = 12 - zeros, (total << zeros) - (1 << 31)
        scale = reciprocal(rest)
        for c in range(C):
            share = divide_by_power_of_two(high_mul(scale, int(exps[c])), exponent + 31 - 8)
            y[n, c] = min(share - 128, 127)


@jit
def requantize(x, x_zero, multiplier, shift, y_zero, low, high, y):
    """y = x in another scale: flat arrays of int8 or uint8. Also RELU, whose ``low`` is y_zero.

    internal/reference/requantize.h; QuantizedReluX of activations.cc
    """
    for i in range(y.size):
        scaled = multiply(int(x[i]) - x_zero, multiplier, shift)
        y[i] = saturate(scaled + y_zero, low, high)


@jit
def quantize(x, scale, zero, low, high, y):
    """y = the integers nearest to x / scale + zero; flat, x and scale float32.

    Ties go away from zero before it is added. AffineQuantize of internal/reference/quantize.h
    """
    for i in range(y.size):
        # a float32 quotient, as in C; beyond int32 LiteRT 2.3 gives what the processor makes of it
        quotient = saturate(float(x[i] / scale), float(INT32_MIN), float(INT32_MAX))
        y[i] = saturate(round_half_away(quotient) + zero, low, high)


@jit
def dequantize(x, scale, zero, y):
    """y = scale * (x - zero); flat, y float32, scale float. internal/reference/dequantize.h"""
    for i in range(y.size):
        y[i] = scale * (int(x[i]) - zero)
