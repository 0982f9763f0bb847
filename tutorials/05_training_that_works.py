# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 5. Training that works, and how it fails
# A training that fails rarely says so. The loss falls a little, stays where it is, and the network
# answers "nevus" to everything: so the thesis's Deepsqueeze spent a hundred epochs. Here you see
# what had happened to it, on a network of twelve convolutions. You write the two lines that decide
# whether such a network learns, the scale of its first weights and the step of the optimizer, and
# then climb a ladder of three checks that take seconds and find most failures before the long
# training does.
#
# **You need** tutorials 2 and 3. **It takes** a minute of computing.

# %%
import itertools

import numpy as np

import lesson
from checks import training as check
from minicnn.data.augment import Augment, Normalization
from minicnn.data.loader import plain_batches, prefetch, training_batches
from minicnn.data.split import split
from minicnn.evaluation import collect
from minicnn.experiments.signals import measure
from minicnn.layers import Conv2D, Dense, Flatten, MaxPool2D, Sequential
from minicnn.loss import CrossEntropy
from minicnn.optim import SGD

BLUE, ORANGE, GREY = "#4477aa", "#cc6600", "#777777"
CHANNELS, DEPTH, POOLS = 24, 12, (1, 4, 8)

dataset = lesson.photographs((48, 48))
classes = dataset.classes
train, test = split(dataset.labels, dataset.lesions, classes)


def deep(scale, seed=0):
    """Twelve 3x3 convolutions with ReLU and a linear layer; weights from N(0, scale²), biases 0.

    scale   (OC, KH, KW, C) -> standard deviation of a convolution's weights
    """
    rng = np.random.default_rng(seed)
    layers, C = [], 3
    for number in range(1, DEPTH + 1):
        conv = Conv2D(C, CHANNELS, 3, stride=2 if number == 1 else 1, padding="same", relu=True)
        w = conv.params["w"].value
        w[...] = scale(*w.shape) * rng.standard_normal(w.shape)
        layers.append((f"conv{number}", conv))
        if number in POOLS:
            layers.append((f"pool{number}", MaxPool2D(2, stride=2)))
        C = CHANNELS
    head = Dense(3 * 3 * C, len(classes), rng=rng)  # three pools and a stride: 48 pixels become 3
    head.params["w"].value *= np.float32(0.1)  # at first all classes are about equally likely
    return Sequential([*layers, ("flatten", Flatten()), ("head", head)])


def glorot_scale(OC, KH, KW, C):
    """Keras's, and so the thesis's (Glorot and Bengio, 2010)."""
    return np.sqrt(2 / (KH * KW * (C + OC)))


thesis, ours = Normalization(), Normalization.of(dataset.images, train)
x, labels = next(plain_batches(dataset, train[::50], 64, thesis))  # bytes / 255, nothing else
figure = lesson.figure(6.5, 3)
axes = figure.subplots()
for name, scale, style, colour in (
    ("0.2", lambda *shape: 0.2, "--s", GREY),
    ("Glorot's", glorot_scale, "-o", ORANGE),
    ("0.02", lambda *shape: 0.02, ":^", GREY),
):
    rows = measure(deep(scale), x, labels, CrossEntropy(), SGD(1e-4, 0.9))[:-1]
    axes.plot([r.depth for r in rows], [r.between for r in rows], style, color=colour, label=name)
axes.set(yscale="log", xlabel="convolutions passed", ylabel="difference between images")
axes.legend(title="scale of the weights", frameon=False)
lesson.show(figure, "05_scales")

# %% [markdown]
# Drawn is how much the images differ from each other behind each convolution (the standard
# deviation over 64 images, before any training). With weights of 0.2 it grows by a constant factor
# in each layer, with 0.02 it shrinks by one. Glorot's formula, which most libraries take when
# nobody says otherwise, also loses some of it in each layer. Behind twelve, hardly anything is left
# by which the last layer could tell one image from another.
#
# ## The right scale
# An output of a convolution is a sum of products of weights and inputs. Take the weights as random,
# with mean 0 and variance s². Then the mean square of the sum is the number of products, times s²,
# times the mean square of the inputs. Ask that it stays the same from layer to layer, and s²
# follows. But after each convolution comes a ReLU, which sets half of the values to zero, and so
# halves the mean square: that has to be made good too (He et al., 2015, arXiv:1502.01852). Glorot's
# formula has no ReLU in mind.
#
# **Blank 1**: the scale s of the weights.


