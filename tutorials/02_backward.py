# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 2. Backward and the gradient check
# Training asks one question of every weight: if you grew a little, would the loss rise or fall, and
# how steeply? The answers are the gradient. Here you write the gradients of a convolution by hand,
# measure them a second way that needs no mathematics, and see how far such a measurement can be
# trusted.
#
# **You need** tutorial 1 and the chain rule. **It takes** a quarter of a minute of computing.

# %%
import numpy as np

import lesson
from checks import backward as check
from minicnn.layers import Conv2D


def conv2d(x, w, b, stride):
    """x (N, H, W, C), w (OC, KH, KW, C), b (OC,) to y (N, OH, OW, OC), as in tutorial 1."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[1:3], axis=(1, 2))
    return np.einsum("nijcab,oabc->nijo", windows[:, ::stride, ::stride], w) + b


def loss_of(y):
    """The mean of ln(1 + e^y): a stand-in for a network's loss. Its slope in y is the sigmoid."""
    return np.logaddexp(0, y).mean()


photo = lesson.photographs((32, 32)).images[5:6].astype(np.float64)  # (1, H, W, 3)
x = (photo - photo.mean()) / photo.std()
rng = np.random.default_rng(0)
w, b = rng.standard_normal((2, 3, 3, 3)) / 3, np.zeros(2)
place = 0, 1, 1, 0  # the weight that is moved: output 0, the window's middle, red


def loss_with(value):
    moved = w.copy()
    moved[place] = value
    return loss_of(conv2d(x, moved, b, 2))


# The rest of this cell only draws.
here, h = w[place], 1.5
values = np.linspace(here - 2.6, here + 2.6, 53)
figure = lesson.figure(6.5, 3.4)
axes = figure.subplots()
axes.plot(values, [loss_with(v) for v in values], color="#777777", lw=2, label="the loss")
tangent = (loss_with(here + 1e-5) - loss_with(here - 1e-5)) / 2e-5
axes.plot(values, loss_with(here) + tangent * (values - here), "k:", label="tangent: the gradient")
for name, ends, style, colour in (
    ("from w to w + h", (here, here + h), "--s", "#cc6600"),
    ("from w - h to w + h", (here - h, here + h), "-o", "#4477aa"),
):
    axes.plot(ends, [loss_with(v) for v in ends], style, color=colour, label=name)
axes.set(xlabel="one of the 54 weights", ylabel="loss")
axes.legend(frameon=False)
lesson.show(figure, "02_slope")

# %% [markdown]
# The blue line is nearly parallel to the tangent, the orange one is not, although both take steps
# of the same h. That is all one needs to *measure* a gradient. But to measure costs two forward
# passes for each weight, and SqueezeNet has 700,000. Backward gets all of them for about the price
# of two forward passes.
#
# ## Backward
# Call dy the gradient of the loss with respect to y: the loss's slope in each output pixel. It
# comes from the layer behind. Wanted are db, dw and dx; dx is the dy of the layer before.
#
# An output pixel is a sum of products, plus a bias:
#
# $$y_{nijo} = b_o + \sum_{u,v,c} x_{n,\;i \cdot stride + u,\;j \cdot stride + v,\;c}\; w_{ouvc}$$
#
# If w grows by a little, y grows x times as much, and the loss dy times that. So an output pixel
# gives dy x to the gradient of the weight, dy w to that of the pixel, and dy to that of the bias.
# But a weight serves many output pixels, and an input pixel lies in many windows: what they give
# adds up.
#
# **Blank 1**: what the output pixel (n, i, j, o) gives to db, dw and dx. The left sides belong to
# the blank too: is `=` right, and is it one pixel of dx that gets something, or a window?


