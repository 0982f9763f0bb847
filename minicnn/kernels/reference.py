"""Every kernel as plain loops: the textbook, and the oracle that the fast kernels are held against.

Set NUMBA_DISABLE_JIT=1 and a debugger steps through this very source.

Letters, the same in every file: N images, H x W pixels, C channels in, OC channels out, OH x OW
output pixels, KH x KW kernel. Arrays are N H W C; convolution weights OC, KH, KW, C; dense weights
OUT, IN (TFLite's orders). ``stride`` is (down, right); ``pad`` is (top, left), the rows and columns
of padding before the image. What is needed after it follows from the output's shape, so
TensorFlow's 'same', whose odd row goes to the end, needs no further argument.

Outputs are arguments: a kernel fills them and keeps their dtype (float32 or float64); sums are
taken in float64. Where an output may be part of a wider array (the two halves of a fire module's
concatenation), ``channel`` is the first channel of that part.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.kernels.jit import jit


@jit
def conv2d_forward(x, w, b, stride, pad, relu, y, channel):
    """y[..., channel:channel+OC] = x correlated with w, plus b, then ReLU if ``relu``.

    x (N, H, W, C), w (OC, KH, KW, C), b (OC,), y (N, OH, OW, at least channel + OC).
    """
    _, H, W, C = x.shape
    OC, KH, KW, _ = w.shape
    N, OH, OW, _ = y.shape
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for o in range(OC):
                    total = float(b[o])
                    for kh in range(KH):
                        h = i * stride[0] - pad[0] + kh
                        if h < 0 or h >= H:
                            continue
                        for kw in range(KW):
                            v = j * stride[1] - pad[1] + kw
                            if v < 0 or v >= W:
                                continue
                            for c in range(C):
                                total += x[n, h, v, c] * w[o, kh, kw, c]
                    # "less than" rather than max: a NaN must stay visible
                    if relu and total < 0.0:
                        total = 0.0
                    y[n, i, j, channel + o] = total


@jit
def conv2d_backward_input(dy, w, stride, pad, mask, dx):
    """dx = the gradient that reaches x, where ``mask`` is positive; 0 elsewhere.

    dy (N, OH, OW, OC), w (OC, KH, KW, C), dx (N, H, W, C). mask is like dx: x itself where x comes
    out of a ReLU, whose gradient is then included. An empty mask (no elements) keeps all of dx.
    """
    N, OH, OW, OC = dy.shape
    _, KH, KW, C = w.shape
    _, H, W, _ = dx.shape
    for n in range(N):
        for h in range(H):
            for v in range(W):
                for c in range(C):
                    total = 0.0
                    # the outputs (i, j) whose window covers the pixel (h, v)
                    for kh in range(KH):
                        i, skipped = divmod(h + pad[0] - kh, stride[0])
                        if skipped != 0 or i < 0 or i >= OH:
                            continue
                        for kw in range(KW):
                            j, skipped = divmod(v + pad[1] - kw, stride[1])
                            if skipped != 0 or j < 0 or j >= OW:
                                continue
                            for o in range(OC):
                                total += dy[n, i, j, o] * w[o, kh, kw, c]
                    if mask.size > 0 and not mask[n, h, v, c] > 0.0:
                        total = 0.0
                    dx[n, h, v, c] = total


@jit
def expands_backward_input(dy, w1, w3, mask, dx):
    """dx of a fire module's two expands: 1x1 and KHxKW 'same' convolutions of one input.

    dy (N, H, W, 2 * OC) holds the gradient of the 1x1's output, then that of the other's.
    w1 (OC, 1, 1, C), w3 (OC, KH, KW, C) with KH and KW odd; mask and dx (N, H, W, C) as in
    conv2d_backward_input.
    """
    N, H, W, _ = dy.shape
    OC, KH, KW, C = w3.shape
    for n in range(N):
        for h in range(H):
            for v in range(W):
                for c in range(C):
                    total = 0.0
                    for o in range(OC):
                        total += dy[n, h, v, o] * w1[o, 0, 0, c]
                    for kh in range(KH):
                        for kw in range(KW):
                            i, j = h + KH // 2 - kh, v + KW // 2 - kw
                            if 0 <= i < H and 0 <= j < W:
                                for o in range(OC):
                                    total += dy[n, i, j, OC + o] * w3[o, kh, kw, c]
                    if mask.size > 0 and not mask[n, h, v, c] > 0.0:
                        total = 0.0
                    dx[n, h, v, c] = total


@jit
def conv2d_backward_weights(x, dy, channel, stride, pad, adding, dw, db):
    """dw (OC, KH, KW, C) and db (OC,): gradients summed over images and pixels.

    They are added to what dw and db hold if ``adding``, else written.
    """
    N, H, W, C = x.shape
    _, OH, OW, _ = dy.shape
    OC, KH, KW, _ = dw.shape
    for o in range(OC):
        total = float(db[o]) if adding else 0.0
        for n in range(N):
            for i in range(OH):
                for j in range(OW):
                    total += dy[n, i, j, channel + o]
        db[o] = total
        for kh in range(KH):
            for kw in range(KW):
                for c in range(C):
                    total = float(dw[o, kh, kw, c]) if adding else 0.0
                    for n in range(N):
                        for i in range(OH):
                            h = i * stride[0] - pad[0] + kh
                            if h < 0 or h >= H:
                                continue
                            for j in range(OW):
                                v = j * stride[1] - pad[1] + kw
                                if 0 <= v < W:
                                    total += x[n, h, v, c] * dy[n, i, j, channel + o]
                    dw[o, kh, kw, c] = total


@jit
def maxpool_forward(x, kernel, stride, pad, y, argmax):
    """y = the largest value of each window; argmax = its place kh * KW + kw in the window.

    x (N, H, W, C), y and argmax (N, OH, OW, C); argmax is of any integer dtype that holds KH * KW.
    Pixels outside the image never win (they count as -inf); of equal values the first wins.
    """
    _, H, W, _ = x.shape
    N, OH, OW, C = y.shape
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for c in range(C):
                    best, place = -math.inf, -1
                    for kh in range(kernel[0]):
                        h = i * stride[0] - pad[0] + kh
                        for kw in range(kernel[1]):
                            v = j * stride[1] - pad[1] + kw
                            inside = 0 <= h < H and 0 <= v < W
                            if not inside:
                                continue
                            # a NaN must stay visible: "not <=" lets it win, "==" keeps it
                            wins = best == best and not x[n, h, v, c] <= best
                            if wins or place < 0:
                                best, place = x[n, h, v, c], kh * kernel[1] + kw
                    y[n, i, j, c] = best
                    argmax[n, i, j, c] = place


@jit
def maxpool_backward(dy, argmax, kernel, stride, pad, dx):
    """dx = each dy added to the pixel that won its window; the other pixels get 0."""
    N, OH, OW, C = dy.shape
    dx[...] = 0.0
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for c in range(C):
                    kh, kw = divmod(int(argmax[n, i, j, c]), kernel[1])
                    h = i * stride[0] - pad[0] + kh
                    v = j * stride[1] - pad[1] + kw
                    dx[n, h, v, c] += dy[n, i, j, c]


@jit
def conv_pool_forward(x, w, b, stride, pad, size, kernel, pool_stride, y, argmax):
    """Convolution, ReLU and max-pooling without padding in one: y and argmax as of maxpool_forward.

    ``size`` is (OH, OW) of the convolution; ``kernel`` and ``pool_stride`` are the pooling's.
    """
    conv = np.empty((x.shape[0], size[0], size[1], w.shape[0]), x.dtype)
    conv2d_forward(x, w, b, stride, pad, True, conv, 0)
    maxpool_forward(conv, kernel, pool_stride, (0, 0), y, argmax)


@jit
def conv_pool_backward_weights(
    x, dy, argmax, stride, pad, size, kernel, pool_stride, adding, dw, db
):
    """dw and db from the gradient of what conv_pool_forward gave, past its ReLU.

    That gradient is 0 where y is; arguments as of conv_pool_forward and conv2d_backward_weights.
    """
    dconv = np.empty((x.shape[0], size[0], size[1], dw.shape[0]), x.dtype)
    maxpool_backward(dy, argmax, kernel, pool_stride, (0, 0), dconv)
    conv2d_backward_weights(x, dconv, 0, stride, pad, adding, dw, db)


@jit
def _window(i, stride, pad, kernel, size):
    """First and one-past-last input index of output ``i``'s window, cut at the image's border."""
    start = i * stride - pad
    return max(start, 0), min(start + kernel, size)


@jit
def avgpool_forward(x, kernel, stride, pad, y):
    """y = the mean of each window; padding does not count, as in TensorFlow."""
    _, H, W, _ = x.shape
    N, OH, OW, C = y.shape
    for n in range(N):
        for i in range(OH):
            top, bottom = _window(i, stride[0], pad[0], kernel[0], H)
            for j in range(OW):
                left, right = _window(j, stride[1], pad[1], kernel[1], W)
                for c in range(C):
                    total = 0.0
                    for h in range(top, bottom):
                        for v in range(left, right):
                            total += x[n, h, v, c]
                    y[n, i, j, c] = total / ((bottom - top) * (right - left))


@jit
def avgpool_backward(dy, kernel, stride, pad, dx):
    """dx = each dy spread evenly over the pixels of its window."""
    N, OH, OW, C = dy.shape
    _, H, W, _ = dx.shape
    dx[...] = 0.0
    for n in range(N):
        for i in range(OH):
            top, bottom = _window(i, stride[0], pad[0], kernel[0], H)
            for j in range(OW):
                left, right = _window(j, stride[1], pad[1], kernel[1], W)
                for c in range(C):
                    share = dy[n, i, j, c] / ((bottom - top) * (right - left))
                    for h in range(top, bottom):
                        for v in range(left, right):
                            dx[n, h, v, c] += share


@jit
def dense_forward(x, w, b, relu, y):
    """y (N, OUT) = x (N, IN) times w (OUT, IN) transposed, plus b (OUT,), then ReLU if ``relu``."""
    for n in range(y.shape[0]):
        for o in range(y.shape[1]):
            total = float(b[o])
            for k in range(x.shape[1]):
                total += x[n, k] * w[o, k]
            if relu and total < 0.0:
                total = 0.0
            y[n, o] = total


@jit
def dense_backward_input(dy, w, mask, dx):
    """dx (N, IN) = dy (N, OUT) times w (OUT, IN); mask as in conv2d_backward_input."""
    for n in range(dx.shape[0]):
        for k in range(dx.shape[1]):
            total = 0.0
            for o in range(dy.shape[1]):
                total += dy[n, o] * w[o, k]
            if mask.size > 0 and not mask[n, k] > 0.0:
                total = 0.0
            dx[n, k] = total


@jit
def dense_backward_weights(x, dy, adding, dw, db):
    """dw (OUT, IN) = dy transposed times x; db (OUT,) = dy summed over the images.

    They are added to what dw and db hold if ``adding``, else written.
    """
    for o in range(dw.shape[0]):
        total = float(db[o]) if adding else 0.0
        for n in range(dy.shape[0]):
            total += dy[n, o]
        db[o] = total
        for k in range(dw.shape[1]):
            total = float(dw[o, k]) if adding else 0.0
            for n in range(dy.shape[0]):
                total += dy[n, o] * x[n, k]
            dw[o, k] = total


@jit
def relu_backward(dy, y, dx):
    """dx = dy where the ReLU's output y is positive, else 0; all three of one shape."""
    flat_dy, flat_y, flat_dx = dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
    for i in range(flat_dx.size):
        flat_dx[i] = flat_dy[i] if flat_y[i] > 0.0 else 0.0


