"""A view as block characters for a terminal: where edges run, clear or faint. Never a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from monitor.model.view import NO_EDGE, Sketch

_BLOCKS: Final = (" ", "░", "█")
_ASCII: Final = (" ", ".", "#")
"""Nothing, a faint edge, a clear one."""


def view_lines(sketch: Sketch, columns: int, encoding: str | None) -> Iterator[str]:
    """Yield a drawing at most `columns` wide, each second row left out: a character is twice as high as it is wide.

    In characters that `encoding` has: blocks, else ASCII.
    """
    signs = _BLOCKS if _can("".join(_BLOCKS), encoding) else _ASCII
    rows = sketch.rows
    step = -(-len(rows[0]) // max(columns, 1)) if rows else 1
    for top in range(0, len(rows), 2 * step):
        part = rows[top : top + 2 * step]
        yield "".join(
            signs[max(_strength(letter) for row in part for letter in row[left : left + step])]
            for left in range(0, len(rows[0]), step)
        ).rstrip()


def _strength(letter: str) -> int:
    return 0 if letter == NO_EDGE else 2 if letter.isupper() else 1


def _can(text: str, encoding: str | None) -> bool:
    """Whether an encoding has all characters of a text."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
