# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 9. Pruning
# Most weights of a trained network are close to zero. Pruning sets the smallest ones to exactly
# zero and trains the rest a little further. Here you choose the weights that go, write the schedule
# by which they go, and measure what is gained: much in a compressed file, nothing in time.
#
# **You need** a network that is trained: see [5](05_training_that_works.py). **It takes** about a
# minute of computing.

# %%
import gzip
import time
from pathlib import Path

import numpy as np

import lesson
import models
from checks import pruning as check
from exporters.convert import convert
from minicnn import kernels
from minicnn.compress import prune
from minicnn.compress.simulate import Simulator
from minicnn.data.augment import Augment, Normalization
from minicnn.data.balance import class_weights
from minicnn.data.loader import plain_batches, prefetch, training_batches
from minicnn.data.split import split
from minicnn.evaluation import collect
from minicnn.layers import Conv2D, Fire, GlobalAvgPool2D, MaxPool2D, Sequential
from minicnn.loss import CrossEntropy
from minicnn.optim import Muon, warmup_cosine
from minicnn.trained import Trained

BLUE, ORANGE, GREY = "#4477aa", "#cc6600", "#777777"

squeezenet = prune.prunable(models.pretrained("squeezenet").named_params())
figure = lesson.figure(8, 2.5)
shown = ("fire2/squeeze/w", "fire5/expand3/w", "fire9/expand3/w")
for axes, path in zip(figure.subplots(1, 3), shown, strict=True):
    w = squeezenet[path].value.reshape(-1)
    border = np.quantile(np.abs(w), 0.8) / w.std()
    axes.axvspan(-border, border, color=GREY, alpha=0.35, lw=0)
    axes.hist(w / w.std(), np.linspace(-5, 5, 101), color=BLUE)
    axes.set(title=f"{path}\n{w.size:,} weights", xlabel="weight / standard deviation", yticks=[])
figure.axes[0].set_ylabel("number of weights")
lesson.show(figure, "09_weights")

# %% [markdown]
# These are three of the released SqueezeNet's 26 arrays of weights. In each, four weights of five
# lie in the grey strip.
#
# ## Which weights go?
# Those of smallest magnitude: on inputs of similar size they change an output least (Han et al.,
# 2015, arXiv:1506.02626). A mask of the shape of the weights says what stays.
#
# **Blank 1**: the mask. A threshold on the magnitude alone is not enough: where several weights are
# equally small, and after a first pruning many are 0, it takes all of them or none. `np.argsort`
# gives an order in which every weight has a place of its own.


# %%
def mask(w, sparsity):
    """True where a weight stays: all of w but the share ``sparsity`` of smallest magnitude."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def mask_solution(w, sparsity):
    kept = round(w.size * (1 - sparsity))
    largest_first = np.argsort(-np.abs(w).reshape(-1), kind="stable")
    stays = np.zeros(w.size, bool)
    stays[largest_first[:kept]] = True
    return stays.reshape(w.shape)


# %%
mask = lesson.answer("mask", mask, mask_solution)
check.mask(mask)

weights = {path: param.value for path, param in squeezenet.items()}
own_threshold = prune.layer_masks(weights, 0.8)  # minicnn's
differ = sum(np.sum(mask(w, 0.8) != own_threshold[path]) for path, w in weights.items())
total = sum(w.size for w in weights.values())
print(f"your masks of SqueezeNet and minicnn's differ in {differ} of {total:,} weights")

# %% [markdown]
# ## How fast do they go?
# If all go at once, the network has little left to recover from. Zhu and Gupta (2017,
# arXiv:1710.01878) begin with a share $s_0$ of zeros at step $t_0$ and reach $s_1$ at step $t_1$:
#
# $$s(t) = s_1 + (s_0 - s_1) \left(1 - \frac{t - t_0}{t_1 - t_0}\right)^3$$
#
# The cube makes it fast in the beginning, when there are many weights to spare, and slow towards
# the end. Before $t_0$ the formula's value is $s_0$, after $t_1$ it is $s_1$.
#
# **Blank 2**: the share of zeros at a step.


# %%
def sparsity_at(step, begin, end, first, last):
    """The share of zeros at a step: ``first`` until ``begin``, ``last`` from ``end`` on."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def sparsity_at_solution(step, begin, end, first, last):
    done = (step - begin) / (end - begin)
    left = 1 - min(max(done, 0), 1)
    return last + (first - last) * left**3


