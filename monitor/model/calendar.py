"""From local calendars to spans: days, opening hours, closures, waivers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from monitor.model.inventory import Closure, Inventory, Name, Nap, OpeningHours, Strict, Weekday
from monitor.model.observation import Subject
from monitor.model.span import Int64Array, Millis, Spans, from_millis, to_millis

_WEEKDAYS = tuple(Weekday)

_FIRST_DAY, _LAST_DAY = date(1970, 1, 2), date(9999, 12, 30)
"""Days whose start and end are instants in every time zone."""


class Waiver(Strict):
    """Planned maintenance or an exemption: who granted it, why, and for which span."""

    subject: Subject
    requirement: str | None = None
    start_at: datetime
    end_at: datetime
    by: Name
    reason: Name

    def covers(self, requirement: str, subject: Subject) -> bool:
        """Tell whether this waiver speaks of `requirement` on `subject` (an institution's speaks of all in it)."""
        same = self.subject == subject or self.subject.kind == "institution"
        return same and self.requirement in (None, requirement)

    @property
    def spans(self) -> Spans:
        """The waived time."""
        return Spans.window(to_millis(self.start_at), to_millis(self.end_at))


def local_date(instant: Millis, zone: ZoneInfo) -> date:
    """Return the calendar date of `instant` in `zone`."""
    return from_millis(instant).astimezone(zone).date()


@lru_cache(maxsize=4096)
def day_start(day: date, zone: ZoneInfo) -> Millis:
    """Return the first instant of `day` in `zone`: a day has 23, 24 or 25 hours."""
    return to_millis(datetime(day.year, day.month, day.day, tzinfo=zone))


@lru_cache(maxsize=256)
def day_edges(first: date, last: date, zone: ZoneInfo) -> Int64Array:
    """Return the starts of the days first..last and the end of `last`: shape (days + 1,), UTC milliseconds, read only."""
    count = (last - first).days + 1
    days = (first + timedelta(days=i) for i in range(max(count, 0) + 1))
    edges = np.array([day_start(day, zone) for day in days], dtype=np.int64)
    edges.setflags(write=False)
    return edges


def closure_spans(closures: Iterable[Closure], zone: ZoneInfo) -> Spans:
    """Return the time of whole closed days; a closure without end, written as the last day of all, is one too."""
    known = (item for item in closures if item.to >= _FIRST_DAY and item.start <= _LAST_DAY)
    days = ((max(item.start, _FIRST_DAY), min(item.to, _LAST_DAY)) for item in known)
    return Spans.of([(day_start(first, zone), day_start(last + timedelta(days=1), zone)) for first, last in days])


def opening_spans(hours: OpeningHours, zone: ZoneInfo, start: Millis, end: Millis) -> Spans:
    """Return the opening hours inside [start, end), closures not yet taken away."""
    pairs = []
    day = local_date(start, zone)
    last = local_date(end, zone)
    while day <= last:
        if _WEEKDAYS[day.weekday()] in hours.days:
            opens = to_millis(datetime.combine(day, hours.open, tzinfo=zone))
            closes = to_millis(datetime.combine(day, hours.close, tzinfo=zone))
            pairs.append((opens, closes))
        day += timedelta(days=1)
    return Spans.of(pairs).clip(start, end)


def open_time(inventory: Inventory, start: Millis, end: Millis) -> Spans:
    """Return when the institution is open in [start, end): hours less closures; all of it when no hours are declared."""
    zone = inventory.institution.zone_info
    hours = Spans.window(start, end) if inventory.hours is None else opening_spans(inventory.hours, zone, start, end)
    return hours.subtract(closure_spans(inventory.closures, zone))


def nap_spans(naps: Iterable[Nap], zone: ZoneInfo, start: Millis, end: Millis) -> Spans:
    """Return the nap times inside [start, end), every day; a nap that ends at or before its start ends on the next day."""
    first, last = local_date(start, zone) - timedelta(days=1), local_date(end, zone)
    days = [first + timedelta(days=index) for index in range((last - first).days + 1)]
    pairs = [
        (
            to_millis(datetime.combine(day, nap.start, tzinfo=zone)),
            to_millis(datetime.combine(day + timedelta(days=nap.to <= nap.start), nap.to, tzinfo=zone)),
        )
        for nap in naps
        for day in days
    ]
    return Spans.of(pairs).clip(start, end)


SURELY_OPEN = OpeningHours(open=time(9), close=time(16))
"""The middle of a working day. Who declares no hours may be open at any time: only then light is owed for certain."""


def lit_time(inventory: Inventory, start: Millis, end: Millis) -> Spans:
    """Return when a room has to be lit in [start, end): open time outside nap times; without hours, SURELY_OPEN."""
    if inventory.hours is None:
        inventory = inventory.model_copy(update={"hours": SURELY_OPEN})
    naps = nap_spans(inventory.naps, inventory.institution.zone_info, start, end)
    return open_time(inventory, start, end).subtract(naps)
