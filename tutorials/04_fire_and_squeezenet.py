# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 4. The fire module and SqueezeNet
# AlexNet made convolutional networks famous. Built for photographs of 450x600 pixels, as in the
# thesis that this project repeats, it has 136 million parameters. SqueezeNet answered as well as
# AlexNet on ImageNet with a fiftieth of its parameters (Iandola et al., 2016, arXiv:1602.07360).
# Here you count, without training anything: what a convolution costs, what a fire module saves, and
# where AlexNet's parameters are.
#
# **You need** tutorial 1. **It takes** a few seconds of computing.

# %%
from matplotlib.patches import Rectangle

import lesson
import models
from checks import fire as check
from minicnn import graph
from minicnn.layers import Dense, Fire, Sequential

BLUE, ORANGE, GREY = "#4477aa", "#cc6600", "#777777"

squeezenet = models.build("squeezenet", (224, 224, 3), classes=7)
nodes = graph.from_layer(squeezenet, (224, 224, 3))  # a list of operations and their tensors


def by(shape):
    return "x".join(str(size) for size in shape)


PLACES = {
    "pool1": (0, 0),
    "squeeze": (1, 0),
    "expand1": (2, 0.5),
    "expand3": (2, -0.5),
    "fire2": (3, 0),
}


def draw_module(axes, nodes):
    """fire2's operations as boxes, with an arrow from each to the ones that read it."""
    at = {}  # tensor -> its box
    for node in nodes.nodes:
        name = node.path.split("/")[-1]
        if name not in PLACES or node.path.split("/")[0] not in ("pool1", "fire2"):
            continue
        x, y = at[node.output] = PLACES[name]
        for x0, y0 in [at[tensor] for tensor in node.inputs if tensor in at]:
            line = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
            axes.annotate("", (x - 0.39, y), (x0 + 0.39, y0), arrowprops=line)
        what = node.op.lower().replace("_", " ")
        if node.op == "CONV_2D":
            what = by(nodes.data(node.inputs[1]).shape[1:3]) + " convolution, ReLU"
        text = f"{name}\n{what}\n{by(nodes.shape(node.output))}"
        axes.add_patch(Rectangle((x - 0.38, y - 0.36), 0.76, 0.72, fc="w", ec=BLUE))
        axes.text(x, y, text, ha="center", va="center", fontsize=8)
    axes.set(xlim=(-0.45, 3.45), ylim=(-0.95, 0.95))


def draw_network(axes, nodes):
    """What comes out of each layer: as high as its images, as wide as it has channels."""
    left, outputs = 0, {node.path.split("/")[0]: nodes.shape(node.output) for node in nodes.nodes}
    for name, (H, _, C) in list(outputs.items())[:-1]:  # all but the last: seven numbers
        color = {"fire": BLUE, "conv": ORANGE, "pool": GREY}[name[:4]]
        axes.add_patch(Rectangle((left, -H / 2), C, H, color=color, lw=0))
        axes.text(left + C / 2, -62, name, ha="right", va="top", rotation=40, fontsize=8)
        left += C + 60
    axes.set(xlim=(-90, left), ylim=(-105, 60))


figure = lesson.figure(8.3, 4.2)
above, below = figure.subplots(2, 1)
draw_module(above, nodes)
draw_network(below, nodes)
above.set_title("a fire module: fire2, and the pool before it")
below.set_title("all of SqueezeNet: as high as each output's image, as wide as its channels")
for axes in (above, below):
    axes.set_axis_off()
lesson.show(figure, "04_fire_module")

# %% [markdown]
# Both drawings come from minicnn's graph of the network, the list of operations that also goes into
# a file. Above, the module that SqueezeNet consists of. A *squeeze* of 1x1 windows makes few
# channels out of many. Two *expands* read these few: one with 1x1 windows, one with 3x3 windows,
# padded so that both outputs have the same height and width. Then they are concatenated along the
# channels. Below, the whole network: eight such modules (blue), two convolutions (orange), and
# pools (grey) which halve height and width.
#
# ## What a convolution holds
# Weights are OC KH KW C: OC windows of KH x KW pixels, C channels deep. And each output has a bias.
# The size of the image does not matter; every place uses the same weights.
#
# **Blank 1**: the number of parameters.


