# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # 1. Convolution by hand
# A convolution lays a small window on every place of an image, multiplies what it sees by the
# window's weights and adds up. That is all that a convolutional network does, millions of times.
# Here you write one with plain loops, hold it against minicnn's, and see what a loop costs in
# Python and what it costs compiled.
#
# **You need** NumPy and nothing else. **It takes** half a minute of computing.

# %%
import time

import numpy as np

import lesson
from checks import convolution as check
from minicnn import kernels
from minicnn.kernels import reference

photo = lesson.photographs((64, 64)).images[5].astype(np.float32) / 255  # (H, W, 3), 0 to 1
grey = photo.mean(axis=-1)

EDGES = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)  # bright on the right, dark left
BLUR = np.full((3, 3), 1 / 9, np.float32)  # the mean of nine pixels
SPOTS = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)  # a pixel unlike its neighbours


def slide(image, window):
    """What a 3x3 window sees at each place, weighted and added up: (H, W) to (H - 2, W - 2)."""
    H, W = image.shape
    places = [(a, b) for a in range(3) for b in range(3)]
    return sum(window[a, b] * image[a : a + H - 2, b : b + W - 2] for a, b in places)


figure = lesson.figure(8, 2.3)
shown = {"the image": grey, "edges": EDGES, "blur": BLUR, "spots": SPOTS}
for axes, (title, values) in zip(figure.subplots(1, 4), shown.items(), strict=True):
    axes.imshow(values if values.shape[0] > 3 else slide(grey, values), cmap="gray")
    axes.set_title(title)
    axes.set_axis_off()
lesson.show(figure, "01_three_windows")

# %% [markdown]
# Nobody chose the weights of SqueezeNet's windows: training found them. The arithmetic is the same.
#
# ## How large is the output?
# A window of `kernel` pixels fits into `size` pixels at `size - kernel + 1` places. With a stride
# of 2 it stops at every second of them only. And where the image first gets `padding` pixels on
# each side, there is more room.
#
# **Blank 1**: the number of places.


# %%
def out_size(size, kernel, stride, padding):
    """At how many places a window of ``kernel`` pixels stops, all numbers whole."""
    return ...


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def out_size_solution(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride + 1


# %%
out_size = lesson.answer("out_size", out_size, out_size_solution)
check.out_size(out_size)
print("SqueezeNet's first convolution makes 224 pixels", out_size(224, 3, 2, 0))

# %% [markdown]
# ## The convolution itself
# Arrays are N H W C: images, rows, columns, channels. The weights are OC KH KW C: for each of OC
# outputs a window of KH x KW pixels, C channels deep. The output pixel (i, j) looks at the rows
# from `i * stride` on:
#
# $$y_{nijo} = b_o + \sum_{u,v,c} x_{n,\;i \cdot stride + u,\;j \cdot stride + v,\;c}\; w_{ouvc}$$
#
# (u and v are the row and column in the window, from 0 to KH - 1 and KW - 1.)
#
# **Blank 2**: the value of one output pixel.


# %%
def conv2d(x, w, b, stride):
    """x (N, H, W, C), w (OC, KH, KW, C), b (OC,) to y (N, OH, OW, OC). No padding."""
    N, H, W, _ = x.shape
    OC, KH, KW, _ = w.shape
    OH, OW = out_size(H, KH, stride, 0), out_size(W, KW, stride, 0)
    y = np.zeros((N, OH, OW, OC), x.dtype)
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                for o in range(OC):
                    y[n, i, j, o] = ...
    return y


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def conv2d_solution(x, w, b, stride):
    N, H, W, _ = x.shape
    OC, KH, KW, _ = w.shape
    OH, OW = out_size(H, KH, stride, 0), out_size(W, KW, stride, 0)
    y = np.zeros((N, OH, OW, OC), x.dtype)
    for n in range(N):
        for i in range(OH):
            for j in range(OW):
                seen = x[n, i * stride : i * stride + KH, j * stride : j * stride + KW]
                for o in range(OC):
                    y[n, i, j, o] = (seen * w[o]).sum() + b[o]
    return y


# %%
conv2d = lesson.answer("conv2d", conv2d, conv2d_solution)
check.conv2d(conv2d)
print("your convolution is right")

# %% [markdown]
# ## The same as one matrix product
# All windows of an image, each written as a row: that matrix times the weights is the convolution.
# It is called *im2col*, and most frameworks computed this way for years, because matrix products
# are what processors are best at. Its price: with 3x3 windows the matrix is nine times as large as
# the image.


# %%
def conv2d_im2col(x, w, b, stride):
    """conv2d as a matrix of all windows times a matrix of all weights."""
    OC, KH, KW, C = w.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (KH, KW), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)  # N OH OW KH KW C
    N, OH, OW = windows.shape[:3]
    return (windows.reshape(-1, KH * KW * C) @ w.reshape(OC, -1).T + b).reshape(N, OH, OW, OC)


