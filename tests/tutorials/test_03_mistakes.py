"""What students get wrong in tutorial 3, and what its checks then say."""

import numpy as np
import pytest

from checks import pooling_softmax_loss as check
from lesson import Wrong
from minicnn import layers
from minicnn.loss import CrossEntropy


def pool_backward(give, stride_used=True, images=None):
    """A student's max_pool_backward; ``give(dx, window, slope)`` fills the window's part of dx."""

    def max_pool_backward(x, dy, kernel, stride):
        dx = np.zeros_like(x)
        step = stride if stride_used else 1
        for n in images or range(len(x)):
            for i, j, c in np.ndindex(dy.shape[1:]):
                rows = slice(i * step, i * step + kernel)
                columns = slice(j * step, j * step + kernel)
                give(dx[n, rows, columns, c], x[n, rows, columns, c], dy[n, i, j, c])
        return dx

    return max_pool_backward


def to_winner(dx, window, slope):
    dx[np.unravel_index(window.argmax(), window.shape)] += slope


def overwrite(dx, window, slope):
    dx[np.unravel_index(window.argmax(), window.shape)] = slope


def to_all(dx, window, slope):
    dx += slope


def as_average(dx, window, slope):
    dx += slope / window.size


def to_equals(dx, window, slope):
    dx += slope * (window == window.max())


def split_among_equals(dx, window, slope):
    dx += slope * (window == window.max()) / (window == window.max()).sum()


def times_pixel(dx, window, slope):
    dx += slope * window * (window == window.max())


def to_darkest(dx, window, slope):
    dx[np.unravel_index(window.argmin(), window.shape)] += slope


def exchanged(dx, window, slope):
    dx[np.unravel_index(window.argmax(), window.shape)[::-1]] += slope


def minus(dx, window, slope):
    to_winner(dx, window, -slope)


def nothing(dx, window, slope):
    pass


def without_corner(x, dy, kernel, stride):
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(dy.shape):
        window = x[n, i * stride : i * stride + kernel, j * stride : j * stride + kernel, c]
        a, b = divmod(window.argmax(), kernel)
        dx[n, a, b, c] += dy[n, i, j, c]
    return dx


def outside(x, dy, kernel, stride):
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(dy.shape):
        window = x[n, i * stride : i * stride + kernel, j * stride : j * stride + kernel, c]
        dx[n, i * stride + window.argmax(), j * stride, c] += dy[n, i, j, c]
    return dx


def spoils_x(x, dy, kernel, stride):
    x[...] = pool_backward(to_winner)(x, dy, kernel, stride)
    return x


@pytest.mark.parametrize(
    ("max_pool_backward", "says"),
    [
        (pool_backward(overwrite), r"\+= and not ="),
        (pool_backward(to_all), "All pixels of the window"),
        (pool_backward(as_average), "average pooling"),
        (pool_backward(to_equals), "only the first may win"),
        (pool_backward(split_among_equals), "share dy"),
        (pool_backward(times_pixel), "multiplied by the pixel"),
        (pool_backward(to_darkest), "darkest"),
        (pool_backward(exchanged), "exchanged"),
        (pool_backward(minus), "sign"),
        (pool_backward(nothing), "Nothing was added"),
        (pool_backward(to_winner, stride_used=False), r"i \* stride"),
        (pool_backward(to_winner, images=[-1]), "Only the last image"),
        (pool_backward(to_winner, images=[0]), "Only the first image"),
        (without_corner, "window's corner"),
        (outside, "plus its place in the window"),
        (spoils_x, "x was changed"),
        (lambda x, dy, k, s: pool_backward(to_winner)(x, dy, k, s)[0], "has the shape"),
    ],
)
def test_pooling(max_pool_backward, says):
    with pytest.raises(Wrong, match=says):
        check.max_pool_backward(max_pool_backward)


def right_softmax(z):
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def shifted(z):
    return np.exp(z - z.max(axis=1, keepdims=True))


def column_maximum(z):
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=1, keepdims=True)


def overall_maximum(z):
    e = np.exp(z - z.max())
    return e / e.sum(axis=1, keepdims=True)


