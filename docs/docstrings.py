"""The project's docstrings as reStructuredText.

They are written to be read in an editor: paragraphs, lists, indented code, and rows of
``name  what it is`` in columns, which become definition lists here. NumPy's underlined sections are
left to Sphinx's napoleon.
"""

from __future__ import annotations

import re

ROW = re.compile(r"(\S+(?: \S+)*?) {2,}(\S.*)")
CODE = re.compile(r"(``.*?``|:\w+:`.*?`)")
UNDERLINE = re.compile(r"-{3,}")


def as_rest(lines: list[str]) -> list[str]:
    """The lines of a docstring, without their common indentation, as reST."""
    if any(UNDERLINE.fullmatch(line.strip()) for line in lines):
        return lines
    rest: list[str] = []
    for block in _blocks(lines):
        rest += [*_block(block), ""]
    return rest


def _blocks(lines: list[str]) -> list[list[str]]:
    """Runs of lines between blank ones; a table of rows is a block of its own."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if not line.strip():
            blocks.append([])
            continue
        before = blocks[-1]
        begins = ROW.fullmatch(line) and before and not _is_rows(before)
        indents = before and line[0].isspace() != before[0][0].isspace() and not _is_open(before)
        if begins or indents:
            blocks.append([])
        blocks[-1].append(line)
    whole: list[list[str]] = []
    for block in filter(None, blocks):
        if whole and _is_code(block) and _is_code(whole[-1]):  # code with a blank line in it
            whole[-1] += ["", *block]
        else:
            whole.append(block)
    return whole


def _is_code(block: list[str]) -> bool:
    return block[0][0].isspace()


def _is_rows(block: list[str]) -> bool:
    return bool(ROW.fullmatch(block[0]))


def _is_open(block: list[str]) -> bool:
    """Whether indented lines go on with what the block began: a row, or an item of a list."""
    return _is_rows(block) or block[0].startswith("- ")


def _block(block: list[str]) -> list[str]:
    if _is_code(block):
        return ["::", "", *("    " + line for line in block)]
    if not _is_rows(block):
        return [_plain(line) for line in block]
    rows: list[str] = []
    for line in block:
        row = ROW.fullmatch(line)
        if row:
            rows += [_plain(row[1]), "    " + _plain(row[2])]
        else:
            rows.append("    " + _plain(line.strip()))
    return rows


def _plain(text: str) -> str:
    """Stars, bars and underscores stand for themselves outside of code."""
    parts = CODE.split(text)
    parts[::2] = [re.sub(r"([*|`]|_\b)", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
