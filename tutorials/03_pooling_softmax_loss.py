# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 3. Pooling, ReLU, softmax and the weighted loss
# Between the convolutions of SqueezeNet nothing has weights: ReLU cuts, pooling picks, softmax
# makes probabilities, the loss compares them with the labels. But all gradients come through here,
# and the loss decides which class pulls how hard. Here you write pooling's gradient, softmax and
# the loss's gradient, and see why a network on imbalanced data first learns to say "nv" to
# everything.
#
# **You need** tutorial 2. **It takes** a few seconds of computing.

# %%
import numpy as np
from matplotlib.patches import Rectangle

import lesson
from checks import pooling_softmax_loss as check
from minicnn.data.balance import class_weights
from minicnn.layers import MaxPool2D, ReLU
from minicnn.loss import CrossEntropy

dataset = lesson.photographs((64, 64))
grey = dataset.images[5].mean(axis=-1)
x = grey[23:32, 18:27].reshape(1, 9, 9, 1)  # a piece of it, to look at single pixels
pool = MaxPool2D(3, stride=2)
y = pool.forward(x, train=True)
wins = pool.backward(np.ones_like(y))  # each window gives its winner 1

figure = lesson.figure(8, 2.9)
whole, piece, pooled = figure.subplots(1, 3)
whole.imshow(grey, cmap="gray")
whole.add_patch(Rectangle((17.5, 22.5), 9, 9, fill=False, color="#cc6600", lw=2))
whole.set_title("an image")
for axes, values in ((piece, x), (pooled, y)):
    axes.imshow(values[0, :, :, 0], cmap="gray", vmin=x.min(), vmax=x.max() + 8)
piece.set_title("9x9 pixels: windows won")
for i, j in np.argwhere(wins[0, :, :, 0]):
    disc = {"boxstyle": "circle,pad=0.15", "fc": "#4477aa", "ec": "w"}
    won = f"{wins[0, i, j, 0]:.0f}"
    piece.text(j, i, won, color="w", ha="center", va="center", bbox=disc)
piece.add_patch(Rectangle((1.5, -0.5), 3, 3, fill=False, color="#cc6600", lw=2))
pooled.add_patch(Rectangle((0.5, -0.5), 1, 1, fill=False, color="#cc6600", lw=2))
pooled.set_title("pooled: the 4x4 winners")
for axes in (whole, piece, pooled):
    axes.set_axis_off()
lesson.show(figure, "03_which_pixel_won")

# %% [markdown]
# Max pooling as in SqueezeNet: windows of 3x3 pixels, 2 apart, so they overlap. Each output is the
# brightest pixel of its window. The numbers count the windows that a pixel has won; pixels without
# a number have won none, and could be a little brighter or darker without any effect.
#
# ## Backward through a maximum
# A slope says what a small step does. A small step of the winner moves the output as much; a small
# step of any other pixel moves nothing. So each dy goes to one pixel. Where several pixels are
# equal, the first one gets it: minicnn, as other frameworks, lets exactly one win. (`argmax` counts
# through a window as if it were one long row; `np.unravel_index(k, window.shape)` makes row and
# column of its answer.)
#
# **Blank 1**: where the gradient of output (n, i, j, c) goes. As before, the left side belongs to
# the blank.


# %%
def max_pool_backward(x, dy, kernel, stride):
    """dx, like x (N, H, W, C), for dy (N, OH, OW, C) and windows of kernel x kernel pixels."""
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(dy.shape):
        dx[n, i, j, c] = ...
    return dx


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def max_pool_backward_solution(x, dy, kernel, stride):
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(dy.shape):
        top, left = i * stride, j * stride
        window = x[n, top : top + kernel, left : left + kernel, c]
        a, b = np.unravel_index(window.argmax(), window.shape)  # the first of equals
        dx[n, top + a, left + b, c] += dy[n, i, j, c]
    return dx


# %% [markdown]
# ReLU is simpler: y = max(x, 0) passes dy on where y is positive, and 0 elsewhere. A product with a
# mask. Together with pooling it leaves most pixels without any gradient:

# %%
max_pool_backward = lesson.answer(
    "max_pool_backward", max_pool_backward, max_pool_backward_solution
)
check.max_pool_backward(max_pool_backward)

rng = np.random.default_rng(0)
x = rng.standard_normal((2, 17, 17, 8))
relu, pool = ReLU(), MaxPool2D(3, stride=2)
y = relu.forward(x, train=True)
dy = rng.standard_normal(pool.forward(y, train=True).shape)

dx = (y > 0) * max_pool_backward(y, dy, 3, 2)
print(
    "largest difference to minicnn's layers:", np.abs(dx - relu.backward(pool.backward(dy))).max()
)
print(f"pixels that get a gradient: {100 * np.mean(dx != 0):.0f} %")

# %% [markdown]
# ## Softmax
# The network ends in a number for each class, the logits z (N, classes). Softmax makes
# probabilities of them: positive, and in each row of sum 1.
#
# $$p_{nk} = \frac{e^{z_{nk}}}{\sum_m e^{z_{nm}}}$$
#
# In float32 $e^{89}$ is already infinite, and infinite divided by infinite is no number. Yet p does
# not change if all logits of a row change by the same amount. So shift each row first, such that
# the largest is 0.
#
# **Blank 2**: softmax, for logits of any size.