def shifted_by_mean(z):
    e = np.exp(10 * z - 10 * z.mean(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def without_keepdims(z):
    e = np.exp(z)
    return e / e.sum(axis=1)


def maximum_without_keepdims(z):
    e = np.exp(z - z.max(axis=1))
    return e / e.sum(axis=1, keepdims=True)


def no_keepdims_at_all(z):
    e = np.exp(z - z.max(axis=1))
    return e / e.sum(axis=1)


def spoils_logits(z):
    z -= z.max(axis=1, keepdims=True)
    return right_softmax(z)


@pytest.mark.parametrize(
    ("softmax", "says"),
    [
        (lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), "maximum first"),
        (lambda z: np.exp(z) / np.exp(z).sum(axis=0, keepdims=True), "axis=1"),
        (lambda z: right_softmax(z.T).T, "columns add up"),
        (lambda z: np.exp(z) / np.exp(z).sum(), "All images together"),
        (lambda z: shifted(z) / shifted(z).sum(), "All images together"),
        (lambda z: shifted(z) / np.exp(z).sum(axis=1, keepdims=True), "of the shifted e"),
        (column_maximum, "each column's maximum"),
        (lambda z: right_softmax(np.clip(z, -80, 80)), r"(?s)^(?!.*together).*off in"),
        (without_keepdims, "keepdims=True"),
        (maximum_without_keepdims, "keepdims=True"),
        (no_keepdims_at_all, "keepdims=True"),
        (lambda z: np.exp(z.T - z.max(axis=1)) / np.exp(z).sum(axis=1), "off in|has the shape"),
        (overall_maximum, "each row's own maximum"),
        (shifted_by_mean, "off in"),
        (np.exp, "do not add up to 1 yet"),
        (lambda z: np.exp(z - z.max(axis=1, keepdims=True)), "do not add up to 1 yet"),
        (lambda z: np.log(right_softmax(z)), "ln p"),
        (lambda z: right_softmax(-z), "sign"),
        (lambda z: z / z.sum(axis=1, keepdims=True), r"e\^z is missing"),
        (lambda z: 1 / (1 + np.exp(-z)), "sigmoid"),
        (lambda z: z.argmax(axis=1), "the answer"),
        (spoils_logits, "logits were changed"),
    ],
)
def test_softmax(softmax, says):
    with pytest.raises(Wrong, match=says):
        check.softmax(softmax)


def gradient(inner):
    """A student's loss_gradient around ``inner(p, y, weights, labels)``."""

    def loss_gradient(logits, labels, class_weights):
        y = np.zeros(logits.shape)
        y[np.arange(len(labels)), labels] = 1
        return inner(right_softmax(logits), y, class_weights, labels)

    return loss_gradient


def whole_rows(p, y, w, k):
    p[k] -= 1
    return p * w[k][:, None] / len(p)


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        (lambda p, y, w, k: (p - y) * w[k][:, None], "That is the sum"),
        (lambda p, y, w, k: (p - y) * w[k][:, None] / p.size, "not by all elements"),
        (lambda p, y, w, k: (p - y) / len(p), "class weights are missing"),
        (lambda p, y, w, k: p - y, "class weights are missing, and the mean"),
        (lambda p, y, w, k: (p - y) * w / len(p), "went to the columns"),
        (lambda p, y, w, k: (p - y) * w, "went to the columns"),
        (lambda p, y, w, k: (p - y) * w[k] / len(p), "is a column"),
        (lambda p, y, w, k: (p - y) * w[:, None] / len(p), "weight of class n"),
        (lambda p, y, w, k: (p - y) * w[k][:, None] / w[k].sum(), "PyTorch"),
        (lambda p, y, w, k: (p - y * w[k][:, None]) / len(p), "p is weighted too"),
        (lambda p, y, w, k: (p - y) * w[p.argmax(1)][:, None] / len(p), "not of the answer"),
        (lambda p, y, w, k: (y - p) * w[k][:, None] / len(p), "sign"),
        (lambda p, y, w, k: (y - p) * w[k][:, None], "sign"),
        (lambda p, y, w, k: p * w[k][:, None] / len(p), "Where is the label"),
        (lambda p, y, w, k: y * (p - y) * w[k][:, None] / len(p), "the other logits have one too"),
        (lambda p, y, w, k: (p - k[:, None]) * w[k][:, None] / len(p), "one-hot"),
        (lambda p, y, w, k: (p - k) * w[k][:, None] / len(p), "one-hot"),
        (lambda p, y, w, k: (w[k] * -np.log((p * y).sum(axis=1))).mean(), "That is the loss"),
        (lambda p, y, w, k: (p - y)[:, k.max() + 1] * w, "np.eye"),
        (lambda p, y, w, k: (p - y) * w[k][:, None] / p.shape[1], "not by the classes"),
        (lambda p, y, w, k: ((p - y) * w[k][:, None]).mean(axis=0), "only the division by N"),
        (lambda p, y, w, k: ((p - y) * w[k][:, None]).mean(), "only the division by N"),
        (lambda p, y, w, k: p, "Where is the label"),
        (whole_rows, "1 from whole rows"),
        (lambda p, y, w, k: p.argmax(axis=1), "has the shape"),
    ],
)
def test_loss_gradients(inner, says):
    with pytest.raises(Wrong, match=says):
        check.loss_gradient(gradient(inner))


def test_a_gradient_without_softmax():
    def of_logits(logits, labels, weights):
        y = np.eye(logits.shape[1])[labels]
        return (logits - y) * weights[labels][:, None] / len(logits)

    with pytest.raises(Wrong, match="softmax makes p"):
        check.loss_gradient(of_logits)


def test_the_right_answers_pass():
    check.max_pool_backward(pool_backward(to_winner))
    check.softmax(right_softmax)
    check.loss_gradient(gradient(lambda p, y, w, k: (p - y) * w[k][:, None] / len(p)))


def test_minicnns_own_pass():
    def pool(x, dy, kernel, stride):
        layer = layers.MaxPool2D(kernel, stride)
        layer.forward(x, train=True)
        return layer.backward(dy)

    check.max_pool_backward(pool)
    check.softmax(layers.Softmax().forward)
    check.loss_gradient(lambda logits, labels, weights: CrossEntropy(weights)(logits, labels)[1])