# %%
sparsity_at = lesson.answer("sparsity_at", sparsity_at, sparsity_at_solution)
check.sparsity_at(sparsity_at)

theirs = prune.PolynomialDecay(initial=0.5, final=0.9, begin=20, end=120, every=10)
pairs = [(sparsity_at(step, 20, 120, 0.5, 0.9), theirs.sparsity(step)) for step in range(150)]
print("steps 0, 20, 70, 120:", ", ".join(f"{pairs[step][0]:.3f}" for step in (0, 20, 70, 120)))
print(f"from minicnn's schedule: at most {max(abs(a - b) for a, b in pairs):.1g} away")

figure = lesson.figure(6, 2.4)
axes = figure.subplots()
axes.plot([100 * share for share, _ in pairs], color=BLUE, label="your schedule")
turns = np.array([(step, 100 * share) for step, share in theirs.turns()])
axes.plot(*turns.T, "o", color=ORANGE, label="weights are pruned")
axes.set(xlabel="step", ylabel="zeros (% of the weights)", ylim=(0, 100))
axes.legend(frameon=False, loc="lower right")
lesson.show(figure, "09_schedule")

# %% [markdown]
# ## A network to prune
# SqueezeNet itself would take minutes. This one is of the same make, three fire modules on images
# of 48x48 pixels, with an eighth of the weights.

