# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 0. The whole trip
# From photographs to a file that a chip the size of a fingernail runs: train a network, turn its
# numbers into 8-bit integers, write them as a .tflite file, run that file, and ask whether Google's
# Edge TPU would take it. Every step here is one call; tutorials 1 to 12 open them one after the
# other.
#
# **You need** a minute of computing, no photographs and no network.

# %%
import tempfile
from pathlib import Path

import numpy as np

import lesson
from checks import whole_trip as check
from exporters import edgetpu
from exporters.convert import convert
from exporters.read import read
from minicnn import explain, preparation, runtime, train, trained
from minicnn.compress import calibration_set
from minicnn.files import replacing

SIZE = 64, 64  # height and width in pixels
dataset = lesson.photographs(SIZE)
classes = dataset.classes

figure = lesson.figure(8, 1.5)
for label, axes in enumerate(figure.subplots(1, len(classes))):
    one = int(np.flatnonzero(dataset.labels == label)[0])
    axes.imshow(dataset.images[one])
    axes.set_title(f"{classes[label]}\n{(dataset.labels == label).sum()} images")
    axes.set_axis_off()
lesson.show(figure, "00_classes")

# %% [markdown]
# Seven kinds of skin lesion, as in HAM10000: nevi (nv) are more than half, melanomas (mel) a tenth.
# Unless you gave a folder of photographs, these are painted, by a program that knows what each
# class looks like (`minicnn/data/synthetic.py`).
#
# ## Two things to write first
# A network answers with a probability for each class. **Blank 1**: the three likeliest classes of
# each image.


