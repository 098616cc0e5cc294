"""A week's recording schedule: from the spans that a menu sets to what a channel records, and when it records nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Literal

from agents.recorders.base import ModeName, RecordingMode

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES

_ALWAYS, _ON_EVENT = 2, 1

Entry = tuple[int, int, Literal["continuous", "event"]]
"""From and to, in minutes from Monday 00:00 (to may lie beyond the week's end and goes on at its start), and when."""


def minute_of_week(weekday: int, clock: str, *, up: bool = False) -> int:
    """Return the minute of the week of "HH:MM:SS" on `weekday` (0 = Monday); 24:00:00 is the next day's start.

    Seconds are cut off, or counted as a whole minute when `up`: a day that ends at 23:59:59 is a whole one.
    Raises ValueError.
    """
    parts = clock.strip().split(":")
    if not (2 <= len(parts) <= 3 and all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts)):
        raise ValueError(f"{clock[:20]!r} is no time of a day")
    hours, minutes, seconds = (int(part) for part in (*parts, "0")[:3])
    late = hours * 3600 + minutes * 60 + seconds > DAY_MINUTES * 60
    if not (0 <= weekday <= 6 and minutes < 60 and seconds < 60) or late:
        raise ValueError(f"{clock[:20]!r} on day {weekday} is no time of a week")
    return weekday * DAY_MINUTES + hours * 60 + minutes + int(up and seconds > 0)


def recording_mode(entries: Iterable[Entry]) -> RecordingMode:
    """Return what the entries of a week amount to; a minute that is set both ways is recorded all the time.

    Raises ValueError for an entry outside the week.
    """
    week = bytearray(WEEK_MINUTES)
    for start, end, when in entries:
        if not (0 <= start < WEEK_MINUTES and start <= end <= start + WEEK_MINUTES):
            raise ValueError(f"a schedule from minute {start} to {end} of the week")
        value = _ALWAYS if when == "continuous" else _ON_EVENT
        for minute in range(start, end):
            week[minute % WEEK_MINUTES] = max(week[minute % WEEK_MINUTES], value)
    return RecordingMode(_name(set(week)), _holes(week))


def _name(values: set[int]) -> ModeName:
    if _ALWAYS in values:
        return "mixed" if _ON_EVENT in values else "continuous"
    return "motion" if _ON_EVENT in values else "none"


def _holes(week: bytearray) -> tuple[tuple[int, int], ...]:
    edges = [0, *(at for at in range(1, WEEK_MINUTES) if (week[at] == 0) != (week[at - 1] == 0)), WEEK_MINUTES]
    return tuple((start, end) for start, end in itertools.pairwise(edges) if week[start] == 0)
