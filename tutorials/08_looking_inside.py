# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 8. Looking inside
# A network that answers well may look at the wrong thing: a ruler, a hair, the dark corner of a
# lens. Here you ask it where it looks, write the formula for that yourself, read the same map out
# of an int8 file's integers, see its worst mistakes, and measure whether it is right as often as it
# says.
#
# **You need** tutorial 2 (gradients). **It takes** about a minute and a half: a network is trained.

# %%
import tempfile
from pathlib import Path

import numpy as np

import lesson
from checks import looking_inside as check
from exporters.convert import convert
from minicnn import explain, metrics, preparation, train, trained
from minicnn.compress import calibration_set
from minicnn.layers import Dropout

SIZE = 96, 96  # height and width in pixels
dataset = lesson.photographs(SIZE)
released = trained.load("squeezenet")  # comes with minicnn, trained on HAM10000's photographs
x = released.normalization.apply(dataset.images[5:6])
seen = explain.activations(released.net, x)

figure = lesson.figure(8, 3.2)
image, filters, maps = figure.subplots(1, 3, width_ratios=(1, 1.2, 1.6))
image.imshow(dataset.images[5])
image.set_title("an image")
filters.imshow(explain.sheet(released.net.layers["conv1"].params["w"].value))
filters.set_title("conv1: 64 filters of 3x3")
maps.imshow(explain.sheet(seen["fire2"][0].transpose(2, 0, 1), 16), cmap="gray")
maps.set_title("fire2: 128 channels of its output")
for axes in (image, filters, maps):
    axes.set_axis_off()
lesson.show(figure, "08_filters_and_channels")

# %% [markdown]
# The filters find edges, blobs and colours. What the channels behind them find nobody can say from
# looking; so ask the gradient.
#
# ## Grad-CAM
# Take a layer's output y (N, h, w, C) and the gradient dy of one class's logit with respect to it,
# of the same shape. The mean of dy over the places says how much channel c raises that logit:
#
# $$\alpha_{nc} = \frac{1}{hw}\sum_{i,j} dy_{nijc} \qquad
# heat_{nij} = \max\Big(0, \sum_c \alpha_{nc}\, y_{nijc}\Big)$$
#
# The maximum leaves out what speaks against the class (Selvaraju et al., 2017, arXiv:1610.02391).
#
# **Blank 1**: the heat map.


# %%
def grad_cam(y, dy):
    """y and dy (N, h, w, C), activations and a logit's gradient, to heat (N, h, w)."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def grad_cam_solution(y, dy):
    weights = dy.mean(axis=(1, 2), keepdims=True)  # (N, 1, 1, C)
    return np.maximum((weights * y).sum(axis=-1), 0)


# %% [markdown]
# ## Is it right as often as it says?
# Of all images that get their answer with a probability around 0.8, eight in ten should be right.
# Sort the images by that probability into bins of equal width. The expected calibration error is
# the mean over all *images* of how far their bin is off, |share of right answers - mean
# probability| (Guo et al., 2017, arXiv:1706.04599).
#
# **Blank 2**: that error.


# %%
def calibration_error(confidence, right, bins=15):
    """confidence (N,) from 0 to 1, right (N,) True or False; a number from 0 to 1."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = place == b
        if inside.any():
            error += ...
    return error


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def calibration_error_solution(confidence, right, bins=15):
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = place == b
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += gap * inside.mean()  # inside.mean() is the bin's share of the images
    return error


# %%
grad_cam = lesson.answer("grad_cam", grad_cam, grad_cam_solution)
check.grad_cam(grad_cam)
calibration_error = lesson.answer(
    "calibration_error", calibration_error, calibration_error_solution
)
check.calibration_error(calibration_error)

# %% [markdown]
# ## A network to look into
# The released network knows photographs only. For painted lesions a SqueezeNet learns in a minute
# (for photographs, with `--data`, in a few minutes):

# %%
run = Path(tempfile.mkdtemp()) / "run"
flags = ["--data", lesson.folder()] if lesson.folder() else []
size = f"{SIZE[0]}x{SIZE[1]}"
status = train.main(
    ["squeezenet", "--size", size, "--epochs", "10", "--no-export", "--out", str(run), *flags]
)
network = trained.load(run)
data = preparation.prepare(network.config)
images, labels = data.dataset.images[data.test], data.dataset.labels[data.test]
x = network.normalization.apply(images)
p = network.net.predict(x)
answers, confidence = p.argmax(axis=1), p.max(axis=1)

# %% [markdown]
# ## Where it looks
# One right answer of each class. `explain.grad_cam` does forward and backward behind any layer of
# any network; with your formula in the middle it would be these lines:

# %%
right = answers == labels
one_each = np.array([np.flatnonzero(right & (labels == c))[0] for c in np.unique(labels[right])])
layers = list(network.net.layers.values())
behind = list(network.net.layers).index("fire9") + 1
y = x[one_each]
for layer in layers[:behind]:
    y = layer.forward(y)
logits = y
after = [layer for layer in layers[behind:] if not isinstance(layer, Dropout)]
for layer in after:
    logits = layer.forward(logits, train=True)
dy = np.eye(p.shape[1], dtype=np.float32)[labels[one_each]]  # of the logit that is asked about: 1
for layer in reversed(after):
    dy = layer.backward(dy)
