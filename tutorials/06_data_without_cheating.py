# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 6. Data without cheating
# A network is tested on images that it has not seen. But a lesion is often photographed more than
# once: from nearer, turned, in other light. Deal the images out at random, and many a test image
# has a twin among the training images. The network then knows the lesion instead of the disease,
# and the test flatters it. Here you write the split that keeps a lesion on one side, and measure
# what the other one cheats by.
#
# **You need** nothing from the other tutorials. **It takes** half a minute of computing.

# %%
import numpy as np

import lesson
from checks import data as check
from minicnn.data.augment import Normalization
from minicnn.data.loader import training_batches
from minicnn.data.split import split
from minicnn.recipes import DEFAULT

dataset = lesson.photographs((64, 64))
labels, lesions, classes = dataset.labels, dataset.lesions, dataset.classes
_, number, counts = np.unique(lesions, return_inverse=True, return_counts=True)
several = np.flatnonzero(counts[number] > 1)  # images whose lesion has another one
print(f"{len(dataset)} images of {len(counts)} lesions")
print(f"{len(several) / len(dataset):.0%} of them show a lesion that another image shows too")
if not len(several):
    raise lesson.Message("Each image has a lesion of its own here: nothing can leak.")

figure = lesson.figure(8, 2.6)
axes = figure.subplots(2, len(classes), squeeze=False)
for label, column in enumerate(axes.T):
    mine = several[labels[several] == label]
    twins = np.flatnonzero(lesions == lesions[mine[0]])[:2] if len(mine) else []
    for ax, image in zip(column, twins, strict=False):
        ax.imshow(dataset.images[image])
    column[0].set_title(classes[label])
for ax in axes.flat:
    ax.set_axis_off()
lesson.show(figure, "06_the_same_lesion_twice")

# %% [markdown]
# Each column is one lesion, photographed twice. (Unless you gave a folder, these are painted.)
#
# ## A split that keeps lesions together
# So it is the lesions that are dealt out, and each image follows its lesion. **Blank 1**: which
# images are tested on. Draw names of lesions, as many as `fraction` says, then ask of each image
# whether its lesion was drawn. `np.unique`, `rng.permutation` and `np.isin` are of use; two or
# three lines are enough.


# %%
def split_by_lesion(lesions, fraction, rng):
    """Positions of the training images and of the test images, with no lesion on both sides.

    lesions (N,) names; ``fraction`` of the lesions is tested on; rng, a generator, draws them.
    """
    on_test = ...  # (N,) bool
    return np.flatnonzero(~on_test), np.flatnonzero(on_test)


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def split_by_lesion_solution(lesions, fraction, rng):
    names = rng.permutation(np.unique(lesions))
    on_test = np.isin(lesions, names[: round(fraction * len(names))])
    return np.flatnonzero(~on_test), np.flatnonzero(on_test)


# %%
split_by_lesion = lesson.answer("split_by_lesion", split_by_lesion, split_by_lesion_solution)
check.split_by_lesion(split_by_lesion)


def twins(train, test):
    """The share of test images whose lesion is in the training images as well."""
    return np.isin(lesions[test], lesions[train]).mean()


ways = {
    "at random over images": split(labels, lesions, classes, by="image"),
    "yours, over lesions": split_by_lesion(lesions, 0.2, np.random.default_rng(0)),
    "minicnn's, over lesions": split(labels, lesions, classes, by="lesion"),
}
print(f"\n{'split':24} train  test  with a twin   of each class on the test side")
for way, (train, test) in ways.items():
    share = dataset.counts(test) / np.maximum(dataset.counts(), 1)
    shares = " ".join(f"{s:4.0%}" for s in share)
    print(f"{way:24} {len(train):5} {len(test):5} {twins(train, test):9.0%}       {shares}")

# %% [markdown]
# minicnn's split goes one step further than yours: it also gives each class its fifth of the images
# (`minicnn/data/split.py`), so that a rare class does not end up on one side by chance.
#
# ## The third side
# How many epochs, which rate, which of ten networks? Whoever asks the test images ten times and
# keeps the best answer has chosen by them: that is cheating too, only more slowly. Such questions
# are put to a *validation* part of the training side, cut off in the same way, and the test side is
# looked at once, in the end. In minicnn that is `python -m minicnn.train --tune`.