check.conv2d(conv2d_im2col)

# %% [markdown]
# ## What each of them costs
# minicnn has every kernel twice: as loops like yours, which Numba compiles
# (`minicnn/kernels/reference.py`), and fast (`minicnn/kernels/fast_conv.py`). A layer that is
# typical of SqueezeNet, 16 channels to 64:

# %%
rng = np.random.default_rng(0)
x = rng.standard_normal((1, 56, 56, 16), np.float32)
w, b = rng.standard_normal((64, 3, 3, 16), np.float32), np.zeros(64, np.float32)
y = np.empty((1, 54, 54, 64), np.float32)


def seconds(run, repeats):
    """The median time of a call; the first, which may compile, does not count."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


ways = {
    "Python loops": seconds(lambda: conv2d(x, w, b, 1), 1),
    "compiled loops": seconds(
        lambda: reference.conv2d_forward(x, w, b, (1, 1), (0, 0), False, y, 0), 5
    ),
    "im2col, NumPy": seconds(lambda: conv2d_im2col(x, w, b, 1), 5),
    "minicnn": seconds(lambda: kernels.conv2d_forward(x, w, b, (1, 1), (0, 0), False, y, 0), 50),
}
products = y.size * w[0].size  # multiplications, each with an addition

figure = lesson.figure(6.5, 2.2)
axes = figure.subplots()
for way, t in ways.items():
    speed = products / t / 1e9
    axes.plot(speed, way, "o", color="#4477aa")
    took = f"{1000 * t:.3g} ms" if t < 1 else f"{t:.2f} s"
    axes.annotate(took, (speed, way), (8, -3), textcoords="offset points")
axes.set(xscale="log", xlabel="billion multiply-adds a second", title="one layer, one image")
axes.set_xlim(right=axes.get_xlim()[1] * 4)
axes.invert_yaxis()
axes.grid(axis="x", alpha=0.25)
lesson.show(figure, "01_convolution")
lesson.number(f"{ways['Python loops'] / ways['minicnn']:.0f}x", "faster than loops in Python")

# %% [markdown]
# ## What can go wrong
# - **The window is turned around.** A convolution in mathematics flips it; in neural networks
#   nobody does. What is computed here is strictly speaking a correlation.
# - **The padding is on the wrong side.** TensorFlow's "same" puts the odd row at the end; symmetric
#   padding gives the same shape, and every value is shifted by a pixel (`Window.pad` in
#   `minicnn/layers/window.py`).
# - **The axes are in another order.** PyTorch keeps N C H W and OC C KH KW. A 3x3 window on three
#   channels has the same shape either way round, and no error is raised.
#
# ## Go on
# Step through `minicnn/kernels/reference.py` in a debugger: set `NUMBA_DISABLE_JIT=1` in the
# environment, and Numba leaves the loops as Python. Change `EDGES` so that it finds horizontal
# edges. How the last dot comes about is tutorial 12.
#
# Next: [2. Backward and the gradient check](02_backward.py)
