# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 7. Imbalance
# Two thirds of HAM10000's photographs are nevi (nv). A network that always answers nv is right for
# two thirds of them, and finds no melanoma at all. (Of the painted lesions that serve here a bit
# more than half are nevi.) Here you write the figure that sees through this, and the class weights
# of the thesis; then four small networks are trained side by side, each with another answer to the
# imbalance.
#
# **You need** tutorial 3 for what a loss is. **It takes** a minute of computing.

# %%
import numpy as np

import lesson
from checks import imbalance as check
from minicnn import metrics
from minicnn.data import balance
from minicnn.data.augment import Augment, Normalization
from minicnn.data.loader import plain_batches, prefetch, training_batches
from minicnn.data.split import split
from minicnn.evaluation import collect
from minicnn.layers import Conv2D, Dense, GlobalAvgPool2D, MaxPool2D, Sequential
from minicnn.loss import CrossEntropy
from minicnn.optim import Muon, warmup_cosine

dataset = lesson.photographs((48, 48))
classes = dataset.classes
train, test = split(dataset.labels, dataset.lesions, classes)  # no lesion on both sides
counts = dataset.counts(train)
largest = int(counts.argmax())

figure = lesson.figure(6.5, 2.2)
axes = figure.subplots()
bars = axes.bar(
    classes, counts, color=["#cc6600" if c == largest else "#4477aa" for c in range(len(classes))]
)
axes.bar_label(bars, [f"{share:.1%}" for share in counts / counts.sum()], padding=2)
axes.set(ylabel="training images", ylim=(0, 1.15 * counts.max()))
lesson.show(figure, "07_classes")

# %% [markdown]
# ## A figure that is not fooled
# A *confusion matrix* counts answers: row i, column j holds the images that are i and were answered
# j. The right ones stand on the diagonal. Of each class, the share that was found is its *recall*:
# the diagonal by the sum of the row. *Balanced accuracy* is the mean of the recalls, so that each
# class counts alike, however many images it has. A class without any image has no recall, and is
# left out.
#
# **Blank 1**: the balanced accuracy.


# %%
def balanced_accuracy(confusion):
    """The mean recall, 0 to 1; confusion (classes, classes): rows are true, columns answered."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def balanced_accuracy_solution(confusion):
    images = confusion.sum(axis=1)
    some = images > 0
    return (confusion.diagonal()[some] / images[some]).mean()


# %%
balanced_accuracy = lesson.answer(
    "balanced_accuracy", balanced_accuracy, balanced_accuracy_solution
)
check.balanced_accuracy(balanced_accuracy)

labels = dataset.labels[test]
always = metrics.confusion_matrix(np.full(len(test), largest), labels, len(classes))
print(f"always answering {classes[largest]}, without looking:")
print(f"top-1 {always.trace() / always.sum():.1%}, balanced {balanced_accuracy(always):.1%}")

# %% [markdown]
# ## Where it comes from, and a first answer
# The loss is a mean over images. Most are of the largest class, so most of the gradient is about
# it, and when in doubt the network is best off answering it. *Class weights* multiply the loss of
# each image by a number that belongs to its class. The thesis takes
#
# $$w_k = \ln\frac{t}{c_k}$$
#
# with t training images in all and c of them in class k. The logarithm is milder than t / c: a
# class that is fifty times as rare does not weigh fifty times as much.
#
# **Blank 2**: the weights.


# %%
def class_weights(labels, classes):
    """(classes,) weights ln(t / c); labels (N,) integers from 0, each class at least once."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def class_weights_solution(labels, classes):
    return np.log(len(labels) / np.bincount(labels, minlength=classes))


# %%
class_weights = lesson.answer("class_weights", class_weights, class_weights_solution)
check.class_weights(class_weights)
weights = class_weights(dataset.labels[train], len(classes))
for name, formula in (("yours", weights), ("t / c", balance.class_weights(counts, "ratio"))):
    print(f"{name:6}", "  ".join(f"{c} {w:.2f}" for c, w in zip(classes, formula, strict=True)))

# %% [markdown]
# ## Four answers
# - **Nothing**: each image counts once.
# - **Class weights**: yours.
# - **Under-sampling**: three quarters of the largest class are left out of each epoch, other images
#   each time (the thesis left the same ones out for good).
# - **Logit adjustment** (Menon et al., 2021, arXiv:2007.07314): while training, ln(share of the
#   class) is added to the logits before the softmax. So the shares are accounted for already, and
#   the network has no reason to learn them. In the test nothing is added: it answers as if all
#   classes were equally frequent.
#
# The network has 24,000 weights, and takes the same 400 steps of 32 images with each answer.

# %%
STEPS, BATCH = 400, 32
normalization = Normalization.of(dataset.images, train)


def tiny(seed):
    """Three convolutions and a linear layer, with fresh weights."""
    rng = np.random.default_rng(seed)
    head = Dense(64, len(classes), rng=rng)
    head.params["w"].value *= np.float32(0.1)  # at first all classes are about equally likely
    return Sequential(
        [
            ("conv1", Conv2D(3, 16, 3, stride=2, relu=True, rng=rng)),
            ("pool1", MaxPool2D(2, stride=2)),
            ("conv2", Conv2D(16, 32, 3, relu=True, rng=rng)),
            ("pool2", MaxPool2D(2, stride=2)),
            ("conv3", Conv2D(32, 64, 3, relu=True, rng=rng)),
            ("pool3", GlobalAvgPool2D()),
            ("head", head),
        ]
    )


