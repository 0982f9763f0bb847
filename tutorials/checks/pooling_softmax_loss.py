"""Tutorial 3: backward through max pooling, softmax, and the gradient of the weighted loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from checks.compare import Mistake, same
from lesson import Wrong

PoolBackward = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]
LossGradient = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def max_pool_backward(yours: PoolBackward) -> None:
    """Digits first: who got which dy. Then random images, and one with many equal pixels."""
    x = np.arange(1.0, 26).reshape(1, 5, 5, 1)
    x[0, 2, 2, 0], x[0, 4, 0, 0] = 99, 100  # 99 wins three of the four windows, 100 the other
    dy = np.array([[1.0, 10], [100, 1000]]).reshape(1, 2, 2, 1)
    _pool(yours, "dx", x, dy, 3, 2)

    rng = np.random.default_rng(0)
    for kernel, stride in ((2, 2), (3, 2), (2, 1)):
        x = rng.standard_normal((2, 7, 8, 3))
        OH, OW = (7 - kernel) // stride + 1, (8 - kernel) // stride + 1
        dy = rng.standard_normal((2, OH, OW, 3))
        _pool(yours, f"dx for windows of {kernel}x{kernel}, stride {stride}", x, dy, kernel, stride)
        if (kernel, stride) == (3, 2):
            what = "dx behind a ReLU, where many pixels are 0,"
            _pool(yours, what, np.maximum(x - 1, 0), dy, kernel, stride)


def _pool(
    yours: PoolBackward, what: str, x: np.ndarray, dy: np.ndarray, kernel: int, stride: int
) -> None:
    before = x.copy()
    try:
        got = yours(x, dy, kernel, stride)
    except (IndexError, ValueError) as error:
        raise Wrong(
            f"{what}: {error}. The window begins at row i * stride and column j * stride; the "
            "winner's place in x is that beginning plus its place in the window."
        ) from None
    if not np.array_equal(x, before):
        raise Wrong("x was changed. The gradient belongs into dx.")
    same(
        what, got, _routed(x, dy, kernel, stride), _pool_mistakes(x, dy, kernel, stride), "n h w c"
    )


def _pool_mistakes(x: np.ndarray, dy: np.ndarray, kernel: int, stride: int) -> Iterator[Mistake]:
    shared = "A pixel can win several windows, and gets the dy of each: += and not =."
    right = _routed(x, dy, kernel, stride)
    yield Mistake(np.zeros_like(right), "Nothing was added to dx.")
    yield Mistake(_routed(x, dy, kernel, stride, adding=False), shared)
    whole = _spread(x, dy, kernel, stride, lambda window: np.ones_like(window))
    yield Mistake(whole, "All pixels of the window got dy: only the winner has a slope.")
    yield Mistake(
        whole / kernel**2, "That is average pooling: here the winner gets all, the others nothing."
    )
    equal = _spread(x, dy, kernel, stride, lambda window: window == window.max())
    yield Mistake(
        equal, "All pixels that equal the maximum got the whole dy: only the first may win (argmax)"
    )
    split = _spread(
        x, dy, kernel, stride, lambda w: (w == w.max()) / np.count_nonzero(w == w.max())
    )
    yield Mistake(split, "Equal pixels share dy here: possible, but minicnn lets the first win.")
    yield Mistake(
        _spread(x, dy, kernel, stride, lambda w: w * (w == w.max())),
        "dy was multiplied by the pixel: its slope is 1.",
    )
    yield Mistake(
        _spread(x, dy, kernel, stride, lambda w: w == w.min()), "The darkest pixel got it: argmax."
    )
    yield Mistake(
        _routed(x, dy, kernel, 1), "Is the stride in it? Window (i, j) begins at row i * stride."
    )
    yield Mistake(
        _routed(x, dy, kernel, stride, exchanged=True), "Rows and columns of the winner exchanged?"
    )
    yield Mistake(
        _routed(x, dy, kernel, stride, placed=False),
        "The winner's place is counted from the window's corner: add i * stride and j * stride.",
    )
    for where, says in ((-1, "last"), (0, "first")):
        alone = np.zeros_like(right)
        alone[where] = right[where]
        yield Mistake(alone, f"Only the {says} image has a gradient: dx[n, ...].")
    yield Mistake(-right, "The sign is turned around.")


def _routed(
    x: np.ndarray,
    dy: np.ndarray,
    kernel: int,
    stride: int,
    adding: bool = True,
    exchanged: bool = False,
    placed: bool = True,
) -> np.ndarray:
    """dx of the first winner of each window; the flags are mistakes."""
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(dy.shape):
        top, left = i * stride, j * stride
        a, b = divmod(int(x[n, top : top + kernel, left : left + kernel, c].argmax()), kernel)
        a, b = (b, a) if exchanged else (a, b)
        place = (n, top + a, left + b, c) if placed else (n, a, b, c)
        dx[place] = dy[n, i, j, c] + (dx[place] if adding else 0)
    return dx


def _spread(
    x: np.ndarray,
    dy: np.ndarray,
    kernel: int,
    stride: int,
    share: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """dx if each pixel of a window gets ``share`` of its dy."""
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(dy.shape):
        top, left = i * stride, j * stride
        seen = n, slice(top, top + kernel), slice(left, left + kernel), c
        dx[seen] += share(x[seen]) * dy[n, i, j, c]
    return dx


SHIFTED_SUM = "The sum is of the shifted e, too: shift first, then e, then divide."


def softmax(yours: Callable[[np.ndarray], np.ndarray]) -> None:
    """Logarithms first, whose softmax one can see; then random, large, and very unlike rows."""
    _softmax(yours, "p", np.log([[1.0, 3.0], [4.0, 1.0]]))  # 1/4 3/4; 4/5 1/5
    rng = np.random.default_rng(0)
    _softmax(yours, "p of random logits", rng.standard_normal((3, 5)))
    large = np.array([[1000.0, 1001, 1002], [-1002, -1000, -1001]])
    unlike = np.array([[1000.0, 1001, 1002], [0, 1, 2]])
    finite = (
        (
            large[:1],
            "e to the power of 1000 is infinite, and infinite / infinite is nan: subtract each "
            "row's maximum first.",
        ),
        (large, "With -1000 all e become 0, and 0 / 0 is nan: subtract each row's own maximum."),
        (
            unlike,
            "The second row's e all became 0: subtract each row's own maximum "
            "(axis=1, keepdims=True), not that of all logits.",
        ),
    )
    for logits, says in finite:
        if not np.isfinite(_quietly(yours, logits)).all():
            raise Wrong(f"The softmax of {logits.tolist()} is not finite. {says}")
        _softmax(yours, f"p of {logits.tolist()}", logits)


def _quietly(yours: Callable, logits: np.ndarray) -> np.ndarray:
    before = logits.copy()
    try:
        with np.errstate(all="ignore"):
            p = yours(logits)
    except ValueError as error:
        raise Wrong(
            f"{error}. keepdims=True keeps the maxima and sums as a column, (N, 1): one for each "
            "row."
        ) from None
    if not np.array_equal(logits, before):
        raise Wrong("The logits were changed: `logits - ...` is a copy, `logits -= ...` is not.")
    return p


def _softmax(yours: Callable, what: str, logits: np.ndarray) -> None:
    with np.errstate(all="ignore"):  # with large logits a mistake may give no number
        mistakes = _softmax_mistakes(logits)
    same(what, _quietly(yours, logits), _rows(logits), mistakes, "n k")


def _softmax_mistakes(logits: np.ndarray) -> list[Mistake]:
    right = _rows(logits)
    e = np.exp(np.minimum(logits, 100))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    by_columns = np.exp(np.minimum(logits - logits.max(axis=0), 100))
    together = "All images together add up to 1, not each: axis=1."
    mistakes = [
        *(Mistake(one / one.sum(), together) for one in (e, shifted) if len(logits) > 1),
        Mistake(_rows(logits.T).T, "The columns add up to 1, not the rows: axis=1."),
        Mistake(shifted / e.sum(axis=1, keepdims=True), SHIFTED_SUM),
        Mistake(
            by_columns / by_columns.sum(axis=1, keepdims=True),
            "That is each column's maximum: axis=1 runs along a row instead.",
        ),
        Mistake(e, "They do not add up to 1 yet: divide by each row's sum."),
        Mistake(shifted, "They do not add up to 1 yet: divide by each row's sum."),
        Mistake(np.log(np.maximum(right, 1e-300)), "That is ln p: the probabilities are wanted."),
        Mistake(_rows(-logits), "The largest logit has the least probability: a sign is wrong."),
        Mistake(e / (1 + e), "That is the sigmoid: each class for itself. Rows add up to 1."),
        Mistake(right.argmax(axis=1), "That is the answer; wanted is a probability of each class."),
    ]
    sums = logits.sum(axis=1, keepdims=True)
    if (np.abs(sums) > 1e-6).all():
        mistakes.append(
            Mistake(logits / sums, "The logits themselves were divided: e^z is missing")
        )
    if logits.shape[0] == logits.shape[1]:
        other = "Row n got another row's maximum or sum: keepdims=True keeps them as a column."
        across = np.exp(logits - logits.max(axis=1))
        mistakes += [
            Mistake(e / e.sum(axis=1), other),
            Mistake(_rows(logits - logits.max(axis=1)), other),
            Mistake(shifted / shifted.sum(axis=1), other),
            Mistake(across / across.sum(axis=1), other),
        ]
    return mistakes


def _whole_rows(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``p[labels] -= 1``."""
    taken = p.copy()
    taken[labels[labels < len(p)]] -= 1
    return taken


