"""What students get wrong in tutorial 4, and what its checks then say."""

import pytest

import models
from checks import fire as check
from lesson import Wrong
from minicnn import graph
from minicnn.layers import Conv2D, Fire


@pytest.mark.parametrize(
    ("conv_parameters", "says"),
    [
        (lambda kh, kw, c, oc: kh * kw * c * oc, "has a bias too"),
        (lambda kh, kw, c, oc: kh * kw * c * oc + 1, "not one for all"),
        (lambda kh, kw, c, oc: oc * kh * kw * c + c, "not C"),
        (lambda kh, kw, c, oc: kh * kw * c * (oc + 1), "not a window"),
        (lambda kh, kw, c, oc: oc * (c + 1), r"KH \* KW is missing\.$"),
        (lambda kh, kw, c, oc: c * oc, "so are the biases"),
        (lambda kh, kw, c, oc: oc * (kh * kw + 1), "C is missing"),
        (lambda kh, kw, c, oc: kh * kw * c + oc, "OC of them"),
        (lambda kh, kw, c, oc: kh * kw * c + 1, "OC of them"),
        (lambda kh, kw, c, oc: oc * (kh**2 * c + 1), "KW columns wide"),
        (lambda kh, kw, c, oc: oc * (kw**2 * c + 1), "KW columns wide"),
        (lambda kh, kw, c, oc: oc * ((kh + kw) * c + 1), r"not KH \+ KW"),
        (lambda kh, kw, c, oc: (kh * kw * c * oc, oc), "has the shape"),
        (lambda kh, kw, c, oc: kh * kw * c * oc + oc + 2, "wanted 76"),
    ],
)
def test_parameters(conv_parameters, says):
    with pytest.raises(Wrong, match=says):
        check.conv_parameters(conv_parameters)


def conv(H, W, K, C, OC):
    return H * W * K * K * C * OC


def fire(squeeze, expand1, expand3, channels=lambda c, s, e: e + e):
    """A student's fire_cost: three convolutions, each as (H, W, C, S, E) -> multiply-adds."""

    def fire_cost(H, W, C, S, E):
        return sum(part(H, W, C, S, E) for part in (squeeze, expand1, expand3)), channels(C, S, E)

    return fire_cost


def nothing(h, w, c, s, e):
    return 0


def squeeze(h, w, c, s, e):
    return conv(h, w, 1, c, s)


def expand1(h, w, c, s, e):
    return conv(h, w, 1, s, e)


def expand3(h, w, c, s, e):
    return conv(h, w, 3, s, e)


def once(part):
    return lambda h, w, c, s, e: part(1, 1, c, s, e)


@pytest.mark.parametrize(
    ("fire_cost", "says"),
    [
        (fire(once(squeeze), once(expand1), once(expand3)), "one place"),
        (lambda h, w, c, s, e: (h * (c * s + 10 * s * e), 2 * e), "not H"),
        (lambda h, w, c, s, e: (w * (c * s + 10 * s * e), 2 * e), "not W"),
        (fire(squeeze, expand1, lambda h, w, c, s, e: conv(h, w, 3, c, e)), "3x3 expand reads"),
        (
            fire(
                squeeze,
                lambda h, w, c, s, e: conv(h, w, 1, c, e),
                lambda h, w, c, s, e: conv(h, w, 3, c, e),
            ),
            "The expands read",
        ),
        (fire(squeeze, lambda h, w, c, s, e: conv(h, w, 1, c, e), expand3), "1x1 expand reads"),
        (fire(squeeze, expand1, lambda h, w, c, s, e: conv(h, w, 3, e, e)), "side by side"),
        (fire(squeeze, nothing, expand3), "the 1x1 one costs"),
        (fire(squeeze, expand1, nothing), "where is the 3x3"),
        (fire(nothing, expand1, expand3), "The squeeze costs"),
        (fire(squeeze, expand1, expand1), "nine products"),
        (fire(squeeze, expand1, lambda h, w, c, s, e: h * w * 3 * s * e), "not three"),
        (fire(lambda h, w, c, s, e: conv(h, w, 3, c, s), expand1, expand3), "windows are 1x1"),
        (fire(squeeze, expand3, expand3), "1x1 windows"),
        (
            fire(squeeze, expand1, lambda h, w, c, s, e: conv(h - 2, w - 2, 3, s, e)),
            "is padded",
        ),
        (lambda h, w, c, s, e: (h * w * (s * (c + 1) + e * (10 * s + 2)), 2 * e), "no multiplic"),
        (lambda h, w, c, s, e: (s * (c + 1) + e * (10 * s + 2), 2 * e), "module's parameters"),
        (lambda h, w, c, s, e: (2 * h * w * (c * s + 10 * s * e), 2 * e), "count as one"),
        (fire(squeeze, expand1, expand3, lambda c, s, e: e), "Concatenated is not added"),
        (fire(squeeze, expand1, expand3, lambda c, s, e: s + e + e), "squeezed channels go into"),
        (fire(squeeze, expand1, expand3, lambda c, s, e: c + e + e), "not passed on"),
        (fire(squeeze, expand1, expand3, lambda c, s, e: s + e), "used up inside"),
        (fire(squeeze, expand1, expand3, lambda c, s, e: c), "own number of channels"),
        (fire(squeeze, expand1, expand3, lambda c, s, e: e * e), "numbers are added"),
        (lambda h, w, c, s, e: h * w * (c * s + 10 * s * e), "wanted two numbers"),
    ],
)
def test_fire_modules(fire_cost, says):
    with pytest.raises(Wrong, match=says):
        check.fire_cost(fire_cost)


def test_the_right_answers_pass():
    check.conv_parameters(lambda kh, kw, c, oc: (kh * kw * c + 1) * oc)
    check.fire_cost(fire(squeeze, expand1, expand3))


def test_minicnns_own_layers_pass():
    def fire_cost(H, W, C, S, E):
        made = graph.from_layer(Fire(C, S, E), (H, W, C))
        return sum(graph.multiply_adds(made)), made.shape(made.outputs[0])[-1]

    check.conv_parameters(lambda kh, kw, c, oc: Conv2D(c, oc, (kh, kw)).count_params())
    check.fire_cost(fire_cost)


def test_the_tutorial_takes_alexnet_apart_at_the_right_layer():
    net = models.build("alexnet", (215, 215, 3))
    assert net.children()[8][0] == "flatten"
