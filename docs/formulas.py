"""Formulas as drawings in the page: no script and no font is fetched from elsewhere."""

import html

import ziamath
from docutils.nodes import SkipNode

PIXELS = 16
ziamath.config.svg2 = False  # each glyph in place: no ids that two formulas could share


def inline(translator, node):
    drawn = _draw(node.astext(), inline=True)
    style = f"vertical-align: {drawn.getyofst():.1f}px"  # the formula's baseline on the text's
    translator.body.append(f'<span style="{style}">{_labelled(drawn, node)}</span>')
    raise SkipNode


def display(translator, node):
    translator.body.append(f'<div class="formula">{_labelled(_draw(node.astext()), node)}</div>')
    raise SkipNode


def _draw(tex, inline=False):
    return ziamath.Latex(tex, size=PIXELS, inline=inline, color="currentColor")


def _labelled(drawn, node):
    """The drawing, with its TeX for readers of screens."""
    label = html.escape(" ".join(node.astext().split()), quote=True)
    return drawn.svg().replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def setup(app):
    app.add_html_math_renderer("drawn", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