# %%
photos = lesson.photographs((48, 48))
train, test = split(photos.labels, photos.lesions, photos.classes)
normalization = Normalization.of(photos.images, train)
loss = CrossEntropy(class_weights(photos.counts(train), "log"))
rng = np.random.default_rng(0)
net = Sequential(
    [
        ("conv1", Conv2D(3, 32, 3, stride=2, relu=True, rng=rng)),
        ("pool1", MaxPool2D(3, stride=2)),
        ("fire2", Fire(32, squeeze=16, expand=48, rng=rng)),
        ("pool2", MaxPool2D(3, stride=2)),
        ("fire3", Fire(96, squeeze=32, expand=64, rng=rng)),
        ("fire4", Fire(128, squeeze=48, expand=96, rng=rng)),
        ("conv5", Conv2D(192, len(photos.classes), 1, rng=rng)),
        ("pool5", GlobalAvgPool2D()),
    ]
)
net.layers["conv1"].input_gradient = False  # nothing learns from the pixels' gradient
params = net.named_params()
params["conv5/w"].value *= 0.03  # begin with logits that are about equal
STEPS = -(-len(train) // 64)  # of an epoch


def fit(epochs, seed, before_step=lambda step: None):
    """Train ``net`` further; ``before_step(step)`` may prune."""
    optimizer = Muon(warmup_cosine(0.01, 10, epochs * STEPS), weight_decay=0.1)
    flips = Augment(horizontal_flip=True, vertical_flip=True)
    for epoch in range(epochs):
        batches = training_batches(photos, train, 64, normalization, flips, seed, epoch)
        for x, labels in prefetch(batches):
            before_step(optimizer.steps)
            net.gradients(x, labels, loss)
            optimizer.step(params)  # keeps to the masks: what is zero stays zero


def accuracy():
    """Balanced accuracy on the test images."""
    with kernels.constant_weights():
        batches = plain_batches(photos, test, 256, normalization)
        return collect(net.forward, batches).report()["balanced_accuracy"]


def start_again():
    """The trained network, with no weight pruned."""
    for path, param in params.items():
        param.value, param.mask = trained[path].copy(), None


fit(8, seed=0)
trained = {path: param.value.copy() for path, param in params.items()}
print(f"{net.count_params():,} parameters, balanced accuracy {accuracy():.3f}")

# %% [markdown]
# ## One threshold, or one for each layer?
# Each array can lose the same share, as in TensorFlow's toolkit, or one threshold can hold for the
# whole network. Then large arrays, whose weights are small by He's initialization, give more, and
# small ones are spared (all but conv5, whose weights began at a thirtieth of that scale). The first
# convolution holds one weight in a hundred, and all that the network sees goes through it.

# %%
values = {path: param.value for path, param in prune.prunable(params).items()}
flat = mask(np.concatenate([w.reshape(-1) for w in values.values()]), 0.8)  # your mask, of all
ends = np.cumsum([w.size for w in values.values()])
print("at 80 %              weights   zeros with one threshold for all")
for (path, w), part in zip(values.items(), np.split(flat, ends[:-1]), strict=True):
    print(f"{path:18} {w.size:9,} {1 - part.mean():9.0%}")
for scope in ("layer", "global"):
    start_again()
    prune.prune(params, 0.8, scope)
    print(f"pruned to 80 % with the scope {scope!r}: balanced accuracy {accuracy():.3f}")

# %% [markdown]
# Which arrays bear it best? Prune one at a time, and leave all others whole:

# %%
ALONE = (0.5, 0.8, 0.9, 0.95)
sensitivity = np.zeros((len(values), len(ALONE)))
for row, path in enumerate(values):
    for column, share in enumerate(ALONE):
        start_again()
        params[path].value *= mask(params[path].value, share)
        sensitivity[row, column] = accuracy()

figure = lesson.figure(6, 3.6)
axes = figure.subplots()
drawn = axes.imshow(sensitivity, cmap="cividis", vmin=0, vmax=1, aspect="auto")
for (row, column), value in np.ndenumerate(sensitivity):
    colour = "white" if value < 0.5 else "black"
    axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
axes.set_xticks(range(len(ALONE)), [f"{share:.0%}" for share in ALONE])
axes.set_yticks(range(len(values)), [f"{path}, {w.size:,}" for path, w in values.items()])
axes.set(xlabel="zeros in this array alone", ylabel="array, number of weights")
figure.colorbar(drawn, label="balanced accuracy")
lesson.show(figure, "09_sensitivity")

# %% [markdown]
# ## At once, and by the schedule
# Now for the comparison, with one threshold for all. *Once*: prune, and measure. *Retrained*: three
# more epochs, in the first half of which the share of zeros rises by your schedule. At 0 % this is
# three epochs of training and no more, so that the two kinds of gain can be told apart.

# %%
SPARSITIES = (0.0, 0.5, 0.8, 0.9, 0.98)
once, retrained, networks = [], [], []
for sparsity in SPARSITIES:
    start_again()
    prune.prune(params, sparsity, "global")
    once.append(accuracy())

    start_again()
    end = 3 * STEPS // 2

    def prune_some(step, end=end, last=sparsity):
        if step <= end and step % 5 == 0:
            prune.prune(params, sparsity_at(step, 0, end, 0.0, last), "global")

    fit(3, seed=1, before_step=prune_some)
    retrained.append(accuracy())
    networks.append({path: param.value.copy() for path, param in params.items()})
    print(f"{sparsity:4.0%} zeros: once {once[-1]:.3f}, retrained {retrained[-1]:.3f}")

# %% [markdown]
# ## What is gained
# A `.tflite` file stores every weight, the zeros too. It is gzip, on the way to a phone or a board,
# that packs zeros tightly. And the time? Multiplying by zero takes as long as by any other number:
# kernels for dense weights do not look. The Edge TPU's are dense, too.

# %%
sizes, plain, simulators = {"float32": [], "int8": []}, set(), []
for weights in networks:
    for path, value in weights.items():
        params[path].value = value
    whole = Trained(net, "small", photos.classes, photos.size, normalization, None, None, Path())
    files = convert(whole, photos.images[train[:64]])
    for form, content in (("float32", files.float32_file()), ("int8", files.int8_file())):
        sizes[form].append(len(gzip.compress(content, 9)) / 1000)
        plain.add(f"{form} {len(content):,}")
    simulators.append(Simulator(files.quantized))

print("bytes without gzip, whatever the zeros:", "; ".join(sorted(plain)))

images, times = photos.images[test[:1]], []
for _ in range(200):  # in turns, so that a busy moment of the machine hits both
    for simulator in (simulators[0], simulators[3]):
        start = time.perf_counter()
        simulator.run(images)
        times.append(time.perf_counter() - start)
dense, sparse = np.median(np.reshape(times, (-1, 2))[20:], axis=0) * 1000
print(f"int8, one image: {dense:.3f} ms with all weights, {sparse:.3f} ms with 90 % zeros")

figure = lesson.figure(10, 3)
left, right, both = figure.subplots(1, 3)
percent = 100 * np.array(SPARSITIES)
left.plot(percent, retrained, "o-", color=BLUE, label="retrained")
left.plot(percent, once, "s--", color=ORANGE, label="at once")
left.axhline(1 / len(photos.classes), color=GREY, lw=1, ls=":", label="guessing")
left.set(xlabel="zeros (% of the weights)", ylabel="balanced accuracy", ylim=(0, 1))
left.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 0.15))
for (form, kilobytes), style in zip(sizes.items(), ("o-", "s--"), strict=True):
    color = BLUE if form == "float32" else ORANGE
    right.plot(percent, kilobytes, style, color=color, label=form)
