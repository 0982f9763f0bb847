"""Building blocks of a page that is one file: no network, no script, pictures inside it.

    page(
        "A comparison",
        "What was compared, in a sentence.",
        [
            Section("Results", [table("lr", ("network", "top-1"), [("squeezenet", "0.794")])]),
            Section("Curves", [figure(png, "Loss by epoch.", "python -m minicnn.train ...")]),
        ],
    )

What a function takes as ``str`` is text, and is escaped; what it takes or gives as ``Html`` is
markup. mypy tells one from the other.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html import escape
from string import Template
from typing import NamedTuple, NewType

import numpy as np
from PIL import Image

from minicnn.report.style import STYLE

Html = NewType("Html", str)

CSS_DPI = 96  # a CSS inch has so many pixels, whatever the screen
ALIGNED = {"l": "", "r": ' class="r"', "c": ' class="c"'}

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<header>
<h1>$title</h1>
<p class="lead">$lead</p>
</header>
$contents
$sections
$footer
</main>
</body>
</html>
""")


class Section(NamedTuple):
    """A heading and what stands under it; the page lists the headings at its top."""

    title: str
    parts: Sequence[Html]


def page(title: str, lead: str, sections: Sequence[Section], footer: str = "") -> str:
    """The whole document. Sections without parts are left out."""
    shown = [section for section in sections if section.parts]
    links = "\n".join(f'<a href="#{_id(s.title)}">{escape(s.title)}</a>' for s in shown)
    return _PAGE.substitute(
        title=escape(title),
        style=STYLE,
        lead=escape(lead),
        contents=f"<nav>\n{links}\n</nav>" if len(shown) > 1 else "",
        sections="\n".join(_section(section) for section in shown),
        footer=f"<footer>{escape(footer)}</footer>" if footer else "",
    )


def _section(section: Section) -> str:
    heading = f'<h2 id="{_id(section.title)}">{escape(section.title)}</h2>'
    return "\n".join(["<section>", heading, *section.parts, "</section>"])


def _id(title: str) -> str:
    """What a link to the section ends with: "Edge TPU" gives edge-tpu."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def paragraph(text: str) -> Html:
    """Running text."""
    return Html(f"<p>{escape(text)}</p>")


def commands(lines: Sequence[str]) -> Html:
    """Command lines to copy, one below the other."""
    return Html(f"<pre>{escape(chr(10).join(lines))}</pre>")


def table(
    columns: str,
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str = "",
) -> Html:
    """A table with a heading row.

    columns  a letter for each column: l for text, r for figures, c for the middle
    rows     cells are shown as ``str`` gives them; format numbers before. None is a dash, and a
             column of nothing else is left out

    The first cell of a row names the row. ValueError where a row has not as many cells as columns.
    """
    if any(len(row) != len(columns) for row in [head, *rows]):
        raise ValueError(f"a row of the table has not {len(columns)} cells, as {columns!r} says")
    kept = [at for at in range(len(columns)) if any(row[at] is not None for row in rows)]
    looks = [ALIGNED[columns[at]] for at in kept]
    cells = [(look, escape(head[at])) for look, at in zip(looks, kept, strict=True)]
    top = "".join(f'<th scope="col"{look}>{text}</th>' for look, text in cells)
    body = "\n".join(_row(looks, [row[at] for at in kept]) for row in rows)
    return _table(f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>", caption)


def settings(pairs: Sequence[tuple[str, object]], caption: str = "") -> Html:
    """A table of names and values without a heading row."""
    body = "\n".join(_row(["", ""], pair) for pair in pairs)
    return _table(f"<tbody>\n{body}\n</tbody>", caption)


def _row(looks: Sequence[str], row: Sequence[object]) -> str:
    texts = ["–" if cell is None else escape(str(cell)) for cell in row]
    cells = [f"<td{look}>{text}</td>" for look, text in zip(looks, texts, strict=True)]
    cells[0] = f'<th scope="row"{looks[0]}>{texts[0]}</th>'
    return f"<tr>{''.join(cells)}</tr>"


def _table(content: str, caption: str) -> Html:
    """A table wider than a phone scrolls by itself; its caption and the page do not."""
    above = f"<figcaption>{escape(caption)}</figcaption>\n" if caption else ""
    return Html(
        f'<figure class="table">{above}<div class="scroll"><table>\n{content}\n</table></div>'
        "</figure>"
    )


def figure(png: bytes, caption: str, command: str = "", alt: str = "") -> Html:
    """A PNG as large as it was drawn (its dots per inch count), or as wide as there is room.

    command  what made it, shown behind the caption
    alt      what to read where it cannot be seen; default: the caption
    """
    with Image.open(io.BytesIO(png)) as picture:
        dpi = picture.info.get("dpi", (CSS_DPI,))[0]
        width, height = (round(side * CSS_DPI / dpi) for side in picture.size)
    source, seen = data_uri(png, "image/png"), escape(alt or caption)
    by = f" Made by <code>{escape(command)}</code>" if command else ""
    return Html(
        f'<figure style="width: {width}px">\n'
        f'<img src="{source}" width="{width}" height="{height}" alt="{seen}">\n'
        f"<figcaption>{escape(caption)}{by}</figcaption></figure>"
    )


def figures(*parts: Html) -> Html:
    """Figures side by side where there is room, else one below the other."""
    return Html("\n".join(['<div class="figures">', *parts, "</div>"]))


def gallery(images: Sequence[tuple[np.ndarray, Sequence[str]]]) -> Html:
    """Small photographs in a grid: (H, W, 3) uint8 RGB, and the lines below each."""
    parts = []
    for image, lines in images:
        uri = data_uri(_jpeg(image), "image/jpeg")
        below = "<br>".join(escape(line) for line in lines)
        parts.append(
            f'<figure><img src="{uri}" alt="{escape(", ".join(lines))}">'
            f"<figcaption>{below}</figcaption></figure>"
        )
    return Html("\n".join(['<div class="gallery">', *parts, "</div>"]))


def _jpeg(image: np.ndarray, side: int = 320) -> bytes:
    """At most ``side`` pixels wide and high: a gallery shows half of that, for sharp screens."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.thumbnail((side, side))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """The content itself as an address, so that the page needs no second file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