def trained(loss, thin=0.0):
    """The logits of the test images after STEPS steps; ``thin`` of the largest class left out."""
    net, epoch = tiny(seed=0), 0
    optimizer = Muon(warmup_cosine(0.004, STEPS // 10, STEPS))
    while optimizer.steps < STEPS:
        chosen = train[balance.undersample(dataset.labels[train], thin, 0, epoch)]
        augment = Augment(horizontal_flip=True, vertical_flip=True)
        batches = training_batches(dataset, chosen, BATCH, normalization, augment, 0, epoch)
        for x, y in prefetch(batches):
            net.gradients(x, y, loss)
            optimizer.step(net.named_params())
            if optimizer.steps == STEPS:
                break
        epoch += 1
    return collect(net.forward, plain_batches(dataset, test, 100, normalization)).logits


shares = counts / counts.sum()
logits = {
    "nothing": trained(CrossEntropy()),
    "class weights": trained(CrossEntropy(weights)),
    "under-sampling": trained(CrossEntropy(), thin=0.75),
    "logit adjustment": trained(CrossEntropy(offsets=np.log(shares))),
}

# %% [markdown]
# ## Side by side
# Recalls by class, then top-1 and balanced accuracy. The last row takes ln(share) off the logits of
# the first network, which nobody trained for it: the same idea, afterwards and for nothing.

# %%
logits["nothing, adjusted later"] = logits["nothing"] - np.log(shares)
confusions = {
    way: metrics.confusion_matrix(z.argmax(axis=1), labels, len(classes))
    for way, z in logits.items()
}
top1 = {way: 100 * c.trace() / c.sum() for way, c in confusions.items()}
balanced = {way: 100 * balanced_accuracy(c) for way, c in confusions.items()}
print(f"{'recall in %':24}", " ".join(f"{name:>5.5}" for name in classes), "  top-1  balanced")
for way, confusion in confusions.items():
    recalls = " ".join(f"{100 * r:5.0f}" for r in metrics.recall(confusion))
    print(f"{way:24} {recalls} {top1[way]:7.1f} {balanced[way]:9.1f}")
print(f"{'test images':24}", " ".join(f"{n:5}" for n in dataset.counts(test)))

four = list(confusions)[:4]
figure = lesson.figure(8.5, 2.5)
for axes, way in zip(figure.subplots(1, 4, sharey=True), four, strict=True):
    rows = confusions[way] / np.maximum(confusions[way].sum(axis=1, keepdims=True), 1)
    drawn = axes.imshow(rows, cmap="cividis", vmin=0, vmax=1)
    axes.set_title(way)
    axes.set_xticks(range(len(classes)), classes, rotation=90)
    axes.set_yticks(range(len(classes)), classes)
figure.supxlabel("answered")
figure.supylabel("is")
figure.colorbar(drawn, ax=figure.axes, label="share of the row")
lesson.show(figure, "07_confusions")

figure = lesson.figure(6.5, 2.6)
axes = figure.subplots()
for place, way in enumerate(logits):
    axes.plot([top1[way], balanced[way]], [place, place], color="#777777", zorder=1)
axes.scatter(list(top1.values()), range(len(logits)), 60, "#cc6600", marker="s", label="top-1")
axes.scatter(list(balanced.values()), range(len(logits)), 60, "#4477aa", label="balanced accuracy")
axes.set_yticks(range(len(logits)), list(logits))
axes.set(xlabel="on the test images, %", ylim=(len(logits) - 0.5, -0.5))
axes.grid(axis="x", alpha=0.25)
figure.legend(loc="outside upper center", ncols=2)
lesson.show(figure, "07_imbalance")
gain = balanced["class weights"] - balanced["nothing"]
lesson.number(f"{gain:+.1f}", "points of balanced accuracy by class weights")

# %% [markdown]
# Without an answer the column of the largest class is bright: whatever is in doubt ends there. Each
# of the answers gives most rare classes more of their images, and takes some from the largest.
# Top-1 often falls for it, which is no failure: it is the price, and what a missed melanoma may
# cost is no question of mathematics. With another seed the answers change places among themselves,
# for a rare class has few test images, and each of them counts much.
#
# ## What can go wrong
# - **Two answers at once.** Weights computed from all images, on an epoch that was thinned already,
#   correct twice. minicnn's default recipe combines three of the answers, and so computes weights
#   and shares from the thinned counts, and takes only a quarter of the shares out
#   (`minicnn/preparation.py`).
# - **Copies on both sides.** Repeating the images of rare classes before the split puts the same
#   image into training and test (tutorial 6).
# - **A balanced test side, top-1 reported.** The thesis thinned its test images too. Its top-1 is
#   that of another mixture of patients, and cannot be held against one on all images.
# - **Probabilities that mean something else.** After any of these answers the network's "0.3
#   melanoma" is not the share among real patients. Tutorial 8 measures how far a network's
#   probabilities can be trusted.
#
# ## Go on
# Use t / c as weights: `balance.class_weights(counts, "ratio")`. Multiply `np.log(shares)` by a
# number from 0 to 1.5 for the last row, and draw top-1 against balanced accuracy: one training
# gives the whole curve. `python -m minicnn.train --help` lists what the commands offer.
#
# Next: [8. Looking inside](08_looking_inside.py)
