"""What students get wrong in tutorial 2, and what its checks then say."""

import numpy as np
import pytest

from checks import backward as check
from lesson import Wrong
from minicnn.layers import Conv2D


def backward(
    db=lambda db, o, slope: db[o] + slope,
    dw=lambda old, slope, seen: old + slope * seen,
    dx=lambda old, slope, w: old + slope * w,
    stride_used=True,
    images=None,
):
    """A student's conv2d_backward around what an output pixel makes of db[o], dw[o] and dx."""

    def conv2d_backward(x, w, dy, stride):
        N, OH, OW, OC = dy.shape
        _, KH, KW, _ = w.shape
        step = stride if stride_used else 1
        out_x, out_w, out_b = np.zeros(x.shape), np.zeros(w.shape), np.zeros(OC)
        for n in images or range(N):
            for i in range(OH):
                for j in range(OW):
                    a, c = i * step, j * step
                    for o in range(OC):
                        slope = dy[n, i, j, o]
                        out_b[o] = db(out_b, o, slope)
                        out_w[o] = dw(out_w[o], slope, x[n, a : a + KH, c : c + KW])
                        seen = out_x[n, a : a + KH, c : c + KW]
                        seen[...] = dx(seen, slope, w[o])
        return out_x, out_w, out_b

    return conv2d_backward


right = backward()


def at_end(change):
    """The right gradients, spoilt: ``change(dx, dw, db, x, dy)`` gives what is returned."""
    return lambda x, w, dy, stride: change(*right(x, w, dy, stride), x, dy)


def overwrites_dw_only_over_places(x, w, dy, stride):
    dx, dw, db = right(x, w, dy, stride)
    a, c = (dy.shape[1] - 1) * stride, (dy.shape[2] - 1) * stride
    seen = x[-1, a : a + w.shape[1], c : c + w.shape[2]]
    return dx, dy[-1, -1, -1][:, None, None, None] * seen, db


def one_image_for_all(x, w, dy, stride):
    return right(x[:1].repeat(len(x), 0), w, dy, stride)


def spoils_x(x, w, dy, stride):
    result = right(x, w, dy, stride)
    x *= 2
    return result


def pixel_for_window(x, w, dy, stride):
    dx, dw, db = right(x, w, dy, stride)
    dx[0, 0, 0] += dy[0, 0, 0, 0] * w[0]
    return dx, dw, db


def every_output(change, which):
    """The right gradients, one of them spoilt: 0 is dx, 1 dw, 2 db."""

    def conv2d_backward(x, w, dy, stride):
        result = list(right(x, w, dy, stride))
        result[which] = change(result[which], dy)
        return tuple(result)

    return conv2d_backward


def only_the_pixel(x, w, dy, stride):
    dx, dw, db = right(x, w, dy, stride)
    dx[...] = 0
    for n, i, j, o in np.ndindex(dy.shape):
        dx[n, i, j] += (dy[n, i, j, o] * w[o]).sum()
    return dx, dw, db


def w_for_x(x, w, dy, stride):
    dx, dw, db = right(x, w, dy, stride)
    return dx, sum(dy[place][:, None, None, None] * w for place in np.ndindex(dy.shape[:3])), db


def x_for_w(x, w, dy, stride):
    dx, dw, db = right(x, w, dy, stride)
    dx[...] = 0
    for n, i, j, o in np.ndindex(dy.shape):
        a, c = i * stride, j * stride
        rows, columns = slice(a, a + w.shape[1]), slice(c, c + w.shape[2])
        dx[n, rows, columns] += dy[n, i, j, o] * x[n, rows, columns]
    return dx, dw, db


def turned_dw(old, slope, seen):
    return old + slope * seen[::-1, ::-1]


def transposed_dx(x, w, dy, stride):
    if w.shape[1] != w.shape[2]:
        return right(x, w, dy, stride)
    _, dw, db = right(x, w, dy, stride)
    return right(x, w.transpose(0, 2, 1, 3), dy, stride)[0], dw, db