# %%
def he_scale(OC, KH, KW, C):
    """Standard deviation of the first weights (OC, KH, KW, C) of a convolution with ReLU."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def he_scale_solution(OC, KH, KW, C):
    return np.sqrt(2 / (KH * KW * C))


# %%
he_scale = lesson.answer("he_scale", he_scale, he_scale_solution)
check.he_scale(he_scale)
print(f"conv2: Glorot {glorot_scale(24, 3, 3, 24):.3f}, He {he_scale(24, 3, 3, 24):.3f}")

# %% [markdown]
# ## The step
# Steepest descent subtracts the gradient, times the learning rate. With *momentum* the weights move
# by a velocity instead. The velocity fades, to 0.9 of itself in each step, and in each step the
# gradient changes it. Directions in which the gradients agree add up; those that change their sign
# from batch to batch cancel.
#
# **Blank 2**: new weights and new velocity.


# %%
def sgd_step(w, dw, velocity, lr, momentum):
    """(w, velocity) after a step; all arrays have w's shape. The velocity begins as zeros.

    lr         learning rate: how far a gradient of 1 moves the velocity
    momentum   how much of the old velocity is kept, 0 to 1
    """
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def sgd_step_solution(w, dw, velocity, lr, momentum):
    velocity = momentum * velocity - lr * dw
    return w + velocity, velocity


# %%
sgd_step = lesson.answer("sgd_step", sgd_step, sgd_step_solution)
check.sgd_step(sgd_step)

# %% [markdown]
# ## Three starts
# - **thesis**: Glorot's scale, pixels from 0 to 1, a rate of 0.0001, as the thesis has it.
# - **a larger rate**: the same with 0.005.
# - **He**: He's scale, pixels with mean 0 and variance 1, a rate of 0.005.
#
# Below on the left the signal on its way forward, on the right the gradient on its way back: it is
# multiplied by the same weights, and fades as they do. Printed is what the first step does to the
# first convolution: to be felt, a step has to be more than the last digit of a float32.

# %%
starts = {
    "thesis": (glorot_scale, thesis, 1e-4, "-", GREY),
    "a larger rate": (glorot_scale, thesis, 0.005, "--", ORANGE),
    "He": (he_scale, ours, 0.005, "-", BLUE),
}

figure = lesson.figure(8, 3)
forward, backward = figure.subplots(1, 2)
for name, (scale, pixels, lr, *_) in starts.items():
    x, labels = next(plain_batches(dataset, train[::50], 64, pixels))
    rows = measure(deep(scale), x, labels, CrossEntropy(), SGD(lr, 0.9))[:-1]
    print(
        f"{name:14} step by {rows[0].update:.0e} of conv1's length; "
        f"{rows[0].changed:.0%} of its weights are another float32 after it"
    )
    if name != "a larger rate":  # the first picture of both is the same
        marks = {"marker": "s", "color": BLUE} if name == "He" else {"marker": "o", "color": ORANGE}
        label = "He" if name == "He" else "thesis, and a larger rate"
        depth = [row.depth for row in rows]
        forward.plot(depth, [row.between for row in rows], label=label, **marks)
        backward.plot(depth, [row.gradient for row in rows], **marks)
forward.set(yscale="log", xlabel="convolutions passed", ylabel="difference between images")
backward.set(yscale="log", xlabel="convolutions passed", ylabel="gradient")
forward.legend(frameon=False)
lesson.show(figure, "05_signal")

# %% [markdown]
# ## The ladder
# **First rung: the loss before the first step.** A network that knows nothing should answer every
# class with the same probability: a loss of ln 7 = 1.946 for seven classes. Much more means that it
# is sure of nonsense (weights too large, pixels from 0 to 255).
#
# **Second rung: 32 images by heart.** Any network with more weights than that must get their loss
# near zero, in seconds. If it does not, something is broken, and more data, more epochs and a
# larger network will not mend it.
#
# **Third rung: all of them.** Two lines are worth drawing before. One is ln 7. The other is the
# entropy of the classes' shares, here about 1.47: the loss of a network that has learned how
# frequent each class is, and nothing about images. It takes only the biases of the last layer to
# get there.


# %%
def endless_batches(chosen, pixels):
    """Batches of 32 for ever, the images in another order in each epoch."""
    augment = Augment(horizontal_flip=len(chosen) > 32, vertical_flip=len(chosen) > 32)
    for epoch in itertools.count():
        yield from training_batches(dataset, chosen, 32, pixels, augment, 0, epoch)


def train_on(chosen, net, pixels, lr, steps):
    """The loss of each step; the rate rises for 40 steps and then falls to 0, as a cosine."""
    loss, losses, params = CrossEntropy(), [], net.named_params()
    velocity = {path: np.zeros_like(param.value) for path, param in params.items()}
    batches = itertools.islice(prefetch(endless_batches(chosen, pixels)), steps)
    for step, (x, labels) in enumerate(batches):
        losses.append(net.gradients(x, labels, loss)[0])
        rate = lr * min(1, (step + 1) / 40) * (1 + np.cos(np.pi * step / steps)) / 2
        for path, param in params.items():
            stepped = sgd_step(param.value, param.grad, velocity[path], rate, 0.9)
            param.value[...], velocity[path] = stepped
    return np.array(losses)


few, some = {}, train[:: len(train) // 32][:32]
print(f"ln {len(classes)} = {np.log(len(classes)):.3f}")
for name, (scale, pixels, lr, *_) in starts.items():
    few[name] = train_on(some, deep(scale), pixels, lr, 300)
    print(f"{name:14} first loss {few[name][0]:.3f}, 32 images by heart {few[name][-1]:.3f}")

# %% [markdown]
# The second rung has found both failures, in seconds: neither of the first two starts can learn
# even 32 images. (In the picture further down the third one has a peak, where the rate is highest:
# a few steps were too large. It recovers.) Now what it looks like to whoever skipped it.

# %%
losses, outputs = {}, {}
for name, (scale, pixels, lr, *_) in starts.items():
    net = deep(scale)
    losses[name] = train_on(train, net, pixels, lr, 800)
    outputs[name] = collect(net.forward, plain_batches(dataset, test, 100, pixels))

counts = dataset.counts(train)
shares, largest = counts / counts.sum(), int(counts.argmax())
entropy = -(shares * np.log(shares)).sum()
print(f"entropy of the classes' shares {entropy:.3f}\n")
print(f"{'':14}  last losses  answers {classes[largest]}  top-1  balanced")
for name, given in outputs.items():
    report, answered = given.report(), given.logits.argmax(axis=1)
    print(
        f"{name:14} {losses[name][-100:].mean():12.3f} {(answered == largest).mean():11.0%} "
        f"{report['top1']:6.1%} {report['balanced_accuracy']:9.1%}"
    )

# %%
figure = lesson.figure(8.3, 3.6)
left, right = figure.subplots(1, 2, sharey=True)
for name, (_, _, lr, style, colour) in starts.items():
    label = f"{name} ({lr:g})"
    for axes, values in ((left, few[name]), (right, losses[name])):
        smooth = np.convolve(values, np.ones(20) / 20, "valid")  # the mean of 20 steps
        axes.plot(np.arange(len(smooth)) + 10, smooth, style, color=colour, label=label)
for height, says in ((np.log(len(classes)), f"ln {len(classes)}"), (entropy, "only the shares")):
    right.axhline(height, color="k", lw=0.8, ls=":")
    right.text(1.01, height, says, va="center", transform=right.get_yaxis_transform())
left.set(xlabel="step", ylabel="loss", title="32 images", ylim=(0, 2.2))
right.set(xlabel="step", title=f"{len(train):,} images")
right.legend(title="start (rate)", frameon=False, loc="lower left")
lesson.show(figure, "05_training_that_works")
freed = outputs["He"].report()["balanced_accuracy"]
lesson.number(f"{freed:.1%}", f"balanced accuracy, freed; trapped it is {1 / len(classes):.1%}")

# %% [markdown]
# The first start stays near ln 7: its steps are too small to do anything but turn the last layer's
# biases a little. The second has a rate that is large enough, and falls fast, to the line of the
# shares, and no further. Its curve alone looks like a training that has come to its end, and its
# top-1 of more than half like a first success. It has found the *nv trap*: as long as all images
# look alike to the last layer, the best answer to all of them is the most frequent class. Only the
# third gets below the line, which only a network can that looks at the images.
#
# In the thesis, SqueezeNet, 18 layers deep, left the trap in its hundred epochs, and Deepsqueeze,
# which is 30 deep, did not. `python -m minicnn.experiments depth` measures there what you have seen
# here ([the reproduction](../docs/reproduction.md) has the figures).
#
# ## What can go wrong
# - **The loss is NaN.** A step was too large, the next gradient larger still. Divide the rate by
#   ten; let it rise over the first steps, as `train_on` does.
# - **The trap from the other side.** With a rate that is too large, one step can push a ReLU's bias
#   so far down that it gives 0 for every image. Its gradient is then 0 as well, and it never comes
#   back. The curve looks like that of the second start.
# - **The 32 images are learned, the test images not.** Then the code works. What is missing is
#   data, augmentation or time ([6](06_data_without_cheating.py)).
# - **Weights of the loss hide the lines.** With class weights the loss of guessing is no longer ln
#   7, and the trap has another height: compute it for the weights that you use.
#
# ## Go on
# What does each of He's two changes do alone: Glorot's scale with `ours`, He's with `thesis`? And a
# hundred times the rate, 0.5? It fails in one way on the second rung, in another on the third.
# `minicnn/optim.py` has the step that the command uses instead (Muon), and its source.
#
# Next: [6. Data without cheating](06_data_without_cheating.py)
