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

from numba import njit


@njit(cache=True)
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


@njit(cache=True)
def conv2d_backward_input(dy, channel, w, stride, pad, dx, add):
    """dx = the gradient that reaches x; added to what dx holds if ``add``.

    dy (N, OH, OW, at least channel + OC), w (OC, KH, KW, C), dx (N, H, W, C).
    """
    N, OH, OW, _ = dy.shape
    OC, KH, KW, C = w.shape
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
                                total += dy[n, i, j, channel + o] * w[o, kh, kw, c]
                    if add:
                        total += dx[n, h, v, c]
                    dx[n, h, v, c] = total


@njit(cache=True)
def conv2d_backward_weights(x, dy, channel, stride, pad, dw, db):
    """dw (OC, KH, KW, C) and db (OC,): gradients summed over images and pixels."""
    N, H, W, C = x.shape
    _, OH, OW, _ = dy.shape
    OC, KH, KW, _ = dw.shape
    for o in range(OC):
        total = 0.0
        for n in range(N):
            for i in range(OH):
                for j in range(OW):
                    total += dy[n, i, j, channel + o]
        db[o] = total
        for kh in range(KH):
            for kw in range(KW):
                for c in range(C):
                    total = 0.0
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _window(i, stride, pad, kernel, size):
    """First and one-past-last input index of output ``i``'s window, cut at the image's border."""
    start = i * stride - pad
    return max(start, 0), min(start + kernel, size)


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def dense_backward_input(dy, w, dx):
    """dx (N, IN) = dy (N, OUT) times w (OUT, IN)."""
    for n in range(dx.shape[0]):
        for k in range(dx.shape[1]):
            total = 0.0
            for o in range(dy.shape[1]):
                total += dy[n, o] * w[o, k]
            dx[n, k] = total


@njit(cache=True)
def dense_backward_weights(x, dy, dw, db):
    """dw (OUT, IN) = dy transposed times x; db (OUT,) = dy summed over the images."""
    for o in range(dw.shape[0]):
        total = 0.0
        for n in range(dy.shape[0]):
            total += dy[n, o]
        db[o] = total
        for k in range(dw.shape[1]):
            total = 0.0
            for n in range(dy.shape[0]):
                total += dy[n, o] * x[n, k]
            dw[o, k] = total


@njit(cache=True)
def relu_backward(dy, y, dx):
    """dx = dy where the ReLU's output y is positive, else 0; all three of one shape."""
    flat_dy, flat_y, flat_dx = dy.reshape(-1), y.reshape(-1), dx.reshape(-1)
    for i in range(flat_dx.size):
        flat_dx[i] = flat_dy[i] if flat_y[i] > 0.0 else 0.0


@njit(cache=True)
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


@njit(cache=True)
def softmax_backward(dy, y, dx):
    """dx = y * (dy - sum(dy * y)), row by row; y is the softmax's output."""
    for n in range(y.shape[0]):
        total = 0.0
        for c in range(y.shape[1]):
            total += dy[n, c] * y[n, c]
        for c in range(y.shape[1]):
            dx[n, c] = y[n, c] * (dy[n, c] - total)
