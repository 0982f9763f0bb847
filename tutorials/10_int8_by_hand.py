# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 10. int8 with your own hands
# The Edge TPU knows no floats. Each real number becomes one of 256 integers, and a convolution is
# computed in integers from end to end. Here you do that to one layer of a trained SqueezeNet, and
# compare with TFLite: not to a few digits, but integer by integer.
#
# **You need** tutorial 1. **It takes** ten seconds of computing. TFLite comes with
# `pip install -e '.[litert]'`; without it, minicnn's own integer arithmetic takes its place.
#
# An int8 number q stands for a real number, by a **scale** s and a **zero point** z that all values
# of a tensor share:
#
# $$x = s \cdot (q - z)$$
#
# The two are chosen so that -128 to 127 cover the range of values that was seen. The zero point is
# the integer that stands for 0, so 0 is always exact.

# %%
import numpy as np
from matplotlib import ticker

import lesson
from checks import int8 as check
from exporters import flatbuffer
from minicnn import trained
from minicnn.compress import float_run
from minicnn.compress.int8_scales import multipliers
from minicnn.compress.simulate import simulate
from minicnn.graph import Graph, Node, Tensor, from_layer

network = trained.load("squeezenet")  # comes with minicnn
photos = lesson.photographs((60, 80)).images[:9]  # half the size it was trained at: faster
photos = network.normalization.apply(photos)
floats = from_layer(network.net, photos.shape[1:])
layer = next(node for node in floats.nodes if node.path == "fire2/expand3")
values = float_run.run(floats, photos)  # every tensor, in floats
x, y = values[layer.inputs[0]], values[layer.output]  # what goes into the layer, what comes out
w, b = floats.data(layer.inputs[1]), floats.data(layer.inputs[2])


def scale_and_zero_point(low, high):
    """For values from low to high; low <= 0 <= high."""
    scale = np.float32((high - low) / 255)
    return scale, int(round(-128 - low / scale))


figure = lesson.figure(8, 3.3)
figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))  # room for the grid below
shown = {"pixels, normalized": photos, "after fire2/squeeze and its ReLU": x}
for axes, (title, reals) in zip(figure.subplots(1, 2), shown.items(), strict=True):
    scale, zero = scale_and_zero_point(min(0, reals.min()), reals.max())
    axes.hist(reals.ravel(), 100, color="#4477aa")
    axes.set(yscale="log", ylabel="number of values", title=title, xlabel="real number")
    axes.axvline(0, color="#777777", linewidth=0.8, linestyle="--")
    to_int8 = (lambda r, s=scale, z=zero: r / s + z, lambda q, s=scale, z=zero: s * (q - z))
    grid = axes.secondary_xaxis(-0.3, functions=to_int8)
    grid.set_xticks([-128, -64, 0, 64, 127])
    grid.set_xticks(np.arange(-128, 128, 8), minor=True)
    grid.set_xlabel(f"int8: scale {scale:.4f}, zero point {zero}")
    axes.margins(x=0.02)
lesson.show(figure, "10_grid")

# %% [markdown]
# Normalized pixels lie on both sides of 0, so their zero point is somewhere in the middle. After a
# ReLU nothing is negative: there the zero point is -128, and all steps are spent on what occurs.
#
# **Blank 1**: from real numbers to int8. Divide by the scale, round to the nearest integer, add the
# zero point, and clip: what is below -128 becomes -128, what is above 127 becomes 127.