right.set(xlabel="zeros (% of the weights)", ylabel="file after gzip (kB)")
right.set_ylim(bottom=0)
right.legend(frameon=False)
both.plot(sizes["int8"], retrained, "o-", color=BLUE)
for share, kilobytes, score in zip(percent, sizes["int8"], retrained, strict=True):
    both.annotate(f"{share:.0f} %", (kilobytes, score), (4, -12), textcoords="offset points")
both.set(xlabel="int8 file after gzip (kB)", ylabel="balanced accuracy, retrained", ylim=(0, 1))
both.set_xlim(left=0)
lesson.show(figure, "09_pruning")
smaller = sizes["int8"][0] / sizes["int8"][2]
print(f"balanced accuracy {retrained[0]:.3f} with all weights, {retrained[2]:.3f} with 80 % zeros")
lesson.number(
    f"{smaller:.1f}x", "smaller as int8 and gzip with 80 % zeros, than int8 and gzip alone"
)

# %% [markdown]
# ## What can go wrong
# - **The zeros come back.** A weight of zero still has a gradient, and momentum besides: the next
#   step would move it. So the mask is applied again after each step (`Optimizer.step` in
#   `minicnn/optim.py`).
# - **The file is as large as before.** It is, until something compresses it. Whoever reports a size
#   after pruning has to say which: `len(file)` does not change by a byte.
# - **A share of zeros is taken for speed.** Only a kernel written for sparse weights, or removing
#   whole channels, saves multiplications. `python -m minicnn.prune --help` offers the second.
# - **The sparsity is chosen on the test images.** This tutorial did, for the picture. A network to
#   be used needs a third part of the data for it.
#
# ## Go on
# `prune.SCOPES` has a third way, "adaptive" (LAMP): put it in place of "global". Or give retraining
# twice the epochs: how far to the right does the fall move? With a trained run of your own, `python
# -m minicnn.prune RUN --scan` prunes each layer alone and shows which ones are sensitive.
#
# Next: [10. int8 with your own hands](10_int8_by_hand.py)