def _rows(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def loss_gradient(yours: LossGradient) -> None:
    """Two images and two classes to follow, then more images than classes."""
    logits = np.log([[1.0, 3.0], [4.0, 1.0]])  # p = 1/4 3/4; 4/5 1/5
    _gradient(yours, "dlogits", logits, np.array([1, 0]), np.array([10.0, 2]))
    rng = np.random.default_rng(0)
    labels = np.array([0, 1, 1, 2, 3, 0, 1])
    logits, weights = rng.standard_normal((7, 4)), np.array([0.5, 1.25, 2, 4])
    _gradient(yours, "dlogits without weights", logits, labels, np.ones(4))
    _gradient(yours, "dlogits of 7 random images", logits, labels, weights)


def _gradient(
    yours: LossGradient, what: str, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> None:
    N, classes = logits.shape
    p, y = _rows(logits), np.eye(classes)[labels]
    of_image = weights[labels][:, None]
    right = (p - y) * of_image / N
    wrong_index = (
        "The weights went to the columns: the gradient of a whole image counts as much as the "
        "class of its label, class_weights[labels][:, None]."
    )
    mistakes = [
        Mistake(right * N, "That is the sum: the loss is the mean over the N images."),
        Mistake((p - y) * of_image / p.size, "Divide by N, the images, not by all elements."),
        Mistake((p - y) * of_image / classes, "Divide by N, the images, not by the classes."),
        Mistake((p - y) / N, "The class weights are missing."),
        Mistake(p - y, "The class weights are missing, and the mean over the N images."),
        Mistake((p - y) * weights / N, wrong_index),
        Mistake((p - y) * weights, wrong_index + " And the mean over N is missing."),
        Mistake(
            (p - y) * of_image / of_image.sum(),
            "Divided by the sum of the weights, as PyTorch does it: here it is divided by N.",
        ),
        Mistake((p - y * of_image) / N, "p is weighted too: the weight times (p - y)."),
        Mistake(
            (p - y) * weights[p.argmax(axis=1)][:, None] / N,
            "The weight is that of the label, not of the answer: class_weights[labels].",
        ),
        Mistake(-right, "The sign is turned around: what it says minus what it should say, p - y."),
        Mistake(-right * N, "The sign is turned around, p - y; and the mean over N is missing."),
        *(
            Mistake(q, "Where is the label? It takes 1 away: p - y, with y one-hot.")
            for q in (p, p / N, p * of_image / N)
        ),
        *(
            Mistake(
                q,
                "The mean is only the division by N: each logit of each image keeps a gradient of "
                "its own.",
            )
            for q in (right.sum(axis=0), (p - y).mean(axis=0), right.sum(), right.mean())
        ),
        Mistake(
            _whole_rows(p, labels) * of_image / N,
            "That takes 1 from whole rows: p[np.arange(N), labels] -= 1.",
        ),
        Mistake(
            y * right, "Only the label's column has a gradient: the other logits have one too."
        ),
        Mistake(
            (logits - y) * of_image / N, "Those are the logits: softmax makes p of them first."
        ),
        Mistake(
            (p - labels[:, None]) * of_image / N,
            "The label itself was subtracted: y is one-hot, np.eye(classes)[labels].",
        ),
        Mistake(
            float((weights[labels] * -np.log(p[np.arange(N), labels])).mean()),
            "That is the loss; wanted is its gradient.",
        ),
    ]
    if len(logits) == classes:
        side = "One weight per image is a column: class_weights[labels][:, None]."
        mistakes.insert(0, Mistake((p - y) * weights[labels] / N, side))
        mistakes.insert(
            1, Mistake((p - y) * weights[:, None] / N, "Image n got the weight of class n: labels!")
        )
        mistakes.append(
            Mistake(
                (p - labels) * of_image / N,
                "The label itself was subtracted: y is one-hot, np.eye(classes)[labels].",
            )
        )
    before = logits.copy()
    try:
        got = yours(logits, labels, weights)
    except (IndexError, ValueError) as error:
        raise Wrong(
            f"{what}: {error}. Labels are numbers of classes: y = np.eye(classes)[labels] has a "
            "row for each image, and class_weights[labels][:, None] a weight for each row."
        ) from None
    if not np.array_equal(logits, before):
        raise Wrong("The logits were changed: the gradient is an array of its own.")
    same(what, got, right, mistakes, "n k")