# %%
def conv2d_backward(x, w, dy, stride):
    """dx, dw, db: like x, w and b, for dy (N, OH, OW, OC)."""
    N, OH, OW, OC = dy.shape
    _, KH, KW, _ = w.shape
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(OC, w.dtype)
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for o in range(OC):
                    db[o] = ...
                    dw[o] = ...
                    dx[n, i, j] = ...
    return dx, dw, db


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def conv2d_backward_solution(x, w, dy, stride):
    N, OH, OW, OC = dy.shape
    _, KH, KW, _ = w.shape
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(OC, w.dtype)
    for n in range(N):
        for i in range(OH):
            rows = slice(i * stride, i * stride + KH)
            for j in range(OW):
                columns = slice(j * stride, j * stride + KW)
                for o in range(OC):
                    db[o] += dy[n, i, j, o]
                    dw[o] += dy[n, i, j, o] * x[n, rows, columns]
                    dx[n, rows, columns] += dy[n, i, j, o] * w[o]
    return dx, dw, db


# %%
conv2d_backward = lesson.answer("conv2d_backward", conv2d_backward, conv2d_backward_solution)
check.conv2d_backward(conv2d_backward)
print("dx, dw and db are right")

# %% [markdown]
# ## The measurement
# Even without a solution to compare with you could have known: move a weight by h to both sides,
# and divide the change of the loss by the way between, as the blue line does.
#
# **Blank 2**: that quotient.


# %%
def numeric_gradient(f, w, h):
    """The slope of f(w), a number, in every element of the array w."""
    slope = np.zeros(w.shape)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = h
        slope[place] = ...
    return slope


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def numeric_gradient_solution(f, w, h):
    slope = np.zeros(w.shape)
    for place in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[place] = h
        slope[place] = (f(w + step) - f(w - step)) / (2 * h)
    return slope


# %%
numeric_gradient = lesson.answer("numeric_gradient", numeric_gradient, numeric_gradient_solution)
check.numeric_gradient(numeric_gradient)

# %% [markdown]
# ## Three gradients side by side
# Yours, the measured one, and that of minicnn's own layer (`minicnn/layers/conv.py`), which in
# float64 runs on loops like yours. (dx agrees a little less with its measurement: a single pixel's
# slope is so small that rounding takes more of it.)