# %%
def softmax(logits):
    """(N, classes) to probabilities of the same shape; each row adds up to 1."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def softmax_solution(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# %%
softmax = lesson.answer("softmax", softmax, softmax_solution)
check.softmax(softmax)
print(softmax(np.array([[1000.0, 1001.0, 1002.0]])))

# %% [markdown]
# ## The weighted loss
# An image costs ${-}\ln p$ of its true class: nothing if the network is sure and right, much if it
# is sure and wrong. Who does not know anything gives each of 7 classes 1/7 and pays ln 7 = 1.95.
# Each image counts as much as its class's weight, and the loss is the mean over the N images:
#
# $$L = \frac{1}{N} \sum_n w_{l_n} \left({-}\ln p_{n l_n}\right) \qquad l_n \text{: the label}$$
#
# (minicnn and Keras divide by N; PyTorch by the sum of the N weights.) For its gradient in the
# logits write ${-}\ln p_l = \ln \sum_m e^{z_m} - z_l$. The slope of the first term in $z_k$ is
# $e^{z_k} / \sum_m e^{z_m}$, which is $p_k$ again; that of the second is 1 for $k = l$ and 0
# elsewhere. So without weights an image's gradient is p - y, with y the label as a row of zeros and
# a single one: what the network says minus what it should say.
#
# **Blank 3**: the gradient of L, with the weights and the mean.


# %%
def loss_gradient(logits, labels, class_weights):
    """logits (N, classes), labels (N,) integers, class_weights (classes,): like logits."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def loss_gradient_solution(logits, labels, class_weights):
    N, classes = logits.shape
    y = np.eye(classes)[labels]  # one-hot: row n is 0 but for a 1 at labels[n]
    of_image = class_weights[labels]  # (N,): the weight belongs to the image, by its label
    return (softmax(logits) - y) * of_image[:, None] / N


# %%
loss_gradient = lesson.answer("loss_gradient", loss_gradient, loss_gradient_solution)
check.loss_gradient(loss_gradient)

logits, labels = rng.standard_normal((50, 7)), rng.integers(0, 7, 50)
weights = rng.random(7)
_, own = CrossEntropy(weights)(logits, labels)
print(
    "largest difference to minicnn's:", np.abs(loss_gradient(logits, labels, weights) - own).max()
)

# %% [markdown]
# ## Which class pulls
# At its start a network knows nothing: all logits are about 0. A step of training moves them
# against their gradient, so minus the gradient is the pull on each logit. Below are the pulls of
# all images together, for three ways to weigh a class with c of the t images: not at all, with ln(t
# / c), with t / c.
#
# And where do the pulls lead? On the right nothing but one logit per class is trained, with no
# image looked at: the pulls stop at these probabilities.

# %%
labels, classes = dataset.labels, len(dataset.classes)
order = np.argsort(dataset.counts())
ways = {"no weights": "none", "ln(t / c)": "log", "t / c": "ratio"}
looks = (("o", "#4477aa"), ("s", "#cc6600"), ("^", "#228833"))

figure = lesson.figure(8, 3.4)
left, right = figure.subplots(1, 2, sharey=True)
rows = [f"{dataset.classes[k]}: {dataset.counts()[k]}" for k in order]
ends = {}
print(f"{'classes':13}", [dataset.classes[k] for k in order])
for (name, formula), (marker, colour) in zip(ways.items(), looks, strict=True):
    weights = class_weights(dataset.counts(), formula)
    z = np.zeros(classes)
    for t in range(500):
        pull = -loss_gradient(np.tile(z, (len(labels), 1)), labels, weights).sum(axis=0)
        if t == 0:
            left.plot(pull[order], rows, marker, color=colour, label=name)
            print(f"pull, {name:10}", (np.round(pull[order], 2) + 0.0).tolist())
        z += pull
    ends[name] = softmax(z[None])[0]
    right.plot(ends[name][order], rows, marker, color=colour)
left.axvline(0, color="#777777", lw=1)
left.set(xlabel="pull on the class's logit", title="at the start", ylabel="class: images")
right.set(xlabel="probability", title="where the pulls lead", xlim=(0, None))
left.legend(frameon=False, loc="lower right")
for axes in (left, right):
    axes.grid(axis="y", alpha=0.25)
lesson.show(figure, "03_pooling_softmax_loss")
most = order[-1]
guessed = (
    f"is what a network says of {dataset.classes[most]}, trained without weights and without images"
)
lesson.number(f"{ends['no weights'][most]:.2f}", guessed)

# %% [markdown]
# Without weights all images of the most frequent class pull the same way, and the network's first
# lesson is the share of each class in the data; to answer with the most frequent one is then right
# so often that some networks never learn more. With t / c the classes are in balance from the
# start. The thesis takes ln(t / c), in between: the largest class still pulls, but less. What this
# does to a trained network is tutorial 7.
#
# ## What can go wrong
# - **The logarithm of a probability that was rounded to 0.** Softmax first, then ln, gives infinity
#   for a very wrong image. minicnn computes ln p at once (`log_softmax` in `minicnn/loss.py`).
# - **Softmax twice.** A network whose last layer is a softmax, with a loss that takes logits: no
#   error is raised, all shapes are right, and it learns slowly and badly.
# - **A sum instead of a mean.** The gradient then grows with the batch, and a learning rate that
#   was right for 8 images is four times too large for 32. Weights of t / c do the same: their mean
#   over the images is the number of classes.
# - **Equal pixels.** Behind a ReLU many windows hold nothing but zeros. Who gives dy to all pixels
#   that equal the maximum multiplies the gradient there, and no random test will show it.
#
# ## Go on
# Check `loss_gradient` with `numeric_gradient` of tutorial 2. Replace the maximum by a mean: how
# does dx of average pooling look, and which pixels get a gradient now?
#
# Next: [4. The fire module and SqueezeNet](04_fire_and_squeezenet.py)