# %%
train, test = ways["yours, over lesions"]
inner, outer = split_by_lesion(lesions[train], 0.2, np.random.default_rng(1))
fit, validation = train[inner], train[outer]  # positions in `train`, turned to positions in all
print(f"{len(fit)} images to train on, {len(validation)} to choose by, {len(test)} to test on once")
print(f"twins: {twins(fit, validation):.0%} and {twins(train, test):.0%}")

# %% [markdown]
# ## More images that are no cheating
# A lesion has no right way up: mirrored, it is the same diagnosis. So each epoch may see each
# training image in another way. Only images of the *training* side, and only after the split: a
# mirrored copy on the other side would be a twin again. **Blank 2**: mirror some images of a batch,
# left to right. Leave `x` itself as it is, for it may be the data set's own memory.


# %%
def mirror(x, flips):
    """x (N, H, W, C) with the images mirrored left to right for which flips (N,) bool is True."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def mirror_solution(x, flips):
    y = x.copy()
    y[flips] = x[flips, :, ::-1]
    return y


# %%
mirror = lesson.answer("mirror", mirror, mirror_solution)
check.mirror(mirror)

# %% [markdown]
# minicnn mirrors, turns, scales and re-lights, all in one pass over the pixels
# (`minicnn/data/augment.py`). First, framed, a training image; then what the network gets from it
# in twelve epochs of the default recipe; last, your mirror image of it:

# %%
one = train[labels[train] == labels[train].max()][:1]
normalization = Normalization.of(dataset.images, train)
batches = [
    training_batches(dataset, one, 1, normalization, DEFAULT["augment"], seed=0, epoch=epoch)
    for epoch in range(12)
]
seen = np.concatenate([x for batch in batches for x, _ in batch])
seen = np.clip(seen * normalization.std + normalization.mean, 0, 1)  # back to colours
original = dataset.images[one] / 255
original[:, :2] = original[:, -2:] = original[:, :, :2] = original[:, :, -2:] = (0.8, 0.4, 0)

figure = lesson.figure(8, 2.5)
sheet = np.concatenate([original, seen, mirror(dataset.images[one] / 255, np.array([True]))])
for ax, image in zip(figure.subplots(2, 7).flat, sheet, strict=True):
    ax.imshow(image)
    ax.set_axis_off()
lesson.show(figure, "06_augmentations")

# %% [markdown]
# ## What the leak is worth
# A classifier that remembers and does nothing else shows it best: the *nearest neighbour*, which
# answers with the class of the most similar training image. Similar in what? Pixel by pixel not
# even twins are, for one is turned and shifted. So take rings around the lesion's middle, and of
# each the mean and the spread of each colour. Rings do not mind turning.

# %%
RINGS = 10


def rings(images):
    """(N, 60) of uint8 images (N, H, W, 3): mean and spread of three colours in ten rings."""
    N, H, W, _ = images.shape
    x = images / np.float32(255)
    x /= x.mean(axis=(1, 2), keepdims=True)  # the light's strength and tint go out
    border = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], axis=1)
    unlike = np.abs(x - np.median(border, axis=1)[:, None, None]).sum(axis=-1)  # unlike the skin
    unlike = np.maximum(unlike - np.median(unlike, axis=(1, 2), keepdims=True), 1e-6) ** 2
    i, j = np.mgrid[:H, :W]
    weight = unlike / unlike.sum(axis=(1, 2), keepdims=True)
    down, right = (weight * i).sum(axis=(1, 2)), (weight * j).sum(axis=(1, 2))
    radius = np.hypot(i - down[:, None, None], j - right[:, None, None])
    ring = np.minimum(radius / (0.04 * min(H, W)), RINGS).astype(int)  # RINGS: all outside
    place = (ring + (RINGS + 1) * np.arange(N)[:, None, None]).ravel()

    def total(values):
        sums = np.bincount(place, values.ravel(), (RINGS + 1) * N)
        return sums.reshape(N, RINGS + 1)[:, :RINGS]

    pixels = np.maximum(total(np.ones_like(radius)), 1)
    mean = [total(x[..., c]) / pixels for c in range(3)]
    square = [total(x[..., c] ** 2) / pixels for c in range(3)]
    spread = [np.sqrt(np.maximum(s - m * m, 0)) for s, m in zip(square, mean, strict=True)]
    return np.concatenate(mean + spread, axis=1).astype(np.float32)


def nearest(train, test, hide_twins=False):
    """For each test image the position of the most similar training image."""
    a, b = features[test], features[train]
    distance = (b * b).sum(axis=1) - 2 * a @ b.T  # squared, but for a term that all share
    if hide_twins:
        distance[number[test][:, None] == number[train]] = np.inf
    return train[distance.argmin(axis=1)]


parts = [rings(dataset.images[start : start + 250]) for start in range(0, len(dataset), 250)]
features = np.concatenate(parts)

# %% [markdown]
# To see it clearly, take the lesions with several photographs only: there most test images of a
# random split have a twin. Twenty splits of each kind, because one alone is a matter of luck.

# %%
SPLITS = 20


def right(train, test, hide_twins=False):
    """The top-1 of the nearest neighbour, in %."""
    return 100 * np.mean(labels[nearest(train, test, hide_twins)] == labels[test])


def by_image(which, seed):
    train, test = split(labels[which], lesions[which], classes, "image", 0.2, seed)
    return which[train], which[test]


def by_lesion(which, seed):
    train, test = split_by_lesion(lesions[which], 0.2, np.random.default_rng(seed))
    return which[train], which[test]


figure = lesson.figure(6.5, 2.3)
axes = figure.subplots()
means, names = [], []
for place, (deal, colour) in enumerate(((by_image, "#cc6600"), (by_lesion, "#4477aa"))):
    splits = [deal(several, seed) for seed in range(SPLITS)]
    scores = [right(*sides) for sides in splits]
    have = np.mean([twins(*sides) for sides in splits])
    means.append(np.mean(scores))
    names.append(f"{deal.__name__.replace('_', ' ')}:\n{have:.0%} have a twin")
    axes.barh(place, means[-1], 0.6, color=colour)
    axes.plot(scores, place + np.linspace(-0.2, 0.2, SPLITS), ".", color="black", markersize=3)
    axes.annotate(f"{means[-1]:.1f} %", (1, place), color="white", va="center", weight="bold")
leak = means[0] - means[1]
axes.set_yticks(range(len(names)), names)
axes.set(xlim=(0, 100), xlabel="top-1 on test images, % (dots: the splits)")
axes.set_title(f"the same classifier on two kinds of split: {leak:.1f} points apart")
axes.invert_yaxis()
lesson.show(figure, "06_data_without_cheating")

sides = by_image(several, 0)
found = np.mean(number[nearest(*sides)] == number[sides[1]])
print(f"split by image, seed 0: for {found:.0%} of the test images the nearest is the twin itself")

everything = np.arange(len(dataset))
gain = [
    right(*sides) - right(*sides, hide_twins=True)
    for sides in (by_image(everything, seed) for seed in range(SPLITS))
]
print(f"among all images, with their twins and without: {np.mean(gain):.1f} points")
lesson.number(f"{leak:.1f}", "points of the random split's top-1 are the leak")

# %% [markdown]
# Where the twin answers, the answer is right for the wrong reason: no new patient brings one along.
# Among all images the leak is smaller, because fewer have a twin. It depends on the classifier too:
# what is remembered leaks, and a network that has learned its images by heart remembers much more
# than sixty numbers an image.
#
# ## What can go wrong
# - **Copies before the split.** Augmented or repeated images that are made first and dealt out
#   afterwards are twins by construction. Split first.
# - **The leak is elsewhere.** Several lesions of one patient, a ruler that only one clinic lays
#   beside a melanoma, the same image under two names: ask what else both sides share. HAM10000
#   tells the lesion, not the patient.
# - **A figure from the test side slips into training.** Mean and deviation for the normalization
#   belong to the training images alone, and so does every choice between two settings.
# - **One split, one number.** Look at the dots: with few test images another seed may change the
#   result more than the idea that you wanted to test.
#
# ## Go on
# Replace the rings by the pixels themselves (`dataset.images.reshape(len(dataset), -1)` as float32)
# and see how the leak shrinks with what the classifier can recognize. Train with `--split image`,
# and `python -m minicnn.evaluate` says how much better those test images do whose lesion was
# trained on.
#
# Next: [7. Imbalance](07_imbalance.py)
