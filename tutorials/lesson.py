"""What all tutorials share: blanks and their solutions, messages, data, pictures.

    python tutorials/01_convolution.py               # stops at the first blank, kindly
    python tutorials/01_convolution.py --solutions   # with the solutions in
    python tutorials/06_data_without_cheating.py --solutions --data DIR    # HAM10000's photographs

In a notebook the environment says the same: MINICNN_SOLUTIONS (``all``, or names of blanks with
commas between them) and MINICNN_DATA.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import EllipsisType
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from minicnn import data
from minicnn.data.dataset import Dataset
from minicnn.errors import UserError
from minicnn.files import replacing
from minicnn.report.pictures import QUIET

PICTURES = Path(__file__).with_name("pictures")
DPI = 120
matplotlib.rcParams.update(QUIET)


class Message(Exception):
    """Something for the student to read: shown as it is, without a traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        # JupyterLab breaks long lines anywhere, in words and numbers too
        return [line for part in str(self).splitlines() for line in textwrap.wrap(part, 88)]


class StillBlank(Message):
    """A blank that nobody has filled in yet."""


class Wrong(Message):
    """An answer that a check found wrong."""


def answer(name: str, yours: Any, solution: Any) -> Any:
    """What goes on in the tutorial: your answer, or the solution where it is asked for.

    name      of the blank
    yours     a value, or a function that may still hold its ``...``
    solution  the same, filled in

    StillBlank if the answer is ``...``; for a function, once a call finds its ``...``.
    """
    if _solved(name):
        return solution
    if not callable(yours):
        _refuse_blank(name, yours)
        return yours

    @functools.wraps(yours)
    def asked(*args: Any, **kwargs: Any) -> Any:
        try:
            result = yours(*args, **kwargs)
        except TypeError as error:
            # of `a, b = ...` or `2 * ...`; and NumPy's words for `w[o] += ...`
            if "ellipsis" in str(error) or "dtype('O')" in str(error):
                raise StillBlank(_reminder(name)) from None
            raise
        if result is None:
            raise StillBlank(f"{_reminder(name)} (It returned nothing: is a `return` missing?)")
        _refuse_blank(name, result)
        return result

    return asked


def _solved(name: str) -> bool:
    wanted = "all" if _options().solutions else os.environ.get("MINICNN_SOLUTIONS", "")
    return wanted == "all" or name in wanted.split(",")


def _refuse_blank(name: str, result: Any) -> None:
    parts = result if isinstance(result, tuple | list) else (result,)
    if any(isinstance(part, EllipsisType) for part in parts):
        raise StillBlank(_reminder(name))


def _reminder(name: str) -> str:
    then = "run that cell, then this one" if _notebook() else "run this again"
    return (
        f"`{name}` still has its blank: replace the `...` by code of your own, and {then}. "
        "The cell after it holds a solution."
    )


def photographs(size: tuple[int, int] = (64, 64)) -> Dataset:
    """The images of a tutorial: a folder's, if one was given (--data DIR), else painted lesions.

    size  height and width in pixels

    Message if the folder is not there, or holds no photographs.
    """
    try:
        return data.load(folder(), size)
    except UserError as error:
        raise Message(str(error)) from None


def folder() -> str | None:
    """HAM10000's folder, if one was given (--data DIR or MINICNN_DATA)."""
    return _options().data or os.environ.get("MINICNN_DATA") or None


def figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, in the style of all of minicnn's pictures."""
    # a Figure of one's own, not pyplot's: no window system, no global state
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def show(drawn: Figure, name: str) -> None:
    """Save a figure as tutorials/pictures/NAME.png, and show it if this is a notebook."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    with replacing(path) as file:
        drawn.savefig(file, format="png")
    if _notebook():
        from IPython.display import Image, display

        display(Image(path.read_bytes(), width=round(96 * drawn.get_figwidth())))
    else:
        print(f"picture: {path}")


def number(value: float | int | str, meaning: str) -> None:
    """The last line of a tutorial: one number, and what it says."""
    print(f"\n{value}  {meaning}")


def _notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"


def _say(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A script that ends with a message prints that, and no traceback."""
    if isinstance(error, Message):
        print(f"\n{error}", file=sys.stderr)
    else:
        _hook(kind, error, trace)


def _options() -> argparse.Namespace:
    """What a script's command line says, or the end of the script; a notebook has none."""
    parser = argparse.ArgumentParser(
        description="A tutorial: open it in an editor, and fill in its blanks."
    )
    parser.add_argument("--solutions", action="store_true", help="run with the solutions in")
    parser.add_argument("--data", metavar="DIR", help="HAM10000's photographs, not painted lesions")
    return parser.parse_args(sys.argv[1:] if _script() else [])


def _script() -> bool:
    return Path(sys.argv[0]).resolve().parent == Path(__file__).resolve().parent


_hook: Callable[..., Any] = sys.excepthook
if _script():
    _options()  # a mistyped flag is told before anything is computed
    sys.excepthook = _say
