# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 12. More speed
# The loops of tutorial 1 and minicnn's kernel do the same multiplications, and yet lie more than
# ten thousand times apart. Here you climb from one to the other, a rung at a time, on a layer of
# SqueezeNet. The rung that matters most is yours: the order of the loops.
#
# **You need** tutorial [1](01_convolution.py). **It takes** half a minute of computing.

# %%
import inspect
import time
import warnings

import numba
import numpy as np
from numba import prange

import lesson
import models
from checks import speed as check
from minicnn import graph, kernels

BLUE, ORANGE, GREY = "#4477aa", "#cc6600", "#777777"

figure = lesson.figure(7, 2.5)
left, right = figure.subplots(1, 2, sharey=True)
step = np.arange(64)
left.plot(step, step // 8, "o", color=BLUE, ms=3)
left.set(title="innermost loop: c, the input channels", ylabel="the sum it is added to")
right.bar(np.arange(3.5, 64, 8), 7.8, 7.4, bottom=-0.4, color=GREY, alpha=0.25)
right.plot(step, step % 8, "o", color=BLUE, ms=3)
right.set(title="innermost loop: o, the output channels")
for axes in (left, right):
    axes.set_xlabel("step (one multiply-add)")
    axes.set_yticks(range(8), [f"o = {o}" for o in range(8)])
lesson.show(figure, "12_orders")

# %% [markdown]
# Eight outputs of one pixel, each a sum of eight products. On the left, one sum after the other, as
# in tutorial 1: every addition waits for the one before it, for the compiler may not change the
# order in which floats are added. On the right, eight neighbouring steps (grey) belong to eight
# different sums. A processor does them in *one* vector instruction, which takes 4, 8 or 16 floats
# that lie side by side in memory.
#
# ## The order of the loops
# So the innermost loop has to run along the output channels, and the weights have to be stored so
# that these are neighbours: KH KW C OC instead of OC KH KW C. The outputs of a pixel are neighbours
# already. With one image, no padding and a stride of 1:
#
# **Blank 1**: the weight, and, where the comment asks, a beginning for the sums: y comes with
# whatever was in that memory before. Loops and single elements only, since Numba will compile it.


# %%
def conv_rows(x, w, b, y):
    """Fill y (OH, OW, OC) from x (H, W, C), w (KH, KW, C, OC) and b (OC,); returns y."""
    KH, KW, C, OC = w.shape
    OH, OW, _ = y.shape
    for i in range(OH):
        for j in range(OW):
            # what does each sum begin with?
            for kh in range(KH):
                for kw in range(KW):
                    for c in range(C):
                        for o in range(OC):
                            y[i, j, o] += x[i + kh, j + kw, c] * ...
    return y


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def conv_rows_solution(x, w, b, y):
    KH, KW, C, OC = w.shape
    OH, OW, _ = y.shape
    for i in range(OH):
        for j in range(OW):
            for o in range(OC):
                y[i, j, o] = b[o]
            for kh in range(KH):
                for kw in range(KW):
                    for c in range(C):
                        for o in range(OC):
                            y[i, j, o] += x[i + kh, j + kw, c] * w[kh, kw, c, o]
    return y


# %%
conv_rows = lesson.answer("conv_rows", conv_rows, conv_rows_solution)
check.conv_rows(conv_rows)
rows_compiled = numba.njit(inspect.unwrap(conv_rows))  # what `answer` has wrapped around it, off
check.compiled(rows_compiled)
print("right, as Python and compiled")

# %% [markdown]
# ## How much is there to do?
# A speed needs a count. We count multiply-adds: the processor has one instruction for both.
# (Whoever gives FLOP counts two for each.)
#
# **Blank 2**: the multiply-adds of a convolution, stride 1, no padding.


# %%
def multiply_adds(x_shape, w_shape):
    """For x (N, H, W, C) and w (OC, KH, KW, C)."""
    N, H, W, C = x_shape
    OC, KH, KW, _ = w_shape
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def multiply_adds_solution(x_shape, w_shape):
    N, H, W, C = x_shape
    OC, KH, KW, _ = w_shape
    OH, OW = H - KH + 1, W - KW + 1
    return N * OH * OW * OC * KH * KW * C


# %%
multiply_adds = lesson.answer("multiply_adds", multiply_adds, multiply_adds_solution)
check.multiply_adds(multiply_adds)

net = models.pretrained("squeezenet")
emitted = graph.from_layer(net, (224, 224, 3))
counted = {n.path: m for n, m in zip(emitted.nodes, graph.multiply_adds(emitted), strict=True)}
w, b = (net.named_params()[f"fire5/expand3/{name}"].value for name in "wb")
x = np.random.default_rng(0).standard_normal((29, 29, w.shape[3]), np.float32)  # 27, and a border
products = multiply_adds((1, *x.shape), w.shape)
print(f"fire5/expand3: {products:,} multiply-adds; minicnn counts {counted['fire5/expand3']:,}")

# %% [markdown]
# ## The ladder
# 1. **Python loops.** Every step looks up what `*` and `+` mean for these objects.
# 2. **The same loops, compiled.** Machine code, but a single float at a time, each sum a chain.
# 3. **Channels innermost.** Your function, compiled: the compiler finds the vectors by itself.
# 4. **On all cores.** Rows of the output depend on no other rows: `prange` deals them out.
# 5. **Blocks in registers.** Your inner loop still loads a vector of y and one of w, and stores
#    that of y, for a single vector multiply-add. minicnn's kernel keeps the sums of, say, 6 pixels
#    x 4 vectors in registers until they are finished: 6 + 4 loads serve 24 of them, and no stores.
#    Numba's loops cannot say "keep this in registers", so `minicnn/kernels/vector_tiles.py` writes
#    the compiler's code itself; the drawing at its top shows the block.


# %%
def naive(x, w, b, y):
    """The loops of tutorial 1: w is OC KH KW C."""
    OC, KH, KW, C = w.shape
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            for o in range(OC):
                total = b[o]
                for kh in range(KH):
                    for kw in range(KW):
                        for c in range(C):
                            total += x[i + kh, j + kw, c] * w[o, kh, kw, c]
                y[i, j, o] = total
    return y


@numba.njit(parallel=True)
def on_all_cores(x, w, b, y):
    for i in prange(y.shape[0]):
        rows_compiled(x[i : i + w.shape[0]], w, b, y[i : i + 1])


def speed(run, repeats, work=products):
    """Billion multiply-adds a second in the best of some calls; the first one may compile."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return work / min(times) / 1e9  # other programs can only make a call slower


naive_compiled = numba.njit(naive)
turned = np.ascontiguousarray(w.transpose(1, 2, 3, 0))  # KH KW C OC, in memory too
y, answers = np.empty((27, 27, len(w)), np.float32), {}
ways = {
    "compiled loops": (lambda: naive_compiled(x, w, b, y), 5),
    "channels innermost": (lambda: rows_compiled(x, turned, b, y), 20),
    "... on all cores": (lambda: on_all_cores(x, turned, b, y), 100),
    "blocks in registers: minicnn": (
        lambda: kernels.conv2d_forward(x[None], w, b, (1, 1), (0, 0), False, y[None], 0),
        500,
    ),
}
one_row = (lambda: naive(x[:3], w, b, y[:1]), 1, products / 27)  # all 27 would take a while
speeds = {"Python loops": speed(*one_row)}
for way, (run, repeats) in ways.items():
    speeds[way] = speed(run, repeats)
    answers[way] = y.copy()
right = answers["compiled loops"]
for way, s in speeds.items():
    off = f", at most {np.abs(answers[way] - right).max():.0e} off" if way in answers else ""
    print(f"{way:30} {s:9.4f} billion multiply-adds a second{off}")

# %% [markdown]
# ## How high is the ceiling?
# The fastest thing that the processor can do is multiply-adds in registers, without memory. Each
# line below waits for its own result of the round before, so there are four such chains, and the
# vectors of further elements of `values`, to keep the units busy. `contract` allows the compiler to
# put a product and a sum into one instruction.
#
# The second ceiling is memory. If x, w and y cross it once each, a layer does so many multiply-adds
# for each byte; at full speed, it needs so many bytes in a second.


# %%
@numba.njit(fastmath={"contract"})
def chains(values, rounds):
    f = np.float32(0.5)
    for _ in range(rounds):
        for k in range(len(values)):
            p = values[k]
            q, r, s = p + f, p - f, p * f
            for _ in range(8):
                p, q, r, s = p * f + f, q * f + f, r * f + f, s * f + f
            values[k] = p + q + r + s


values, cores = np.zeros(512, np.float32), numba.get_num_threads()
peak = cores * speed(lambda: chains(values, 200), 1000, work=values.size * 200 * 8 * 4)
source = np.ones(16_000_000, np.float32)
target = np.empty_like(source)
memory = speed(lambda: np.copyto(target, source), 5, work=2 * source.nbytes)
print(f"at most {peak:.0f} billion multiply-adds a second: one core's, times {cores}")
print(f"memory: {memory:.0f} GB/s, by copying\n")
print("layer               multiply-adds   a byte   GB/s at full speed")
for path, side in (("fire5/squeeze", 27), ("fire5/expand3", 29), ("fire9/expand3", 15)):
    shape = net.named_params()[f"{path}/w"].value.shape
    work, out = multiply_adds((1, side, side, shape[3]), shape), side - shape[1] + 1
    moved = 4 * (side * side * shape[3] + np.prod(shape) + out * out * shape[0])
    print(f"{path:18} {work:14,} {work / moved:8.1f} {peak / (work / moved):10.0f}")

# %% [markdown]
# A 3x3 convolution uses each value so often that memory hardly matters. This 1x1 convolution needs
# six times as many bytes for its work: about what memory gives, or more. That is why minicnn takes
# a few images at a time through *all* layers (`Sequential.gradients`): what one layer writes is
# still in the caches when the next one reads it.
#
# ## The whole ladder
# PyTorch stands beside it, if it is installed.

# %%
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import torch
except ImportError:
    print("PyTorch is not installed: the picture does without")
else:
    torch.set_num_threads(numba.get_num_threads())
    # N C H W by name, but in memory as x and w are: what PyTorch calls channels_last
    tx, tw = (torch.from_numpy(a).permute(0, 3, 1, 2) for a in (x[None], w))
    with torch.inference_mode():
        speeds["PyTorch"] = speed(
            lambda: torch.nn.functional.conv2d(tx, tw, torch.from_numpy(b)), 200
        )

figure = lesson.figure(7.5, 2.7)
axes = figure.subplots()
for way, s in speeds.items():
    axes.plot(s, way, "D" if way == "PyTorch" else "o", color=ORANGE if way == "PyTorch" else BLUE)
    label = f"{s:.2g}" if s < 100 else f"{s:.0f}"
    axes.annotate(label, (s, way), (-8, 0), textcoords="offset points", ha="right", va="center")
axes.axvline(peak, color=GREY, ls="--")
axes.annotate(
    f"registers alone: {peak:.0f} ",
    (peak, 0),
    (-4, 0),
    textcoords="offset points",
    color=GREY,
    ha="right",
    va="center",
)
axes.set(xscale="log", xlabel="billion multiply-adds a second, fire5/expand3, one image")
axes.set_xlim(left=min(speeds.values()) / 12)
axes.invert_yaxis()
axes.grid(axis="x", alpha=0.25)
lesson.show(figure, "12_more_speed")
python, plain, fastest = (
    speeds[way] for way in ("Python loops", "compiled loops", "blocks in registers: minicnn")
)
print(f"minicnn's kernel is at {fastest / peak:.0%} of what registers alone would do")
print(f"from Python loops to minicnn's kernel: {fastest / python:,.0f}x")
lesson.number(f"{fastest / plain:.0f}x", "from compiled loops to minicnn's kernel")

# %% [markdown]
# ## What can go wrong
# - **An array expression in compiled loops.** `y[i, j] += x[i + kh, j + kw, c] * w[kh, kw, c]` is
#   right, and makes a new array in every step: about as slow as the loops of rung 2.
# - **A benchmark that measures the compiler.** The first call of a Numba function compiles. Call it
#   once before the clock starts.
# - **Two Python threads in parallel kernels.** Numba's plainest threading layer, workqueue, which
#   is the only one in some installations, ends the program then. minicnn's loader therefore works
#   in serial kernels only (`minicnn/data/warp.py`).
# - **A time without its ceiling.** "Ten times faster" says little about a slow start. Beside what
#   the processor can do at most, one sees what is left.
#
# ## Go on
# Compile `naive` with `numba.njit(fastmath=True)`: now the compiler may change the order of the
# sums, and finds vectors on the left side of the first picture, too. Then read
# `minicnn/kernels/vector_tiles.py`, and `product` in `minicnn/kernels/fast_conv.py`, which sweeps
# the tile over the pixels.
#
# This was the last one. Back to [0. The whole trip](00_the_whole_trip.py), or on to a network of
# your own: `ARCHITECTURE.md` says how to add one.