# %%
def difference(a, b):
    """How far apart two gradients are: the length of a - b beside that of b."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def loss_at(x=x, w=w, b=b):
    return loss_of(conv2d(x, w, b, 2))


y = conv2d(x, w, b, 2)
dy = 1 / (1 + np.exp(-y)) / y.size  # the sigmoid; in the mean, each pixel is one of y.size
dx, dw, db = conv2d_backward(x, w, dy, 2)

layer = Conv2D(3, 2, 3, stride=2).astype(np.float64)
layer.params["w"].value[...] = w
layer.forward(x, train=True)
layer_dx = layer.backward(dy)

for name, yours, measured, minicnns in (
    ("dw", dw, numeric_gradient(lambda w: loss_at(w=w), w, 1e-5), layer.params["w"].grad),
    ("db", db, numeric_gradient(lambda b: loss_at(b=b), b, 1e-5), layer.params["b"].grad),
    ("dx", dx, numeric_gradient(lambda x: loss_at(x=x), x, 1e-5), layer_dx),
):
    print(
        f"{name}: yours is {difference(yours, measured):.1g} off the measured one, "
        f"{difference(yours, minicnns):.1g} off minicnn's"
    )

# %% [markdown]
# ## What it is for
# Whoever knows the slope can walk down. Below, a window of zeros is to become the edge finder of
# tutorial 1, from examples only: images, and what the edge finder makes of them. In each step the
# weights go a little against their gradient. That is training. (The images are noise: neighbouring
# pixels of a photograph are so alike that it would take thousands of steps.)

# %%
EDGES = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float64).reshape(1, 3, 3, 1)
noise, none = rng.standard_normal((1, 16, 16, 1)), np.zeros(1)
wanted = conv2d(noise, EDGES, none, 1)
window = np.zeros_like(EDGES)
seen = {}
for t in range(21):
    if t in (0, 2, 5, 20):
        seen[f"after {t} steps"] = window.copy()
    y = conv2d(noise, window, none, 1)
    window -= 0.2 * conv2d_backward(noise, window, (y - wanted) / y.size, 1)[1]

figure = lesson.figure(8, 1.9)
seen["wanted"] = EDGES
for axes, (title, values) in zip(figure.subplots(1, 5), seen.items(), strict=True):
    axes.imshow(values[0, :, :, 0], cmap="gray", vmin=-2, vmax=2)
    for a, c in np.ndindex(3, 3):
        v = round(values[0, a, c, 0], 1) + 0.0  # no -0.0
        axes.text(c, a, f"{v:.1f}", ha="center", va="center", color="k" if v > 0 else "w")
    axes.set_title(title)
    axes.set_axis_off()
lesson.show(figure, "02_a_window_learns")

# %% [markdown]
# ## How small should h be?
# In mathematics as small as possible. In a computer f(w + h) and f(w - h) are rounded, and with a
# tiny h they are so alike that little but the rounding is left of their difference. Here all 54
# weights are measured with steps from 1 down to 1e-14.


# %%
def one_sided(f, w, h):
    steps = h * np.eye(w.size, dtype=w.dtype).reshape(-1, *w.shape)
    return np.array([(f(w + step) - f(w)) / h for step in steps]).reshape(w.shape)


h = np.logspace(-14, 0, 57)
figure = lesson.figure(7, 4)
axes = figure.subplots()
best = {}
for way, style in ((numeric_gradient, "-"), (one_sided, "--")):
    for dtype, colour in ((np.float32, "#cc6600"), (np.float64, "#4477aa")):
        arrays = [a.astype(dtype) for a in (x, w, b)]

        def f(w, x=arrays[0], b=arrays[2]):
            return loss_of(conv2d(x, w, b, 2))

        error = np.array([difference(way(f, arrays[1], dtype(step)), dw) for step in h])
        name = f"{'one-sided' if way is one_sided else 'both sides'}, {np.dtype(dtype)}"
        best[name] = h[error.argmin()]
        shown = error < 3
        axes.plot(h[shown], error[shown], style, color=colour, label=name)
        print(f"{name:20} best with h = {best[name]:.0e}: error {error.min():.0e}")
axes.set(xscale="log", yscale="log", xlabel="step h", ylabel="relative error of the gradient")
axes.set_ylim(1e-12, 10)
for at, branch, slant in (
    ((5e-13, 1.8e-5), "rounding, as 1/h", -32),
    ((4e-8, 1e-3), "rounding, as 1/h", -32),
    ((1.3e-7, 4.5e-7), "the curve bends, as h", 32),
    ((5e-4, 2e-10), "the curve bends, as h²", 51),
):
    axes.text(*at, branch, rotation=slant)
axes.legend(frameon=False, loc="lower left")
axes.grid(alpha=0.25)
lesson.show(figure, "02_backward")
lesson.number(f"{best['both sides, float64']:.0e}", "is the best step for both sides in float64")

# %% [markdown]
# The left branch is rounding, about $\varepsilon / h$, with $\varepsilon$ 1e-16 in float64 and 6e-8
# in float32; where w + h is rounded to w, the measured slope is 0 and the error 1. The right branch
# is that the loss bends: an error like $h$ on one side, but like $h^2$ on both, because the bend
# adds the same to f(w + h) as to f(w - h), and the difference drops it. The best h is where they
# meet: a few times $\sqrt[3]{\varepsilon}$ for both sides, $\sqrt\varepsilon$ for one.
#
# ## What can go wrong
# - **The check runs in float32.** Look at the orange lines: only a few steps get below 1e-4, and a
#   small mistake in the gradient hides in such an error. minicnn checks all layers in float64:
#   `net.astype(np.float64)`.
# - **A kink lies within the step.** A ReLU's slope jumps at 0, a maximum's where two pixels are
#   equal. Measured across a kink, the slope is one of neither side: choose values away from it.
# - **The loss is random.** Dropout must drop the same places in all measurements.
# - **The right gradient of a wrong forward pass.** The check compares two pictures of the same
#   function; whether it is the function that you wanted it cannot say.
#
# ## Go on
# `tests/layers/test_gradients.py` checks a whole array of weights with two forward passes: along
# one random direction d, the loss must change by the sum of gradient times d. Try it on your dw.
# Then turn a sign around in `conv2d_backward`, for the last channel only: which check notices?
#
# Next: [3. Pooling, ReLU, softmax and the weighted loss](03_pooling_softmax_loss.py)