# %%
def quantize(x, scale, zero_point):
    """Real numbers of any shape to int8."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def quantize_solution(x, scale, zero_point):
    return np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8)


# %%
quantize = lesson.answer("quantize", quantize, quantize_solution)
check.quantize(quantize)

# %% [markdown]
# (A number halfway between two integers, a *tie*, goes to the even one with `np.round`, and away
# from zero in TFLite. Measured values hardly ever are ties. Further down, they will matter.)
#
# ## How wide a range?
# A wide range has coarse steps: every value is off by up to half of one. A narrow range has fine
# steps, and large values are cut off at its end. Few values are large, so it can pay to cut some
# off:

# %%
highs = x.max() * np.geomspace(0.05, 4, 60)
errors = []
for high in highs:
    scale, zero = scale_and_zero_point(0, high)
    off = scale * (quantize(x, scale, zero).astype(np.float32) - zero) - x
    cut = x > high
    errors.append([np.mean(off**2), np.mean(np.where(cut, 0, off**2)), np.mean(off**2 * cut)])
errors = 100 * np.sqrt(np.array(errors)) / np.sqrt(np.mean(x**2))
best = highs[errors[:, 0].argmin()]

figure = lesson.figure(6.5, 2.6)
axes = figure.subplots()
for part, name, style in (
    (errors[:, 0], "both", {"color": "#4477aa", "linewidth": 5, "alpha": 0.4}),
    (errors[:, 1], "rounding", {"color": "#777777", "linestyle": "--"}),
    (errors[:, 2], "clipping", {"color": "#cc6600", "linestyle": ":", "linewidth": 2}),
):
    axes.plot(highs, part, label=name, **style)
axes.axvline(x.max(), color="black", linewidth=0.8)
axes.annotate("largest value", (x.max(), 30), (4, 0), textcoords="offset points")
axes.set(xscale="log", yscale="log", ylim=(0.1, 100), xlabel="upper end of the range")
axes.set(ylabel="error, % of the values' size", title="what a range costs")
axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
axes.xaxis.set_minor_formatter(ticker.NullFormatter())
axes.legend(frameon=False, loc="lower right")
lesson.show(figure, "10_range")
print(f"least error at {best:.2f}, {best / x.max():.0%} of the largest value")

# %% [markdown]
# On the right, twice the range is twice the error. On the left, clipping soon costs far more than
# fine steps save. `minicnn/compress/calibrate.py` has four ways to choose the range; below it
# simply ends at the largest value.
#
# ## The layer in integers
# Each sum of the convolution is made of products, where x and w are real:
#
# $$x\,w = s_x (q_x - z_x)\; s_w q_w = s_x s_w\; (q_x - z_x)\, q_w$$
#
# Weights have zero point 0 and a scale for each output channel (TFLite's quantization specification
# says so), so the factor in front is the same for all products of a sum. The sum can be made of
# integers, in 32 bits, and the bias added to it if it is counted in steps of $s_x s_w$.

# %%
calibration, photo = slice(0, 8), 8  # the ranges come from other photographs than the one we run
x_scale, x_zero = scale_and_zero_point(0, x[calibration].max())
y_scale, y_zero = scale_and_zero_point(0, y[calibration].max())

w_scale = (np.abs(w).max(axis=(1, 2, 3)) / 127).astype(np.float32)  # (OC,)
w_int8 = np.round(w / w_scale[:, None, None, None]).astype(np.int8)  # -127 to 127
b_scale = x_scale * w_scale
b_int32 = np.round(b / b_scale).astype(np.int32)
x_int8 = quantize(x[photo], x_scale, x_zero)
print(f"x {x_int8.shape}, scale {x_scale:.5f}, zero point {x_zero}")
print(f"w {w_int8.shape}, {len(w_scale)} scales from {w_scale.min():.1g} to {w_scale.max():.1g}")
print(f"b from {b_int32.min():,} to {b_int32.max():,}: no int8 would hold it")

# %% [markdown]
# **Blank 2**: the convolution. With one pixel of padding on each side, the output is as large as
# the image. The padding means the real number 0. Which integer is that? And an int8 times an int8
# is an int8 in NumPy, whatever gets lost: `x` and `w` are widened first.


# %%
def integer_conv(x, x_zero, w, b):
    """int8 x (H, W, C) and w (OC, 3, 3, C), int32 b (OC,) to int32 sums (H, W, OC)."""
    H, W, _ = x.shape
    x, w = x.astype(np.int32), w.astype(np.int32)
    x = np.pad(x, [(1, 1), (1, 1), (0, 0)], constant_values=...)
    total = np.zeros((H, W, len(w)), np.int32)
    for i in range(H):
        for j in range(W):
            for o in range(len(w)):
                total[i, j, o] = ...
    return total


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def integer_conv_solution(x, x_zero, w, b):
    H, W, _ = x.shape
    x, w = x.astype(np.int32), w.astype(np.int32)
    x = np.pad(x, [(1, 1), (1, 1), (0, 0)], constant_values=x_zero)
    total = np.zeros((H, W, len(w)), np.int32)
    for i in range(H):
        for j in range(W):
            seen = x[i : i + 3, j : j + 3] - x_zero
            for o in range(len(w)):
                total[i, j, o] = (seen * w[o]).sum() + b[o]
    return total


# %%
integer_conv = lesson.answer("integer_conv", integer_conv, integer_conv_solution)
check.integer_conv(integer_conv)
total = integer_conv(x_int8, x_zero, w_int8, b_int32)
print(f"sums from {total.min():,} to {total.max():,}")

# %% [markdown]
# ## Back to int8
# A sum counts in steps of $s_x s_w$, the output in steps of $s_y$: multiply by $s_x s_w / s_y$ and
# add the output's zero point. That factor is a fraction, and there are no floats. So it is written
# as an integer of 31 bits and a power of two, $m / 2^{31} \cdot 2^{shift}$: multiply by $m$, then
# shift the bits to the right, rounding to the nearest. TFLite's `MultiplyByQuantizedMultiplier`
# rounds twice, and ties go up the first time and away from zero the second. For the same bits, the
# same roundings in the same order:


# %%
def requantize(total, multiplier, shift, zero_point):
    """int32 sums (H, W, OC) to int8; multiplier and shift (OC,), no shift above 0."""
    product = (total * multiplier.astype(np.int64) + 2**30) >> 31
    right = -shift.astype(np.int64)
    half = (1 << right) >> 1
    size = (np.abs(product) + half) >> right  # ties away from zero: round the size, not the number
    return np.clip(np.sign(product) * size + zero_point, -128, 127).astype(np.int8)


factor = x_scale.astype(np.float64) * w_scale / y_scale  # (OC,)
multiplier, shift = multipliers(factor)
print(f"channel 0: {factor[0]:.9f} = {multiplier[0]} / 2^31 * 2^{shift[0]}")
mine = requantize(total, multiplier, shift, y_zero)
off = y_scale * (mine.astype(np.float32) - y_zero) - y[photo]
noise = np.sqrt(np.mean(off**2) / np.mean(y[photo] ** 2))
print(f"beside the layer in floats, the outputs are off by {noise:.1%} of their size")

# %% [markdown]
# The ReLU costs nothing: real numbers below 0 would be integers below the zero point, which is
# -128, and are cut there anyway.
#
# ## The same in TFLite
# A file with this one layer, written by minicnn, and run in TFLite's reference kernels. (Its fast
# kernels round otherwise in places, and the Edge TPU has an arithmetic of its own: there, expect
# the same answers, but not the same bits.)


# %%
def run_in_tflite(graph, x):
    """(who computed, int8 output) of a graph with one input, x (1, H, W, C)."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        return "minicnn's integer engine (TFLite is not installed)", simulate(graph, x)
    interpreter = Interpreter(
        model_content=flatbuffer.serialize(graph),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return "TFLite", interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def quantized(name, shape, dtype, scale, zero, data=None):
    scale = np.atleast_1d(scale)
    return Tensor(name, shape, dtype, scale, np.full(len(scale), zero), data=data)


tensors = [
    quantized("x", (1, *x_int8.shape), "int8", x_scale, x_zero),
    quantized("w", w_int8.shape, "int8", w_scale, 0, w_int8),
    quantized("b", b_int32.shape, "int32", b_scale, 0, b_int32),
    quantized("y", (1, *mine.shape), "int8", y_scale, y_zero),
]
graph = Graph(tensors, [Node("CONV_2D", (0, 1, 2), (3,), "conv", layer.attrs)], [0], [3])
who, (theirs,) = run_in_tflite(graph, x_int8[None])
different = np.count_nonzero(mine != theirs)
print(f"{different:,} of {theirs.size:,} integers differ from those of {who}")

# %% [markdown]
# That is a strong test. These mistakes would not stop the network from running, and some would
# hardly change its answers:


# %%
def sums(zero=x_zero, padding=x_zero, bias=b_int32, kind=np.int32):
    """integer_conv as one product of matrices, with a mistake in it; sums are kept in ``kind``."""
    padded = np.pad(x_int8, [(1, 1), (1, 1), (0, 0)], constant_values=padding).astype(np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(padded - zero, (3, 3), axis=(0, 1))
    return (np.einsum("ijcab,oabc->ijo", windows, w_int8.astype(np.int32)) + bias).astype(kind)


def finish(total):
    return requantize(total, multiplier, shift, y_zero)


in_floats = total * factor
mistakes = {
    "sums kept in int8": finish(sums(kind=np.int8)),
    "zero point not subtracted": finish(sums(zero=0)),
    "bias not divided by its scale": finish(sums(bias=np.round(b).astype(np.int32))),
    "rounded down": np.clip(np.floor(in_floats) + y_zero, -128, 127),
    "padded with the integer 0": finish(sums(padding=0)),
    "factor in floats, one rounding": np.clip(np.round(in_floats) + y_zero, -128, 127),
    "no mistake": mine,
}
figure = lesson.figure(7.5, 2.9)
axes = figure.subplots()
counts = {name: np.count_nonzero(result != theirs) for name, result in mistakes.items()}
for name, wrong in sorted(counts.items(), key=lambda item: item[1]):
    share = 100 * wrong / theirs.size
    axes.barh(name, share, color="#cc6600")
    axes.annotate(f"{wrong:,}", (share, name), (4, 0), textcoords="offset points", va="center")
axes.set(xlim=(0, 108), xticks=range(0, 101, 20), xlabel="integers that differ, %")
axes.set_title(f"{theirs.size:,} integers beside those of {who}")
lesson.show(figure, "10_int8_by_hand")
lesson.number(f"{different:,}", f"of {theirs.size:,} integers differ from those of {who}")

# %% [markdown]
# ## What can go wrong
# - **int8 wraps around.** In NumPy, int8 100 + 100 is -56, and between arrays nothing warns of it.
#   Clip while the numbers are still wide, and convert last.
# - **Padding is 0.** The real 0, not the integer: only the border of the image is wrong, so it is
#   easily missed.
# - **The bias has no scale of its own.** It is counted in $s_x s_w$. If the input's scale changes,
#   the bias has to be made anew.
# - **Nearly equal is taken for equal.** A factor in floats and one rounding differ from TFLite in a
#   few integers only, by one step; rounding down is off by one step in many. A test that tolerates
#   one step shows neither.
#
# ## Go on
# `minicnn/kernels/int8.py` has this layer as a loop, and all others;
# `minicnn/kernels/fixed_point.py` has the roundings one by one. Give all weights one scale, the
# largest of `w_scale`, and see how far the layer is off from its floats then. Cut x at the best
# range instead of the largest value: does the output gain as well?
#
# Next: [11. A .tflite, byte by byte](11_tflite_byte_by_byte.py)
