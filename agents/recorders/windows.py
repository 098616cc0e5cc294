"""Which windows of a recorder's index to search, so that few questions tell all: days with footage, runs without."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

Window = tuple[datetime, datetime]
"""From and to, in the recorder's wall time; whole seconds, both belong to it."""

LEAD = timedelta(hours=1)
"""How far before the window the search begins: footage that began earlier may reach into it."""

ONE_SEARCH = timedelta(hours=25)
FEW_DAYS = 3
"""Up to so many days the calendar is not worth its question."""

RUN_DAYS = 28
"""Empty runs are searched in windows of at most a month: wider ones fail at random on a busy recorder."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def months(first: datetime, last: datetime) -> list[tuple[int, int]]:
    """Return the (year, month) pairs whose calendars `plan` wants for the window; none for a short one."""
    if (last.date() - first.date()).days < FEW_DAYS:
        return []
    span = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [(month // 12, month % 12 + 1) for month in span]


def plan(first: datetime, last: datetime, recorded: Callable[[date], bool]) -> list[Window]:
    """Cut [first, last) into windows: one for each day that `recorded` says holds footage, one for each empty run.

    Empty days are searched too, many at once: a calendar that is wrong must not become a gap. The two latest days are
    never taken for empty, since the calendar lags.
    """
    begin = (first - LEAD).replace(microsecond=0)
    end = last.replace(microsecond=0) + (_SECOND if last.microsecond else timedelta(0))
    if end - begin <= ONE_SEARCH:
        return [(begin, end)]
    days = [first.date() + _DAY * number for number in range((last.date() - first.date()).days + 1)]
    windows: list[Window] = []
    run = 0
    for day in days:
        empty = day < days[-1] - _DAY and not recorded(day)
        to = min(datetime.combine(day + _DAY, time()) - _SECOND, end)
        if empty and 0 < run < RUN_DAYS:
            windows[-1] = (windows[-1][0], to)
        else:
            windows.append((begin if not windows else datetime.combine(day, time()), to))
            run = 0
        run = run + 1 if empty else 0
    return [window for window in windows if window[0] < end]


def stretches(first: datetime, last: datetime) -> list[Window]:
    """Cut [first, last) into windows of RUN_DAYS: for a recorder that has no calendar, and pages that are turned cheaply."""
    begin = (first - LEAD).replace(microsecond=0)
    end = last.replace(microsecond=0) + (_SECOND if last.microsecond else timedelta(0))
    windows: list[Window] = []
    while begin <= end:
        to = min(begin + RUN_DAYS * _DAY - _SECOND, end)
        windows.append((begin, to))
        begin = to + _SECOND
    return windows


def halves(window: Window) -> tuple[Window, Window]:
    """Cut a window in two at a whole second."""
    middle = (window[0] + (window[1] - window[0]) / 2).replace(microsecond=0)
    return (window[0], middle), (middle + _SECOND, window[1])