@jit
def softmax_forward(x, y):
    """y (N, C): each row of x (N, C) as probabilities.

    The row's largest value is subtracted first: the result is the same and exp cannot overflow.
    """
    for n in range(x.shape[0]):
        largest = x[n, 0]
        for c in range(x.shape[1]):
            largest = max(largest, x[n, c])
        total = 0.0
        for c in range(x.shape[1]):
            total += math.exp(x[n, c] - largest)
        for c in range(x.shape[1]):
            y[n, c] = math.exp(x[n, c] - largest) / total


@jit
def softmax_backward(dy, y, dx):
    """dx = y * (dy - sum(dy * y)), row by row; y is the softmax's output."""
    for n in range(y.shape[0]):
        total = 0.0
        for c in range(y.shape[1]):
            total += dy[n, c] * y[n, c]
        for c in range(y.shape[1]):
            dx[n, c] = y[n, c] * (dy[n, c] - total)


@jit
def dropout(x, rate, key, first, y):
    """y = x / (1 - rate), or 0 with probability ``rate``; x and y of one shape.

    Element i is the (first + i)-th of the stream that ``key`` (uint64) names, and stays or goes by
    that stream's hash, so the same call gives the same answer again. SplitMix64's output function:
    Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    flat_x, flat_y = x.reshape(-1), y.reshape(-1)
    bar = np.uint64(rate * 2.0**32)
    scale = 1.0 / (1.0 - rate)
    for i in range(flat_x.size):
        z = key + np.uint64(first + i + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        flat_y[i] = flat_x[i] * scale if z >> np.uint64(32) >= bar else 0.0


@jit
def sgd_update(w, v, grad, lr, momentum, nesterov, decay):
    """w *= decay; v = momentum * v - lr * grad; then w += v (``nesterov``: a step ahead).

    Nesterov adds momentum * v - lr * grad instead. Three flat arrays of one size.
    """
    for i in range(w.size):
        change = lr * grad[i]
        v[i] = momentum * v[i] - change
        w[i] = w[i] * decay + (momentum * v[i] - change if nesterov else v[i])


@jit
def adam_update(w, m, v, grad, rate, beta_1, beta_2, epsilon, decay):
    """m and v follow grad and its square; w = w * decay - rate * m / (sqrt(v) + epsilon).

    Four flat arrays of one size; ``rate`` has the correction for the zeros m and v began with.
    """
    for i in range(w.size):
        m[i] += (grad[i] - m[i]) * (1.0 - beta_1)
        v[i] += (grad[i] * grad[i] - v[i]) * (1.0 - beta_2)
        w[i] = w[i] * decay - rate * m[i] / (math.sqrt(v[i]) + epsilon)
