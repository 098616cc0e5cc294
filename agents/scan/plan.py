"""Which stretch of a camera's index to read next, by what was read before. Pure; all windows by the recorder's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from monitor.model.calendar import day_edges, day_start, local_date
from monitor.model.clock_offsets import PLAUSIBLE_FROM
from monitor.model.recordings import LISTED_LATE
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans

Window = tuple[Millis, Millis]

HORIZON: Millis = 400 * DAY
"""What is older is never asked for."""

MARGIN: Millis = 2 * DAY
"""Beyond the required days: the day N days ago is looked at whole, in any time zone."""

PART_DAYS = 14
"""What a first scan reads at once at most: so much is read again after a kill."""

OVERLAP: Millis = 2 * HOUR
"""So far back the new stretch begins: files are listed late, and grow."""

BEYOND: Millis = MINUTE
"""So far beyond the recorder's present is asked."""

NEW_AT_ONCE: Millis = 2 * DAY
"""A longer stretch of news is no news: the agent was off, and the time is read as missing."""

RECHECK_DAYS = 7
EDGE_DAYS = 2
LEAST: Millis = MINUTE
"""A shorter stretch that was not read is no question's worth."""


class Read(NamedTuple):
    """A window of a camera's index, and when it was read (by the agent's clock)."""

    low: Millis
    high: Millis
    at: Millis


def wanted_from(present: Millis, required_days: int, earliest: Millis | None) -> Millis:
    """Return from when on the index counts: the required days and two more, or all that is held, at most HORIZON."""
    due = present - required_days * DAY - MARGIN
    held = due if earliest is None or earliest < PLAUSIBLE_FROM else min(due, earliest)
    return max(present - HORIZON, held)


def missing(wanted: Window, read: Sequence[Read]) -> Spans:
    """Return what of `wanted` was never read, slivers left out."""
    known = Spans.of([(one.low, one.high) for one in read])
    return Spans.of([span for span in known.gaps(*wanted).tuples() if span[1] - span[0] >= LEAST])


def share_read(wanted: Window, read: Sequence[Read]) -> float:
    """Return how much of `wanted` was read, 0..1; 1 for an empty window."""
    length = wanted[1] - wanted[0]
    return 1.0 if length <= 0 else 1.0 - missing(wanted, read).total() / length


def newest_part(left: Spans, most: Millis, zone: ZoneInfo) -> Window:
    """Return the newest part of what is left to read, in whole local days, but no further than `most`.

    `left` holds something. The newest comes first: other judgements wait for it, and the far edge moves meanwhile. Shortly
    after midnight only minutes that are listed late lie beyond yesterday: they are read with it.
    """
    start, end = left.tuples()[-1]
    last = local_date(end - 1, zone)
    first = max(local_date(start, zone), last - timedelta(days=PART_DAYS - 1))
    end = day_start(last + timedelta(days=1), zone)
    return day_start(first, zone), most if end >= most - LISTED_LATE - BEYOND else end


def news(present: Millis, passed: Millis, read_to: Millis) -> list[Window]:
    """Return what is new: `passed` ms after the recorder's clock showed `read_to`, it shows `present`.

    Where its clock was set meanwhile, that is two stretches: footage was dated by the old clock first, then by the new.
    """
    back = min(passed, NEW_AT_ONCE) + OVERLAP
    stretches = [(present - back, present + BEYOND)]
    if abs(present - passed - read_to) > OVERLAP / 2:
        stretches.append((read_to - OVERLAP, read_to + min(passed, NEW_AT_ONCE) + BEYOND))
    return Spans.of(stretches).tuples()


def recent(present: Millis, since: Millis, zone: ZoneInfo) -> Window:
    """Return yesterday (or the day of `since`, if that is longer ago) and today so far, in one reading.

    What was filled in late is seen, many small readings become one, and yesterday is read whole.
    """
    day = min(local_date(present, zone) - timedelta(days=1), local_date(since, zone))
    earliest = local_date(present, zone) - timedelta(days=PART_DAYS)
    return day_start(max(day, earliest), zone), present + BEYOND


def stalest(wanted: Window, read: Sequence[Read], zone: ZoneInfo) -> Window | None:
    """Return a week of what was last read longest ago, the oldest days first; None where nothing was read.

    Whole local days; what lies outside `wanted` (a clock that was lost) is read again in its turn.
    """
    ages: list[Read] = []
    known = Spans.empty()
    for one in sorted(read, key=lambda each: each.at, reverse=True):
        ages += [Read(a, b, one.at) for a, b in Spans.window(one.low, one.high).subtract(known).tuples()]
        known = known.union(Spans.window(one.low, one.high))
    kept = [one for one in ages if (one.high > wanted[0] or one.low < PLAUSIBLE_FROM) and one.high - one.low >= LEAST]
    if not kept:
        return None
    oldest = min(kept, key=lambda each: (each.at, each.low))
    start = max(oldest.low, wanted[0]) if oldest.high > wanted[0] else oldest.low
    day = local_date(start, zone)
    return day_start(day, zone), day_start(day + timedelta(days=RECHECK_DAYS), zone)


def edge_day(footage: Spans, zone: ZoneInfo) -> Millis | None:
    """Return the start of the local day on which footage begins in earnest; None without any.

    A clip that was left behind is no edge: the first day counts that holds at least half of what a usual day holds.
    """
    if footage.start is None or footage.end is None:
        return None
    first, last = local_date(footage.start, zone), local_date(footage.end, zone)
    edges = day_edges(first, last, zone)
    held = footage.held_between(edges)
    usual = float(np.median(held[held > 0]))
    return int(edges[int(np.argmax(held >= usual / 2))])
