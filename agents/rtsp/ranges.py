"""The Range header and the range attribute of recorded footage (RFC 2326 3.7): from when to when it plays."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from monitor.model.span import Millis, to_millis

_RANGE = re.compile(
    r"\s*clock\s*=\s*(\d{8}T\d{6}(?:\.\d{1,9})?Z)\s*-\s*(\d{8}T\d{6}(?:\.\d{1,9})?Z)?\s*(?:;.*)?",
    re.ASCII | re.IGNORECASE,
)


class ClockRange(NamedTuple):
    """UTC milliseconds as written; many recorders write their own wall clock and call it UTC."""

    start: Millis
    end: Millis | None


def clock_range(text: str | None) -> ClockRange | None:
    """Read `clock=20261123T120000Z-[20261123T120010.25Z]`; None for any other text, npt ranges included."""
    found = _RANGE.fullmatch(text) if text is not None and len(text) <= 200 else None
    if found is None:
        return None
    try:
        start, end = _instant(found[1]), None if found[2] is None else _instant(found[2])
    except ValueError:
        return None
    return None if end is not None and end < start else ClockRange(start, end)


def _instant(text: str) -> Millis:
    """Return a UTC time as milliseconds. Raises ValueError for one that no calendar has."""
    whole, _, fraction = text[:-1].upper().partition(".")
    at = datetime.strptime(whole, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return to_millis(at + timedelta(seconds=float(f"0.{fraction}")) if fraction else at)
