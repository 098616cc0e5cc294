"""Which windows of a recorder's index to search, so that few questions tell all: weeks with footage, months without."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from itertools import groupby

Window = tuple[datetime, datetime]
"""From and to, in the recorder's wall time; whole seconds, both belong to it."""

LEAD = timedelta(hours=1)
"""How far before the window the search begins: footage that began earlier may reach into it."""

ONE_SEARCH = timedelta(hours=25)
FEW_DAYS = 15
"""A window over fewer days is two or three searches anyway: the calendar is not worth its question."""

RECORDED_DAYS = 7
"""So many days with footage make one window: where files are long, a search for each day is mostly questions; where they
are short, a week is some pages more. Windows of a day or a month were never seen to fail, wider ones fail at random."""

RUN_DAYS = 28
"""So many empty days make one window: a month."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def months(first: datetime, last: datetime) -> list[tuple[int, int]]:
    """Return the (year, month) pairs whose calendars `plan` wants for the window; none for a short one."""
    if (last.date() - first.date()).days < FEW_DAYS:
        return []
    span = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [(month // 12, month % 12 + 1) for month in span]


def plan(first: datetime, last: datetime, recorded: Callable[[date], bool]) -> list[Window]:
    """Cut [first, last) into windows: weeks of the days that `recorded` says hold footage, months of empty ones.

    Empty days are searched too, many at once: a calendar that is wrong must not become a gap. The two latest days are
    never taken for empty, since the calendar lags.
    """
    begin = (first - LEAD).replace(microsecond=0)
    end = last.replace(microsecond=0) + (_SECOND if last.microsecond else timedelta(0))
    if end - begin <= ONE_SEARCH:
        return [(begin, end)]
    days = [first.date() + _DAY * number for number in range((last.date() - first.date()).days + 1)]
    windows: list[Window] = []
    for holding, alike in groupby(days, lambda day: day >= days[-1] - _DAY or recorded(day)):
        run, most = list(alike), RECORDED_DAYS if holding else RUN_DAYS
        for part in (run[at : at + most] for at in range(0, len(run), most)):
            start = datetime.combine(part[0], time()) if windows else begin
            windows.append((start, min(datetime.combine(part[-1] + _DAY, time()) - _SECOND, end)))
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
