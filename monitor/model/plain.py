"""Strangers' words, as a terminal may be given them."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return a line in which each character that would do something to a terminal is one that does nothing (U+FFFD), line ends too."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)
