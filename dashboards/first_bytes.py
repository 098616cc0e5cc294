"""What a connection is for, from the first bytes that came: told without a parser, and only what is certain."""

from __future__ import annotations

import re
from enum import Enum, auto

from monitor.api.routes import REPORTS

MOST_HEAD_BYTES = 8 * 1024
MOST_BODY_BYTES = 32 * 1024
"""Longer reports are not waited for: the system's own buffers may not hold them."""
MOST_BYTES = MOST_HEAD_BYTES + MOST_BODY_BYTES
"""So many of the first bytes are looked at."""

_REPORT = f"POST {REPORTS} HTTP/1.".encode()
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,5})[ \t]*\r\n", re.IGNORECASE)
_OTHERWISE = re.compile(rb"\r\n(?:transfer-encoding|expect)[ \t]*:", re.IGNORECASE)
"""A body of unknown length, or one that comes only when it is asked for."""


class Wants(Enum):
    """What a connection is for."""

    NOT_SAID = auto()
    """Nothing came, or the beginning of a report."""
    TO_REPORT = auto()
    """A request with reports is there as a whole, so that answering it waits for nothing."""
    ANYTHING_ELSE = auto()


def wants(found: bytearray, size: int) -> Wants:
    """Tell what a connection is for whose first `size` bytes are in `found`."""
    begins = found[: min(size, len(_REPORT))]
    if not _REPORT.startswith(begins):
        return Wants.ANYTHING_ELSE
    end = found.find(b"\r\n\r\n", 0, size)
    if end < 0:
        return Wants.NOT_SAID if size < MOST_HEAD_BYTES else Wants.ANYTHING_ELSE
    length = _LENGTH.search(found, 0, end + 2)
    if length is None or int(length[1]) > MOST_BODY_BYTES or _OTHERWISE.search(found, 0, end + 2):
        return Wants.ANYTHING_ELSE
    return Wants.TO_REPORT if size >= end + 4 + int(length[1]) else Wants.NOT_SAID
