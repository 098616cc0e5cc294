"""Plain tables and paragraphs for terminals, in which a Chinese character is two columns wide."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

_WIDE = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_OPENING = "（《「『【“‘"
_CLOSING = "，。、；：？！）》」』】”’"

_PIECE = re.compile(rf"\s+|[{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPENING}]+)[{_CLOSING}]*|[{_OPENING}]+")
"""What a line may be broken between: white space, a Chinese character, a word; each with its marks, as none of them
begins a line that closes something or ends a line that opens something."""

GAP = "  "


def width(text: str) -> int:
    """Return how many columns a text takes."""
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in {"Cf", "Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def pad(text: str, columns: int) -> str:
    """Fill a text with spaces on its right up to `columns`."""
    return text + " " * (columns - width(text))


def wrap(text: str, columns: int) -> list[str]:
    """Break a text into lines of at most `columns`; a word that is longer than a line is left whole."""
    lines = [""]
    for piece in _PIECE.findall(text):
        if piece.isspace():
            piece = " "  # noqa: PLW2901  (a line break in the source is a space)
        fits = width(lines[-1] + piece.rstrip()) <= columns
        if fits or not lines[-1]:
            lines[-1] += piece if lines[-1] or piece != " " else ""
        else:
            lines.append(piece.lstrip())
    return [line.rstrip() for line in lines]


def indented(text: str, indent: int, columns: int) -> Iterator[str]:
    """Yield the lines of a paragraph that stands `indent` columns to the right."""
    for line in wrap(text, max(columns - indent, 20)):
        yield f"{' ' * indent}{line}".rstrip()


def table(rows: Sequence[Sequence[str]], columns: int, indent: int = 0) -> Iterator[str]:
    """Yield the lines of a table whose last column is wrapped; the others are as wide as they need."""
    if not rows:
        return
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    start = indent + sum(widths) + len(GAP) * len(widths)
    for row in rows:
        cells = [pad(cell, size) for cell, size in zip(row, widths, strict=False)]
        last = wrap(row[-1], max(columns - start, 20))
        yield f"{' ' * indent}{GAP.join([*cells, last[0]])}".rstrip()
        for more in last[1:]:
            yield f"{' ' * start}{more}".rstrip()
