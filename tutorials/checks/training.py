"""Tutorial 5: He's scale of fresh weights, and a step of SGD with momentum."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong

Arrays = tuple[np.ndarray, np.ndarray]
Step = Callable[[np.ndarray, np.ndarray, np.ndarray, float, float], Arrays]


def he_scale(yours: Callable[[int, int, int, int], float]) -> None:
    """Windows of 72 weights first (a sixth comes out); then wide, 1x1 and oblong ones."""
    for OC, KH, KW, C in ((3, 3, 3, 8), (64, 1, 1, 16), (16, 1, 1, 128), (8, 5, 3, 4)):
        fan_in, fan_out = KH * KW * C, KH * KW * OC
        half = "A ReLU halves the mean square: that is what the 2 makes good."
        window = "A sum has KH * KW * C products: its window is KH x KW pixels, C channels deep."
        mistakes = (
            Mistake(2 / fan_in, "This is the variance; the scale is its square root."),
            Mistake(
                sqrt(2 / fan_out),
                "This is the fan-out. An output adds up what comes in: KH * KW * C products.",
            ),
            Mistake(2 / fan_out, "This is a variance, and of the fan-out; see C, and the root."),
            Mistake(sqrt(1 / fan_in), half),
            Mistake(1 / fan_in, f"{half} And the scale is the square root of the variance."),
            Mistake(
                sqrt(2 / (fan_in + fan_out)),
                "This is Glorot's scale, which knows no ReLU. He's asks for the fan-in alone.",
            ),
            Mistake(sqrt(2 / C), f"KH * KW is missing. {window}"),
            Mistake(sqrt(2 / (KH * KW)), f"C is missing. {window}"),
            Mistake(sqrt(2 / OC), window),
            Mistake(
                sqrt(2 / (OC * fan_in)),
                "These are all weights; a single output adds up those of one window.",
            ),
            Mistake(sqrt(2) / fan_in, "The root is of the whole fraction, 2 / fan-in."),
            Mistake(2 / sqrt(fan_in), "The root is of the whole fraction, 2 / fan-in."),
            Mistake(
                sqrt(6 / fan_in),
                "This is the limit of a uniform distribution; its standard deviation is wanted.",
            ),
            Mistake(sqrt(fan_in / 2), "Upside down: the more products, the smaller the weights."),
        )
        what = f"he_scale(OC={OC}, KH={KH}, KW={KW}, C={C})"
        same(what, yours(OC, KH, KW, C), sqrt(2 / fan_in), mistakes, tolerance=1e-6)


def sgd_step(yours: Step) -> None:
    """Two weights and one step first, then three steps of random ones, float32 as in a network."""
    w, dw, velocity = np.array([1.0, 2.0]), np.array([4.0, -2.0]), np.array([1.0, -2.0])
    _one(yours, "", w, dw, velocity, 0.1, 0.9)

    rng = np.random.default_rng(0)
    w, velocity = rng.standard_normal((2, 4, 3, 3, 2), np.float32)
    for number in (1, 2, 3):
        dw = rng.standard_normal(w.shape, np.float32)
        given = _one(yours, f" after step {number} of 3", w, dw, velocity, 0.01, 0.9)
        if any(array.dtype != np.float32 for array in given):
            raise Wrong("The weights came in as float32: leave them so, and the velocity too.")
        w, velocity = given


def _one(
    yours: Step,
    when: str,
    w: np.ndarray,
    dw: np.ndarray,
    velocity: np.ndarray,
    lr: float,
    momentum: float,
) -> Arrays:
    given = yours(w.copy(), dw.copy(), velocity.copy(), lr, momentum)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise Wrong("sgd_step: wanted two arrays, the new weights and the new velocity.")
    right = _right(w, dw, velocity, lr, momentum)
    # a mistake is known by both arrays; it is then told beside the first that is off
    known = [
        (wrong, says)
        for wrong, says in _mistakes(w, dw, velocity, lr, momentum)
        if all(_close(a, b) for a, b in zip(given, wrong, strict=True))
    ]
    for name, position in (("velocity", 1), ("w", 0)):
        mistakes = [Mistake(wrong[position], says) for wrong, says in known]
        axes = "oc kh kw c" if w.ndim == 4 else "i"
        same(f"{name}{when}", given[position], right[position], mistakes, axes)
    return np.asarray(given[0]), np.asarray(given[1])


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return np.shape(a) == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-5)


def _right(
    w: np.ndarray, dw: np.ndarray, velocity: np.ndarray, lr: float, momentum: float
) -> Arrays:
    v = momentum * velocity - lr * dw
    return w + v, v


def _mistakes(
    w: np.ndarray, dw: np.ndarray, velocity: np.ndarray, lr: float, momentum: float
) -> list[tuple[Arrays, str]]:
    right_w, v = _right(w, dw, velocity, lr, momentum)
    up = momentum * velocity + lr * dw
    bare = momentum * velocity + dw
    back = -momentum * velocity - lr * dw
    mean = momentum * velocity - (1 - momentum) * lr * dw
    both = momentum * (velocity - lr * dw)
    no_rate = momentum * velocity - dw
    uphill = "The gradient points uphill, to a larger loss: it is subtracted."
    unkept = "The new velocity has to be returned: the next step begins with it."
    ignored = "The weights move by the velocity, not by the gradient alone."
    return [
        ((w + up, up), uphill),
        ((w + lr * dw, v), uphill),
        ((w - up, up), "The right weights, but the velocity is to point downhill: change signs."),
        ((w - v, v), "The velocity points downhill already: it is added to the weights."),
        ((right_w, velocity), unkept),
        ((w - lr * dw, velocity), f"{ignored} {unkept}"),
        ((w - lr * dw, v), ignored),
        ((w - lr * dw, -lr * dw), "momentum * velocity is missing: nothing is kept of it."),
        ((w + velocity, v), "The weights moved by the old velocity: first make the new one."),
        ((w + lr * v, v), "The learning rate came in twice: it is in the velocity already."),
        ((w + lr * no_rate, no_rate), "Here the learning rate goes into the velocity: lr * dw."),
        (
            (w - lr * bare, bare),
            "So does PyTorch. Here, as in Keras, the learning rate goes into the velocity and "
            "its sign is that of the step.",
        ),
        ((w + no_rate, no_rate), "Where is the learning rate? It belongs to the gradient."),
        ((w + back, back), "The velocity is kept, not turned around: plus momentum * velocity."),
        ((w + mean, mean), "No (1 - momentum): this is a sum that fades, not a mean."),
        ((w + both, both), "The momentum belongs to the old velocity, not to the gradient too."),
        (
            (w + momentum * v - lr * dw, v),
            "This is Nesterov's form, which looks a step ahead. Here the weights move by v.",
        ),
        ((w + velocity - lr * dw, velocity - lr * dw), "Where is the momentum? Nothing fades."),
        ((v, right_w), "The weights come first, then the velocity."),
        ((v, v), "Return the weights, too: w plus the velocity."),
    ]
