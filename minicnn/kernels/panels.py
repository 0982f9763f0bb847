"""Convolution weights in the order in which the product tile reads them.

A panel is the weights of up to 16 * WIDEST output channels: a row of biases, then K rows, one for
each input of a window. Panels stand one after another: that of channel o begins at o * (K + 1).
Channels are rounded up to whole vectors with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from minicnn.kernels import memory
from minicnn.kernels.jit import jit
from minicnn.kernels.vector_tiles import LANES, WIDEST
from minicnn.kernels.windows import copy

# (what the panels are for, ids of the weights) -> panels, and the weights: so the ids stay theirs
_kept: dict[tuple, tuple[np.ndarray, tuple[np.ndarray, ...]]] | None = None
_locked: list[np.ndarray] = []  # made read-only by constant_weights


@contextmanager
def constant_weights() -> Iterator[None]:
    """Inside this context no convolution's weights change: panels are packed once and kept.

    Weights that were used are read-only until its end: to change one is an error there, where it
    would have given wrong results.
    """
    global _kept
    if _kept is not None:  # within another one
        yield
        return
    _kept = {}
    try:
        yield
    finally:
        _kept = None
        while _locked:
            _locked.pop().flags.writeable = True


def packed(kind: str, pack: Callable[..., np.ndarray], *weights: np.ndarray) -> np.ndarray:
    """pack(*weights), or what was kept of it."""
    if _kept is None:
        return pack(*weights)
    key = kind, *map(id, weights)
    if key not in _kept:
        _kept[key] = pack(*weights), weights
        for w in weights:
            if w.flags.writeable:
                w.flags.writeable = False
                _locked.append(w)
    return _kept[key][0]


def _empty(OC, K):
    panels = memory.empty(((K + 1) * -(-OC // LANES) * LANES,))
    panels[...] = 0
    return panels


def forward_panels(w, b):
    """Panels of a convolution: w (OC, KH, KW, C), b (OC,)."""
    panels = _empty(w.shape[0], w[0].size)
    _pack_forward(w, b, panels)
    return panels


def input_gradient_panels(w):
    """Panels of its input gradient: the kernel turned by 180 degrees, OC and C swapped."""
    OC, KH, KW, C = w.shape
    panels = _empty(C, KH * KW * OC)
    _pack_turned(w, 0, KH * KW * OC, panels)
    return panels


def expands_gradient_panels(w1, w3):
    """Panels of the input gradient of a fire module's expands: the runs of w3, then of w1."""
    K1, K3 = (w.shape[0] * w.shape[1] * w.shape[2] for w in (w1, w3))
    panels = _empty(w1.shape[3], K1 + K3)
    _pack_turned(w3, 0, K1 + K3, panels)
    _pack_turned(w1, K3, K1 + K3, panels)
    return panels


@jit
def panel_width(left):
    """How many vectors wide the next panel is, with ``left`` vectors to go: 6 as 3 and 3."""
    panels = (left + WIDEST - 1) // WIDEST
    return (left + panels - 1) // panels


@jit
def _pack_forward(w, b, panels):
    OC = w.shape[0]
    flat = w.reshape(OC, -1)
    K = flat.shape[1]
    first = 0
    while first < OC:
        across = panel_width((OC - first + LANES - 1) // LANES) * LANES
        last, start = min(first + across, OC), (K + 1) * first
        copy(b[first:last], panels[start : start + last - first])
        for k in range(0, K, LANES):  # a few rows at a time: they stay in the first cache
            for o in range(first, last):
                row, column = flat[o, k : k + LANES], start + (k + 1) * across + o - first
                for i in range(len(row)):
                    panels[column + i * across] = row[i]
        first += across


@jit
def _pack_turned(w, k0, K, panels):
    """The turned w from row k0 on of panels that have K rows in all."""
    OC, KH, KW, C = w.shape
    first = 0
    while first < C:
        across = panel_width((C - first + LANES - 1) // LANES) * LANES
        last, row = min(first + across, C), (K + 1) * first + (k0 + 1) * across
        for kh in range(KH - 1, -1, -1):
            for kw in range(KW - 1, -1, -1):
                for o in range(OC):
                    copy(w[o, kh, kw, first:last], panels[row : row + last - first])
                    row += across
        first += across