heat = grad_cam(y, dy)
ours = explain.grad_cam(network.net, x[one_each], labels[one_each])
print(f"largest difference to explain.grad_cam: {np.abs(heat - ours).max():.1e}")

# %% [markdown]
# SqueezeNet needs no gradient at all: its last convolution already has a channel for each class,
# and the logit is that channel's mean over the places. The channel is the map (Zhou et al., 2016,
# arXiv:1512.04150). In an int8 file it is a tensor of integers, so a device could show it too.

# %%
int8 = convert(network, calibration_set.of_training(data)).quantized
integers, scale, zero_point = explain.integer_class_maps(int8, images[one_each])
in_float = explain.class_maps(network.net, x[one_each])
value = scale * (integers.astype(np.float32) - zero_point)
print(f"integers {integers.min()} to {integers.max()}, a step is worth {scale:.3f}")
print(f"largest difference to the float map: {np.abs(value - in_float).max() / scale:.1f} steps")

rows = {
    "image": lambda k: images[one_each[k]],
    "Grad-CAM": lambda k: explain.overlay(images[one_each[k]], heat[k]),
    "class map,\nint8": lambda k: explain.overlay(
        images[one_each[k]], value[k, ..., labels[one_each[k]]]
    ),
}
figure = lesson.figure(8, 3.9)
grid = figure.subplots(3, len(one_each), squeeze=False)
for row, (name, picture) in zip(grid, rows.items(), strict=True):
    for k, axes in enumerate(row):
        axes.imshow(picture(k))
        axes.set(xticks=[], yticks=[])
        for edge in axes.spines.values():
            edge.set_visible(False)
    row[0].set_ylabel(name)
for k, axes in enumerate(grid[0]):
    axes.set_title(network.classes[labels[one_each[k]]])
lesson.show(figure, "08_where_it_looks")

# %% [markdown]
# Yellow raises the logit most. The maps are coarse, 5x5 places here: the network's last layers see
# no finer. That the last two rows nearly agree is no accident: behind fire9 come only this
# convolution and its mean, so Grad-CAM weighs the channels as the convolution does.
#
# ## Its worst mistakes
# The wrong answers that it was surest of. Look for what they have in common: it tells you what to
# collect more of.

# %%
wrong = np.flatnonzero(~right)
worst = wrong[np.argsort(-confidence[wrong])[:6]]
heat = explain.grad_cam(network.net, x[worst], answers[worst])
figure = lesson.figure(8, 3.1)
for k, column in enumerate(figure.subplots(2, len(worst), squeeze=False).T):
    i = worst[k]
    said, is_ = network.classes[answers[i]], network.classes[labels[i]]
    column[0].set_title(f"said {said} {confidence[i]:.2f}\nis {is_}")
    column[0].imshow(images[i])
    column[1].imshow(explain.overlay(images[i], heat[k]))
    for axes in column:
        axes.set_axis_off()
lesson.show(figure, "08_worst_mistakes")

# %% [markdown]
# ## Calibration
# Both networks on the same test images. The released one was trained on photographs; if these
# images are painted, it has never seen anything like them. Does it say so? (With all of HAM10000 it
# has trained on some of these images, and its curve flatters.)

# %%
p_released = released.probabilities(images)
figure = lesson.figure(7, 3.6)
axes = figure.subplots()
axes.plot([0, 1], [0, 1], "--", color="#777777", lw=1, label="as sure as right")
for name, q, style, colour in (
    ("trained here", p, "-o", "#4477aa"),
    ("released", p_released, "-s", "#cc6600"),
):
    found = metrics.reliability(q, labels)
    mine = calibration_error(q.max(axis=1), q.argmax(axis=1) == labels)
    print(
        f"{name:13} top-1 {np.mean(q.argmax(axis=1) == labels):.3f}, calibration error "
        f"{mine:.3f}, minicnn's {found.error:.3f}"
    )
    enough = found.images >= 5  # of fewer, the share is a matter of luck
    points = found.confidence[enough], found.accuracy[enough]
    axes.plot(*points, style, color=colour, markersize=4, label=f"{name}: error {mine:.2f}")
axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="probability of the answer")
axes.set(ylabel="share of right answers", title=f"{len(labels)} test images")
figure.legend(frameon=False, loc="outside right upper")
lesson.show(figure, "08_looking_inside")
error = calibration_error(confidence, right)
lesson.number(f"{100 * error:.1f}", "points between what the network says and what is right")

# %% [markdown]
# ## What can go wrong
# - **A heat map is not a reason.** It says where, not what; and a network that looks at the lesion
#   can still be wrong about it.
# - **Dropout on.** In a training forward some channels are missing, and the map is another each
#   time (`explain` switches it off).
# - **Probabilities of a network far from its data mean nothing**, and nothing in them warns you. A
#   device for real use needs a check of its own that the image is of the kind it was trained on.
# - **What keeps a network from learning by heart makes it modest.** Images mixed in pairs (mixup)
#   and class weights are why the blue line lies mostly above the diagonal.
# - **Few images in a bin** make its point jump. With 50 images the error is never 0, even for a
#   perfectly calibrated network.
#
# ## Go on
# Ask another layer: `explain.grad_cam(net, x, classes, layer="fire5")` is finer and noisier. Ask
# for another class than the answer: what in a nevus speaks for melanoma?
#
# Next: [9. Pruning](09_pruning.py)
