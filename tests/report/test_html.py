"""The building blocks of a page: well-formed, self-contained, and nothing in them is markup."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minicnn.report import html, pictures
from minicnn.report.html import Section

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a document; ``texts`` by tag, ``tags`` with their attributes. Fails on a lost tag."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.append((self.open[-1], data))

    def inside(self, tag):
        return "".join(text for name, text in self.texts if name == tag)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def png(width=192, height=96, dpi=96):
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG", dpi=(dpi, dpi))
    return out.getvalue()


def sample():
    photograph = np.zeros((30, 40, 3), np.uint8)
    parts = [
        html.paragraph("some <b>text"),
        html.table("lr", ("a", "b & c"), [("x", 1), ("y", None)], "a caption"),
        html.settings([("name", "value")], "another"),
        html.commands(["python -m minicnn.train x", "echo 'done' > it"]),
        html.figures(html.figure(png(), "one", "a command"), html.figure(png(), "two")),
        html.gallery([(photograph, ["first", "second"])]),
    ]
    return html.page("A title", "A lead.", [Section("All of it", parts)], "The end.")


def test_a_page_is_well_formed_and_needs_nothing_else():
    source = sample()
    page = Page(source)
    assert source.startswith("<!doctype html>")
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    assert all(attrs["src"].startswith("data:image/") for attrs in page.all("img"))
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert "http" not in re.sub(r"base64,[^\"]*", "", source)
    assert "url(" not in page.inside("style") and "@import" not in page.inside("style")
    assert page.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.all("meta")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_stays_text_wherever_it_stands(text):
    parts = [html.paragraph(text), html.table("l", ["head"], [[text]]), html.commands([text])]
    page = Page(html.page(text, text, [Section("s", parts)], text))
    assert page.inside("h1") == page.inside("title") == text
    tags = ("p", "th", "pre", "footer")
    assert [page.inside(tag) for tag in tags] == [text + text, "head" + text, text, text]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_a_caption_is_no_markup_in_attributes_either(text):
    page = Page(html.figure(png(), text, text))
    (image,) = page.all("img")
    assert image["alt"] == text
    assert page.inside("code") == text and page.inside("figcaption").startswith(text)
    assert [tag for tag, _ in page.tags] == ["figure", "img", "figcaption", "code"]


def test_headings_are_linked_and_empty_sections_left_out():
    sections = [Section("Edge TPU", [html.paragraph("a")]), Section("Empty", [])]
    page = Page(html.page("t", "l", [*sections, Section("Last one", [html.paragraph("b")])]))
    assert [a["href"] for a in page.all("a")] == ["#edge-tpu", "#last-one"]
    assert [h["id"] for h in page.all("h2")] == ["edge-tpu", "last-one"]
    assert not Page(html.page("t", "l", sections)).all("nav")


def test_columns_of_a_table_are_aligned_as_told():
    page = Page(html.table("lrc", "abc", [("x", "1", "-"), ("y", "22", "+")]))
    cells = [attrs.get("class") for tag, attrs in page.tags if tag in ("th", "td")]
    assert cells == [None, "r", "c"] * 3


def test_a_column_without_any_value_is_left_out_and_a_gap_is_a_dash():
    page = Page(html.table("lrr", ("name", "some", "none"), [("x", 1, None), ("y", None, None)]))
    assert page.inside("th") == "namesomexy"
    assert [text for tag, text in page.texts if tag == "td"] == ["1", "–"]


@pytest.mark.parametrize("rows", [[("x",)], [("x", 1), ("y", 2, 3)]])
def test_a_row_of_another_length_is_refused(rows):
    with pytest.raises(ValueError, match="has not 2 cells"):
        html.table("lr", ("a", "b"), rows)


@pytest.mark.parametrize(("dpi", "size"), [(96, ("192", "96")), (192, ("96", "48"))])
def test_a_figure_is_as_large_as_it_was_drawn(dpi, size):
    (image,) = Page(html.figure(png(192, 96, dpi), "c")).all("img")
    assert (image["width"], image["height"]) == size


def test_what_a_figure_shows_is_the_file_itself():
    picture = png()
    (image,) = Page(html.figure(picture, "c")).all("img")
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == picture


@pytest.mark.parametrize(("shape", "shown"), [((450, 600), (320, 240)), ((32, 24), (24, 32))])
def test_photographs_of_a_gallery_are_made_small_but_not_larger(shape, shown):
    photograph = np.full((*shape, 3), (200, 100, 50), np.uint8)
    (image,) = Page(html.gallery([(photograph, ["a"])])).all("img")
    content = base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))
    picture = Image.open(io.BytesIO(content))
    assert picture.size == shown
    assert np.abs(np.array(picture).astype(int) - (200, 100, 50)).max() <= 3


def test_pictures_are_drawn_at_the_resolution_of_a_page():
    content = pictures.confusion([[3, 1], [0, 2]], ("a", "b"))
    (image,) = Page(html.figure(content, "c")).all("img")
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.width == 2 * int(image["width"])
    assert content == pictures.confusion([[3, 1], [0, 2]], ("a", "b"))
