"""Int8 kernels that none of our layers needs, but a file of another exporter may: see ``int8``."""

from __future__ import annotations

from minicnn.kernels.fixed_point import multiply, saturate, wrap
from minicnn.kernels.jit import jit


@jit
def depthwise_conv2d(
    x, w, b, x_zero, multiplier, shift, y_zero, stride, pad, dilation, low, high, y
):
    """Each channel of x with kernels of its own: OC = C * (kernels a channel), in that order.

    w (1, KH, KW, OC); the others as for conv2d. internal/reference/integer_ops/depthwise_conv.h
    """
    _, H, W, C = x.shape
    _, KH, KW, _ = w.shape
    N, OH, OW, OC = y.shape
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for o in range(OC):
                    total, c = int(b[o]), o // (OC // C)
                    for kh in range(KH):
                        h = i * stride[0] - pad[0] + kh * dilation[0]
                        if h < 0 or h >= H:
                            continue
                        for kw in range(KW):
                            v = j * stride[1] - pad[1] + kw * dilation[1]
                            if v < 0 or v >= W:
                                continue
                            total += (int(x[n, h, v, c]) - x_zero) * int(w[0, kh, kw, o])
                    scaled = multiply(wrap(total), int(multiplier[o]), int(shift[o]))
                    y[n, i, j, o] = saturate(scaled + y_zero, low, high)


@jit
def mean(x, x_zero, multiplier, shift, y_zero, y):
    """y (N, C) = the mean over the pixels of x (N, H, W, C), brought to y's scale.

    multiplier and shift of x_scale / y_scale / (H * W), as ``mean_multiplier`` gives them.
    QuantizedMeanOrSum of internal/reference/reduce.h
    """
    N, H, W, C = x.shape
    for n in range(N):
        for c in range(C):
            total = 0
            for h in range(H):
                for v in range(W):
                    total += int(x[n, h, v, c]) - x_zero
            y[n, c] = saturate(multiply(total, multiplier, shift) + y_zero, -128, 127)


def mean_multiplier(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """The (multiplier, shift) of a scale divided by ``count``. internal/reference/reduce.h"""
    places = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << places) // count, shift - places


@jit
def add(a, a_zero, a_factor, b, b_zero, b_factor, y_factor, y_zero, low, high, y):
    """y = a + b, three flat arrays, in a scale of twice the larger one's, 20 bits finer.

    Each factor is a (multiplier, shift). internal/reference/integer_ops/add.h
    """
    for i in range(y.size):
        total = multiply((int(a[i]) - a_zero) << 20, a_factor[0], a_factor[1])
        total += multiply((int(b[i]) - b_zero) << 20, b_factor[0], b_factor[1])
        y[i] = saturate(multiply(total, y_factor[0], y_factor[1]) + y_zero, low, high)