@pytest.mark.parametrize(
    ("conv2d_backward", "says"),
    [
        (backward(db=lambda db, o, slope: 0), "bias has a gradient too"),
        (at_end(lambda dx, dw, db, x, dy: (dx, dw, dy.mean((0, 1, 2)))), "not the mean"),
        (at_end(lambda dx, dw, db, x, dy: (dx, dw, db / len(x))), "divided by N"),
        (at_end(lambda dx, dw, db, x, dy: (dx, dw, db * 0 + dy.sum())), "a bias of its own"),
        (backward(db=lambda db, o, slope: slope), r"\+= and not ="),
        (backward(db=lambda db, o, slope: db[o] + 1), "dy is missing"),
        (backward(db=lambda db, o, slope: db[o] - slope), "sign"),
        (backward(images=[-1]), "Only the last image"),
        (backward(dw=lambda old, slope, seen: slope * seen), r"^dw.*\n.*\+= and not ="),
        (overwrites_dw_only_over_places, r"^dw.*\n.*\+= and not ="),
        (backward(dw=lambda old, slope, seen: old + seen), r"^dw.*\n.*dy is missing"),
        (backward(dw=turned_dw), r"^dw.*\n.*turned around"),
        (backward(dw=lambda old, slope, seen: old), "Nothing was added to dw"),
        (backward(stride_used=False), r"row i \* stride"),
        (one_image_for_all, "image 0"),
        (at_end(lambda dx, dw, db, x, dy: (dx, dw / len(x), db)), r"^dw.*\n.*divided by N"),
        (at_end(lambda dx, dw, db, x, dy: (dx, dw.transpose(0, 2, 1, 3), db)), "exchanged"),
        (at_end(lambda dx, dw, db, x, dy: (dx, dw.transpose(1, 2, 3, 0), db)), "OC KH KW C"),
        (at_end(lambda dx, dw, db, x, dy: (dw, dx, db)), "order is dx, dw, db"),
        (backward(dx=lambda old, slope, w: slope * w), r"^dx.*\n.*\+= and not ="),
        (backward(dx=lambda old, slope, w: old + slope), "w is missing"),
        (backward(dx=lambda old, slope, w: old + w), r"^dx.*\n.*dy is missing"),
        (backward(dx=lambda old, slope, w: old + slope * w[::-1, ::-1]), r"^dx.*\n.*turned around"),
        (backward(dx=lambda old, slope, w: old), "Nothing was added to dx"),
        (transposed_dx, r"^dx.*\n.*exchanged"),
        (every_output(lambda db, dy: db * dy.shape[-1], 2), "Inside the loop over o"),
        (only_the_pixel, "A window of dx gets something"),
        (w_for_x, r"^dw.*\n.*exchanged"),
        (x_for_w, r"^dx.*\n.*exchanged"),
        (spoils_x, "x was changed"),
        (backward(dw=lambda old, slope, seen: old + slope * seen[: seen.shape[1]]), "KH rows"),
        (pixel_for_window, "KH rows"),
        (at_end(lambda dx, dw, db, x, dy: (dw, db)), "three arrays"),
        (at_end(lambda dx, dw, db, x, dy: (dx * 1.01, dw, db)), "off in"),
        (at_end(lambda dx, dw, db, x, dy: (dx, dw * np.nan, db)), "off in"),
    ],
)
def test_backwards(conv2d_backward, says):
    with pytest.raises(Wrong, match=says):
        check.conv2d_backward(conv2d_backward)


def quotient(inner, flat=False):
    """A student's numeric_gradient around ``inner(f, w, step, h)``."""

    def numeric_gradient(f, w, h):
        slope = np.zeros(w.shape)
        for place in np.ndindex(w.shape):
            step = np.zeros_like(w)
            step[place] = h
            slope[place] = inner(f, w, step, h)
        return slope.ravel() if flat else slope

    return numeric_gradient


def central(f, w, step, h):
    return (f(w + step) - f(w - step)) / (2 * h)


def moves_w(f, w, step, h):
    w += step
    above = f(w)
    w -= 2 * step
    return (above - f(w)) / (2 * h)


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        (lambda f, w, step, h: (f(w + step) - f(w)) / h, "one side only"),
        (lambda f, w, step, h: (f(w) - f(w - step)) / h, "one side only"),
        (lambda f, w, step, h: (f(w + step) - f(w)) / (2 * h), "one side only"),
        (lambda f, w, step, h: (f(w + step) - f(w - step)) / h, r"it is 2 \* h"),
        (lambda f, w, step, h: (f(w + step) - f(w - step)) / 2 * h, "parentheses"),
        (lambda f, w, step, h: f(w + step) - f(w - step), "divide by the way"),
        (lambda f, w, step, h: f(w + step) - f(w - step) / (2 * h), "around the difference"),
        (lambda f, w, step, h: abs(central(f, w, step, h)), "can be negative"),
        (lambda f, w, step, h: -central(f, w, step, h), "sign"),
        (lambda f, w, step, h: (f(w + h) - f(w - h)) / (2 * h), "moved at once"),
        (lambda f, w, step, h: (f(w + step) - f(w - step)) / (2 * step), "number h"),
        (moves_w, "w was changed"),
        (lambda f, w, step, h: 0, "off in"),
    ],
)
def test_quotients(inner, says):
    with pytest.raises(Wrong, match=says):
        check.numeric_gradient(quotient(inner))


def test_a_flat_gradient_has_the_wrong_shape():
    with pytest.raises(Wrong, match="has the shape"):
        check.numeric_gradient(quotient(central, flat=True))


def test_the_right_answers_pass():
    check.conv2d_backward(right)
    check.numeric_gradient(quotient(central))


def test_minicnns_own_layer_passes():
    def own(x, w, dy, stride):
        layer = Conv2D(w.shape[3], w.shape[0], w.shape[1:3], stride).astype(np.float64)
        layer.params["w"].value[...] = w
        layer.forward(x, train=True)
        return layer.backward(dy), layer.params["w"].grad, layer.params["b"].grad

    check.conv2d_backward(own)
