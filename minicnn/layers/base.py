"""What every layer is: parameters, forward, backward, a static shape and graph nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Shape = tuple[int, ...]
L = TypeVar("L", bound="Layer")


@dataclass
class Param:
    """An array that is learned.

    value   the weights, float32 (float64 after ``net.astype``)
    grad    gradient of the loss, same shape; ``backward`` writes it
    mask    None, or 0/1 of the same shape: what pruning keeps
    decay   whether weight decay applies (to weights yes, to biases no)
    adding  True while ``Sequential.gradients`` sums over blocks: then ``backward`` adds to grad
    """

    value: np.ndarray
    decay: bool = True
    grad: np.ndarray | None = None
    mask: np.ndarray | None = None
    adding: bool = False

    def grad_to_fill(self) -> np.ndarray:
        """``grad`` as an array to fill, always the same one: copy what you want to keep."""
        if self.grad is None or self.grad.shape != self.value.shape:
            self.grad = np.empty(self.value.shape, self.value.dtype)  # contiguous, as kernels want
        return self.grad


class Layer:
    """Base of all layers. A leaf fills ``params``; a container overrides ``children``.

    A layer knows its ``path`` in the network, such as ``fire2/expand3``, and names it in errors.
    """

    path: str = ""
    # False on the first layer of a network saves the gradient of the pixels, which nothing learns
    # from; backward then returns an empty array. Set it True for a saliency map.
    input_gradient: bool = True
    # What Sequential needs to know to have each ReLU's gradient taken by a kernel that writes it
    # anyway: does y come out of a ReLU; does backward take ``x_is_relu``; or is a value of y
    # positive just where the value of x that it comes from is, so that the next layer can do it?
    ends_in_relu: bool = False
    masks_dx: bool = False
    keeps_signs: bool = False

    def __init__(self) -> None:
        self.params: dict[str, Param] = {}
        self.cache: Any = None  # what backward needs; filled by forward(train=True)

    def forward(self, x: np.ndarray, train: bool = False) -> np.ndarray:
        """y for x (N, H, W, C) or (N, features); keeps what backward needs only if ``train``."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """dx for dy; writes each ``param.grad``. Needs a ``forward(train=True)`` before it."""
        raise NotImplementedError(f"{type(self).__name__}.backward")

    def out_shape(self, shape: Shape) -> Shape:
        """Shape of y without N, for the shape of x without N. ValueError where x cannot be."""
        raise NotImplementedError(f"{type(self).__name__}.out_shape")

    def emit(self, graph: Any, tensor: int) -> int:
        """Add this layer's nodes to a :class:`minicnn.graph.Graph`; return the output tensor."""
        raise NotImplementedError(f"{type(self).__name__}.emit")

    def children(self) -> tuple[tuple[str, Layer], ...]:
        """(name, layer) of the layers inside, in order; a leaf has none."""
        return ()

    def set_path(self, path: str) -> None:
        """Tell the layer and those inside it where they stand in the network."""
        self.path = path
        for name, child in self.children():
            child.set_path(f"{path}/{name}" if path else name)

    def walk(self) -> Iterator[Layer]:
        """This layer and all inside it, in order."""
        yield self
        for _, child in self.children():
            yield from child.walk()

    def named_params(self) -> dict[str, Param]:
        """Every parameter by its path, such as ``fire2/expand3/w``, in order."""
        return {
            f"{layer.path}/{name}" if layer.path else name: param
            for layer in self.walk()
            for name, param in layer.params.items()
        }

    def count_params(self) -> int:
        """How many numbers are learned."""
        return sum(param.value.size for param in self.named_params().values())

    def astype(self: L, dtype: Any) -> L:
        """Convert all parameters; float64 selects the reference kernels, for gradient checks."""
        for param in self.named_params().values():
            param.value = param.value.astype(dtype)
            param.grad = None
        return self

    def seed_dropout(self, *entropy: int) -> None:
        """Start the random stream of every dropout layer from these whole numbers.

        The training loop passes (seed, step), so a resumed run draws what it would have drawn.
        """
        for position, layer in enumerate(self.walk()):
            layer.reseed([*entropy, position])

    def reseed(self, entropy: list[int]) -> None:
        """A layer that draws random numbers starts its stream anew; the others draw none."""

    def error(self, problem: str) -> ValueError:
        """A ValueError that names this layer."""
        return ValueError(f"{self.path or type(self).__name__}: {problem}")

    def checked(self, x: np.ndarray) -> tuple[np.ndarray, Shape]:
        """x as a contiguous array, and the shape of y with N; errors for a wrong x."""
        shape = (x.shape[0], *self.out_shape(x.shape[1:]))
        for param in self.params.values():
            if x.dtype != param.value.dtype:
                wanted = param.value.dtype
                raise self.error(
                    f"x is {x.dtype}, the weights are {wanted}: use x.astype({wanted})"
                )
        if x.dtype.kind != "f":
            raise self.error(f"x is {x.dtype}, wanted floats: use x.astype('float32')")
        return np.ascontiguousarray(x), shape

    def checked_gradient(self, dy: np.ndarray, shape: Shape) -> np.ndarray:
        """dy as a contiguous array; an error unless it has the shape of y: kernels do not check."""
        if dy.shape != tuple(shape):
            raise self.error(f"dy has shape {dy.shape}, wanted that of y, {tuple(shape)}")
        return np.ascontiguousarray(dy)

    def take_cache(self) -> Any:
        """What the training forward kept; an error when there was none."""
        if self.cache is None:
            raise RuntimeError(
                f"{self.path or type(self).__name__}: backward needs forward(x, train=True) before"
            )
        cache, self.cache = self.cache, None
        return cache


def pair(value: int | tuple[int, int], what: str) -> tuple[int, int]:
    """(down, right) from one number or two; ValueError unless both are whole and positive."""
    sizes = value if isinstance(value, tuple) else (value, value)
    if len(sizes) != 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(f"{what} is {value!r}, wanted a positive whole number or two of them")
    return sizes


def he_normal(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Weights from N(0, 2 / fan_in): a ReLU halves the mean square, this doubles it back.

    shape is (OC, KH, KW, C) or (OUT, IN); float32. He et al., 2015, arXiv:1502.01852.
    """
    fan_in = int(np.prod(shape[1:]))
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / fan_in))


def glorot_uniform(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Weights from U(-a, a), a = sqrt(6 / (fan_in + fan_out)): Keras's default.

    shape is (OC, KH, KW, C) or (OUT, IN); float32. Glorot and Bengio, 2010.
    """
    area = int(np.prod(shape[1:-1]))  # 1 for a dense layer
    limit = np.float32(np.sqrt(6.0 / (area * (shape[0] + shape[-1]))))
    return (2 * rng.random(shape, np.float32) - 1) * limit