# %%
def top3(probabilities):
    """(N, classes) to (N, 3): numbers of the three likeliest classes, the likeliest first."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def top3_solution(probabilities):
    return np.argsort(-probabilities, axis=1)[:, :3]


# %% [markdown]
# An int8 file stores an integer q from -128 to 127 for each number, and says once per tensor what
# it stands for: `value = scale * (q - zero_point)`. **Blank 2**: scale and zero point, so that -128
# stands for `low` and 127 for `high`. The zero point is an integer itself, so round it.


# %%
def scale_and_zero_point(low, high):
    """(float, int) for values from low to high; low <= 0 <= high."""
    scale = ...
    zero_point = ...
    return scale, zero_point


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def scale_and_zero_point_solution(low, high):
    scale = (high - low) / 255
    return scale, round(-128 - low / scale)


# %%
top3 = lesson.answer("top3", top3, top3_solution)
scale_and_zero_point = lesson.answer(
    "scale_and_zero_point", scale_and_zero_point, scale_and_zero_point_solution
)
check.top3(top3)
check.scale_and_zero_point(scale_and_zero_point)

# %% [markdown]
# ## Train
# `python -m minicnn.train squeezenet` is this call. SqueezeNet, 726,087 weights that begin at
# random, sees each training image a few times. One line an epoch: the loss falls, top-1 (the share
# of right answers) rises, and balanced accuracy (the mean over the classes, so that nv does not
# decide alone) with it. The words of the recipe are tutorials 5 and 7; each epoch leaves three
# quarters of nv out, others each time. After the first it may warn that all images get one answer:
# that passes. The training side's figures are worse because its images are turned and mixed; and
# only the bar's loss has the class weights in it.

# %%
run = Path(tempfile.mkdtemp()) / "run"
flags = ["--data", lesson.folder()] if lesson.folder() else []
size = f"{SIZE[0]}x{SIZE[1]}"
status = train.main(
    ["squeezenet", "--size", size, "--epochs", "12", "--no-export", "--out", str(run), *flags]
)

# %% [markdown]
# ## To int8, and into a file
# The float network runs over some training images, to see which range each tensor takes
# (calibration). Then every weight and every activation gets its scale, and the whole becomes one
# flatbuffer (tutorials 10 and 11).

# %%
network = trained.load(run)
data = preparation.prepare(network.config)
looked_at = calibration_set.of_training(data)
converted = convert(network, looked_at)
path = run / "model_int8.tflite"
with replacing(path) as file:
    file.write(converted.int8_file())

file = read(path)
print(
    f"{path.name}: {path.stat().st_size / 1024:.0f} KiB; as float32 the weights alone are "
    f"{4 * network.net.count_params() / 1024:.0f} KiB"
)
print("\n tensor                   range            scale   zero point   yours")
activations = [t for t in file.graph.tensors if t.dtype == "int8" and t.data is None]
signed = [t for t in activations if t.zero_point[0] > -128]  # those with values below 0
for tensor in [*activations[:3], *signed[:1]]:
    scale, zero = float(tensor.scale[0]), int(tensor.zero_point[0])
    low, high = scale * (-128 - zero), scale * (127 - zero)
    mine, my_zero = scale_and_zero_point(low, high)
    print(f" {tensor.name:20} {low:6.2f} to {high:5.2f} {scale:10.5f} {zero:8}", end="")
    print(f"       {mine:.5f}, {my_zero}")

# %% [markdown]
# ## Run the file
# On a device, TensorFlow Lite's runtime or Google's pycoral would do it. Here it is whichever is
# installed, or minicnn's own integer arithmetic; they differ by a rounding at most.

# %%
float32, int8 = runtime.load(run), runtime.load(path)
images, labels = data.dataset.images[data.test], data.dataset.labels[data.test]
p_float, p_int8 = float32.probabilities(images), int8.probabilities(images)
for name, classifier, p in (("float32", float32, p_float), ("int8", int8, p_int8)):
    best = top3(p)
    hits = [np.mean((best[:, :k] == labels[:, None]).any(axis=1)) for k in (1, 3)]
    print(f"{name:8} top-1 {hits[0]:.3f}, top-3 {hits[1]:.3f}, by {classifier.runtime}")

# %% [markdown]
# ## Would the Edge TPU take it?
# `edgetpu_compiler` maps an operation to the chip only if its types, shapes and scales fit. It runs
# on Linux for x86 alone, so minicnn has the rules as code, each with its source (`docs/coral.md`).

# %%
verdict = edgetpu.check(file)
print(edgetpu.report_text(verdict))

# %% [markdown]
# ## Side by side
# The same four images, answered in floats and in integers, and where the network looked for it
# (yellow; tutorial 8). At 64x64 pixels the last layers see 3x3 places, so the yellow is coarse.

# %%
shown = np.linspace(0, len(images) - 1, 4).astype(int)
heat = explain.grad_cam(
    network.net, network.normalization.apply(images[shown]), p_float[shown].argmax(axis=1)
)
figure = lesson.figure(8, 5)
axes = figure.subplots(3, 4, height_ratios=(1.2, 1.2, 1))
for column, i in enumerate(shown):
    top, middle, bottom = axes[:, column]
    top.imshow(images[i])
    top.set_title(f"is {classes[labels[i]]}")
    top.set_axis_off()
    middle.imshow(explain.overlay(images[i], heat[column]))
    middle.set_axis_off()
    best = top3(p_float[i : i + 1])[0]
    places = np.arange(3)
    bottom.barh(places - 0.2, p_float[i, best], 0.36, color="#4477aa", label="float32")
    bottom.barh(places + 0.2, p_int8[i, best], 0.36, color="#cc6600", hatch="///", label="int8")
    bottom.set_yticks(places, [classes[c] for c in best])
    bottom.set(xlim=(0, 1), xlabel="probability")
    bottom.invert_yaxis()
figure.legend(*axes[2, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
lesson.show(figure, "00_the_whole_trip")

same = np.mean(p_float.argmax(axis=1) == p_int8.argmax(axis=1))
lesson.number(f"{same:.1%}", f"of {len(images)} test images have the same answer in int8")

# %% [markdown]
# ## What can go wrong
# - **Other images than in training.** The file takes raw bytes of RGB, and its first weights hold
#   the normalization. Feed it BGR, or floats from 0 to 1, and it answers all the same, wrongly.
# - **Calibration on images that are not typical.** Ranges come out too small, values are clipped,
#   and the accuracy falls without any message.
# - **One operation that does not map** sends all after it to the CPU. Check before you train for a
#   day, not after.
#
# ## Go on
# Train longer (`--epochs 25`), or give `--data` a folder of your own photographs: a folder for each
# class is enough. Open `report.html` in the folder that `python -m minicnn.train squeezenet`
# leaves.
#
# Next: [1. Convolution by hand](01_convolution.py)
