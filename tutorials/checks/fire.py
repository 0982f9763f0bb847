"""Tutorial 4: the parameters of a convolution, and what a fire module costs and gives."""

from __future__ import annotations

from collections.abc import Callable

from checks.compare import Mistake, same
from lesson import Wrong


def conv_parameters(yours: Callable[[int, int, int, int], int]) -> None:
    """A small convolution first; then windows that are no squares, 1x1 ones, and SqueezeNet's."""
    for KH, KW, C, OC in ((3, 3, 2, 4), (5, 3, 4, 6), (1, 1, 64, 16), (3, 3, 3, 64)):
        window = KH * KW * C
        mistakes = (
            Mistake(window * OC, "Each of the OC outputs has a bias too: OC numbers more."),
            Mistake(
                window * OC + 1, "There is a bias for each of the OC outputs, not one for all."
            ),
            Mistake(window * OC + C, "Biases belong to outputs: OC of them, not C."),
            Mistake(window * OC + window, "A bias is one number for an output, not a window."),
            Mistake(C * OC + OC, "A weight for each pixel of the window: KH * KW is missing."),
            Mistake(C * OC, "KH * KW is missing, and so are the biases."),
            Mistake(KH * KW * OC + OC, "A window is C channels deep: C is missing."),
            Mistake(window + OC, "These are the weights of one window; there are OC of them."),
            Mistake(window + 1, "This is one output's window and bias; there are OC of them."),
            Mistake(KH * KH * C * OC + OC, "The window is KH rows high and KW columns wide."),
            Mistake(KW * KW * C * OC + OC, "The window is KH rows high and KW columns wide."),
            Mistake((KH + KW) * C * OC + OC, "A window has KH * KW pixels, not KH + KW."),
        )
        what = f"conv_parameters(KH={KH}, KW={KW}, C={C}, OC={OC})"
        same(what, yours(KH, KW, C, OC), window * OC + OC, mistakes, tolerance=1e-9)


def fire_cost(yours: Callable[[int, int, int, int, int], tuple[int, int]]) -> None:
    """A module of twelve places first, then SqueezeNet's fire2 and fire9 at 224x224."""
    for H, W, C, S, E in ((3, 4, 12, 2, 4), (55, 55, 64, 16, 64), (13, 13, 512, 64, 256)):
        what = f"fire_cost(H={H}, W={W}, C={C}, squeeze={S}, expand={E})"
        given = yours(H, W, C, S, E)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise Wrong(f"{what}: wanted two numbers, the multiply-adds and the channels.")
        macs, channels = given
        _channels(f"the channels of {what}", channels, C, S, E)
        _macs(f"the multiply-adds of {what}", macs, (H, W, C, S, E))


def _channels(what: str, yours: int, C: int, S: int, E: int) -> None:
    mistakes = (
        Mistake(
            E,
            "Concatenated is not added: the second expand's channels stand behind the first one's.",
        ),
        Mistake(S + 2 * E, "The squeezed channels go into the expands, and not into the output."),
        Mistake(C + 2 * E, "The input is not passed on: only the two expands are concatenated."),
        Mistake(S + E, "The output is both expands; the squeezed channels are used up inside."),
        Mistake(C, "The output has its own number of channels: those of both expands."),
        Mistake(E * E, "Channels stand one behind the other: their numbers are added."),
    )
    same(what, yours, 2 * E, mistakes, tolerance=1e-9)


def _macs(what: str, yours: int, sizes: tuple[int, int, int, int, int]) -> None:
    H, W, C, S, E = sizes
    places, squeeze, expand1, expand3 = H * W, C * S, S * E, 9 * S * E
    right = places * (squeeze + expand1 + expand3)
    mistakes = (
        Mistake(right // places, "This is the cost of one place; there are H * W of them."),
        Mistake(right // W, "There are H * W places, not H."),
        Mistake(right // H, "There are H * W places, not W."),
        Mistake(
            places * (squeeze + expand1 + 9 * C * E),
            "The 3x3 expand reads the squeezed channels, `squeeze` of them and not C: that is "
            "what the squeeze is for.",
        ),
        Mistake(
            places * (squeeze + C * E + 9 * C * E),
            "The expands read the squeezed channels, `squeeze` of them and not C.",
        ),
        Mistake(
            places * (squeeze + C * E + expand3),
            "The 1x1 expand reads the squeezed channels as well, not the module's input.",
        ),
        Mistake(
            places * (squeeze + expand1 + 9 * E * E),
            "The expands lie side by side: the 3x3 one does not read the 1x1 one's output.",
        ),
        Mistake(places * (squeeze + expand3), "Only one expand: the 1x1 one costs something too."),
        Mistake(places * (squeeze + expand1), "Only one expand: where is the 3x3 one?"),
        Mistake(places * (expand1 + expand3), "The squeeze costs something too: C * squeeze."),
        Mistake(
            places * (squeeze + 2 * expand1),
            "The second expand's windows have 3x3 pixels: nine products for each channel.",
        ),
        Mistake(
            places * (squeeze + expand1 + 3 * S * E), "A 3x3 window has nine pixels, not three."
        ),
        Mistake(places * (9 * squeeze + expand1 + expand3), "The squeeze's windows are 1x1."),
        Mistake(places * (squeeze + 2 * expand3), "One of the two expands has 1x1 windows."),
        Mistake(
            places * (squeeze + expand1) + (H - 2) * (W - 2) * expand3,
            "The 3x3 expand is padded, or the halves would not fit together: H * W places.",
        ),
        Mistake(
            right + places * (S + 2 * E),
            "These are the parameters at every place. Adding a bias is no multiplication; by "
            "custom it does not count.",
        ),
        Mistake(
            squeeze + expand1 + expand3 + S + 2 * E,
            "These are the module's parameters: every weight is used at each of H * W places.",
        ),
        Mistake(2 * right, "A multiplication and its addition count as one multiply-add."),
    )
    same(what, yours, right, mistakes, tolerance=1e-9)