# %%
def conv_parameters(KH, KW, C, OC):
    """How many numbers a convolution learns, weights and biases."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def conv_parameters_solution(KH, KW, C, OC):
    return KH * KW * C * OC + OC


# %%
conv_parameters = lesson.answer("conv_parameters", conv_parameters, conv_parameters_solution)
check.conv_parameters(conv_parameters)
plain = conv_parameters(3, 3, 128, 128)
print(f"a plain 3x3 convolution, 128 channels to 128: {plain:,} parameters")
print(f"the same with 1x1 windows: {conv_parameters(1, 1, 128, 128):,}")

# %% [markdown]
# ## What a fire module costs
# Parameters are memory. Time is closer to the number of multiply-adds: at each of the H x W places
# of the output, each weight is multiplied once and added. (Biases and ReLU are left out by custom:
# they are a fraction of it.)
#
# **Blank 2**: the multiply-adds of a fire module, and how many channels come out of it. The module
# keeps height and width.


# %%
def fire_cost(H, W, C, squeeze, expand):
    """(multiply-adds, channels of the output) for an input of H x W x C.

    squeeze   channels that the 1x1 squeeze makes
    expand    channels that each of the two expands makes
    """
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def fire_cost_solution(H, W, C, squeeze, expand):
    weights = C * squeeze + squeeze * expand + 3 * 3 * squeeze * expand
    return H * W * weights, expand + expand


# %%
fire_cost = lesson.answer("fire_cost", fire_cost, fire_cost_solution)
check.fire_cost(fire_cost)
macs, channels = fire_cost(55, 55, 128, 16, 64)
plain = 55 * 55 * 3 * 3 * 128 * 128
print(f"fire3, 128 channels to {channels}: {macs / 1e6:.0f} million multiply-adds")
print(f"a plain 3x3 convolution in its place: {plain / 1e6:.0f} million, {plain / macs:.0f}x")

# %% [markdown]
# The saving has two causes. Half of the output's channels are made by 1x1 windows, at a ninth of
# the price. And 3x3 windows, the expensive ones, see 16 channels instead of 128. A price is paid:
# whatever the module passes on has gone through those 16 channels. That this is enough for
# photographs is not obvious; it had to be tried.
#
# ## The whole network
# Your formula for every convolution of SqueezeNet, your fire module for every fire, each fed with
# the channels that the one before it gave.

# %%


def tally(nodes):
    """Layer -> [parameters, multiply-adds], by your formula; only convolutions have any."""
    layers = {}
    for node in nodes.nodes:
        if node.op == "CONV_2D":
            OC, KH, KW, C = nodes.data(node.inputs[1]).shape
            OH, OW, _ = nodes.shape(node.output)
            layer = layers.setdefault(node.path.split("/")[0], [0, 0])
            layer[0] += conv_parameters(KH, KW, C, OC)
            layer[1] += OH * OW * KH * KW * C * OC
    return layers


layers, C = tally(nodes), 64  # channels that conv1 makes
outputs = {node.path: nodes.shape(node.output) for node in nodes.nodes}
for name, layer in squeezenet.children():
    if name in layers:
        H, W, _ = outputs[name]
        line = f"{name:7} {layers[name][0]:8,} parameters {layers[name][1]:11,} multiply-adds"
        if isinstance(layer, Fire):
            macs, C = fire_cost(H, W, C, layer.squeeze.out_channels, layer.expand)
            line += f", by fire_cost {macs:10,}, to {C} channels"
        print(line)
parameters, macs = map(sum, zip(*layers.values(), strict=True))
print(f"yours:   {parameters:,} parameters, {macs:,} multiply-adds at 224x224")
theirs = squeezenet.count_params(), sum(graph.multiply_adds(nodes))
print(f"minicnn: {theirs[0]:,} parameters, {theirs[1]:,} multiply-adds")

# %% [markdown]
# ## AlexNet, without building it
# At 450x600 AlexNet's weights take 544 MB. They need not exist to be counted. The convolutions are
# small, so we take them from an AlexNet for the smallest image that it can read, and ask for their
# shapes at 450x600. What follows them are dense layers, in which each output has a weight for every
# input: that is a 1x1 convolution on an image of one pixel, and your formula holds.

# %%
SIZE = (450, 600, 3)
alexnet = models.build("alexnet", (215, 215, 3), classes=7)
features = Sequential(alexnet.children()[:9])  # up to flatten
networks = {"alexnet": tally(graph.from_layer(features, SIZE))}
(inputs,) = features.out_shape(SIZE)
print(f"{by(SIZE)} pixels become {inputs:,} numbers for the first dense layer")
for name, layer in alexnet.children():
    if isinstance(layer, Dense):
        units = len(layer.params["b"].value)
        networks["alexnet"][name] = [conv_parameters(1, 1, inputs, units), inputs * units]
        inputs = units

for name in ("son_of_deepsqueeze", "deepsqueeze", "squeezenet"):
    networks[name] = tally(graph.from_layer(models.build(name, SIZE, classes=7), SIZE))

# %% [markdown]
# ## Four networks
# A parameter takes 4 bytes in float32 and 1 in int8. (The thesis gives 5.8 MiB for its SqueezeNet:
# its files held the optimizer's momentum as well, so 8 bytes a parameter: 5.5 MiB, or 5.8 million
# bytes.)

# %%
print(f"at {by(SIZE)}          parameters   multiply-adds   float32, MiB   int8, MiB")
totals = {}
for name, layers in networks.items():
    parameters, macs = map(sum, zip(*layers.values(), strict=True))
    totals[name] = parameters, macs
    sizes = f"{4 * parameters / 2**20:14.2f} {parameters / 2**20:11.2f}"
    print(f"{name:18} {parameters:15,} {macs:15,} {sizes}")
released = models.released("squeezenet_int8.tflite").stat().st_size / 2**20
print(f"the int8 file of SqueezeNet that comes with minicnn: {released:.2f} MiB")
dense = sum(layers[0] for name, layers in networks["alexnet"].items() if "dense" in name)
print(f"{dense / totals['alexnet'][0]:.1%} of AlexNet's parameters are in its dense layers")

nodes = graph.from_layer(squeezenet, SIZE)  # a network without dense layers takes any size
H, W, C = nodes.shape(next(node.output for node in nodes.nodes if node.path == "fire9"))
head = conv_parameters(1, 1, C, 7)
print(f"SqueezeNet's head, {C} channels to 7 at each of {H}x{W} places, then the mean: {head:,}")
print(f"one dense layer in its place, from {H}x{W}x{C} to 7: {conv_parameters(H, W, C, 7):,}")

figure = lesson.figure(8.3, 3.6)
for axes, name in zip(figure.subplots(1, 2), ("squeezenet", "alexnet"), strict=True):
    layers, total = networks[name], totals[name]
    for column, (what, color, hatch) in enumerate(
        (("parameters", BLUE, ""), ("multiply-adds", ORANGE, "////"))
    ):
        rows = [i + 0.4 * column - 0.2 for i in range(len(layers))]
        share = [100 * counts[column] / total[column] for counts in layers.values()]
        axes.barh(rows, share, 0.38, color=color, hatch=hatch, ec="w", lw=0, label=what)
    axes.set_yticks(range(len(layers)), layers)
    axes.invert_yaxis()
    axes.set(xlabel="share of the network's total (%)", xlim=(0, 90))
    axes.set_title(f"{name}: {total[0]:,} parameters,\n{total[1] / 1e9:.1f} billion multiply-adds")
axes.legend(frameon=False, loc="upper right")
lesson.show(figure, "04_fire_and_squeezenet")
times = totals["alexnet"][0] / totals["squeezenet"][0]
lesson.number(f"{times:.0f}x", "as many parameters has AlexNet as SqueezeNet")

# %% [markdown]
# AlexNet keeps four of five parameters in `dense6` alone, one for each pair of 26,624 inputs and
# 4,096 outputs, and they are used once for an image. SqueezeNet has no such layer. Its last
# convolution has a channel for each class; global average pooling takes the mean of each channel
# over all places, whatever their number, and learns nothing. That is also why its parameters do not
# depend on the size of the image.
#
# The multiply-adds are somewhere else: four of five of AlexNet's are in `conv2`, with windows of
# 11x11 pixels and 96 channels. SqueezeNet's are spread over all modules, since the first ones have
# few weights and many places, the last ones many weights and few places.
#
# ## What can go wrong
# - **Parameters are taken for time.** Deepsqueeze has more parameters than SqueezeNet and fewer
#   multiply-adds, because three more pools make the images small for its last modules.
# - **Multiply-adds are taken for time.** They are a better guess, yet an operation that waits for
#   memory takes longer than its count says. Only a clock knows ([12](12_more_speed.py)).
# - **"FLOPs" are compared with multiply-adds.** Some papers count the multiplication and the
#   addition as two: before two tables are compared, see what they count.
# - **The size of the image is left out.** Tables of networks give AlexNet 60 million parameters:
#   Krizhevsky et al. (2012) had images of 224x224 pixels, 1,000 classes and other windows. With
#   dense layers a count belongs to a size.
#
# ## Go on
# Replace every fire module by a plain 3x3 convolution with as many outputs: how many parameters has
# SqueezeNet then? (Count in `tally`, nothing need be built.) `summary(squeezenet, (224, 224, 3))`
# from `minicnn.graph` prints the table that you have made. The fire module's code is a page:
# `minicnn/layers/fire.py`.
#
# Next: [5. Training that works, and how it fails](05_training_that_works.py)
