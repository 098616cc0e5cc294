"""How many bytes a camera's footage of each local day takes: as the index tells, or estimated from the measured bit rate."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import JsonValue

from agents.recorders.base import Footage
from agents.recorders.sizes import UNTOLD, FileSize, FileSizes
from monitor.model.calendar import day_edges, local_date
from monitor.model.observation import Observation
from monitor.model.span import MINUTE, SECOND, Millis, Spans

MOST_DAYS = 400
EDGE: Millis = MINUTE
"""A window that misses so little of a day holds it whole."""

Days = dict[date, int]


class Rate(NamedTuple):
    """A recorded stream's bit rate as it was measured."""

    at: Millis
    bits_per_second: float


def days_of(footage: Footage, zone: ZoneInfo) -> dict[date, int | None]:
    """Return the bytes of each local day that lies whole in the window: 0 for a day without footage.

    None where any of its files tells no size: a part would look like little. A file over midnight counts by its share.
    """
    if footage.sizes is None:
        return {}
    low, high = footage.window
    first, last = local_date(low, zone), local_date(high, zone)
    edges = [int(edge) for edge in day_edges(first, last, zone)]
    sums = _summed(footage.sizes, edges)
    whole = [start >= low - EDGE and end <= high + EDGE for start, end in pairwise(edges)]
    return {
        first + timedelta(days=index): None if total is None else round(total)
        for index, (total, inside) in enumerate(zip(sums, whole, strict=True))
        if inside
    }


def _summed(sizes: FileSizes, edges: Sequence[Millis]) -> list[float | None]:
    """Return the bytes between each edge and the next."""
    start, end, size = sizes.rows.T
    day = np.searchsorted(edges, start, side="right") - 1
    last = np.searchsorted(edges, end, side="left") - 1
    plain = (size != UNTOLD) & (end > start) & (day == last) & (day >= 0) & (day < len(edges) - 1)
    sums: list[float | None] = np.bincount(day[plain], size[plain], minlength=len(edges) - 1).tolist()
    for item in FileSizes(sizes.rows[~plain]):
        _share_out(item, edges, sums)
    return sums


def _share_out(item: FileSize, edges: Sequence[Millis], sums: list[float | None]) -> None:
    """Add a file's bytes to the days that it lies in."""
    index = max(0, bisect_right(edges, item.start) - 1)
    while index < len(sums) and edges[index] < item.end:
        part = min(item.end, edges[index + 1]) - max(item.start, edges[index])
        known = sums[index]
        if item.bytes is None:
            sums[index] = None
        elif known is not None and part > 0:
            sums[index] = known + item.bytes * part / (item.end - item.start)
        index += 1


def rates_of(main_streams: Sequence[Observation]) -> list[Rate]:
    """Return what was measured of a recorded stream, in order of time."""
    found = []
    for item in main_streams:
        rate = item.facts.get("bit_rate")
        if item.state != "unknown" and isinstance(rate, int | float) and not isinstance(rate, bool) and rate > 0:
            found.append(Rate(item.start, float(rate)))
    return sorted(found)


def estimated(footage: Spans, rates: Sequence[Rate], zone: ZoneInfo, until: Millis) -> Days:
    """Return recorded seconds times the bit rate measured nearest to each day, for whole local days before `until`.

    Empty without a measured rate: then nothing is known.
    """
    if not rates or footage.start is None:
        return {}
    first, last = local_date(footage.start, zone), local_date(until, zone) - timedelta(days=1)
    first = max(first, last - timedelta(days=MOST_DAYS - 1))
    edges = day_edges(first, last, zone)
    found: Days = {}
    for index, held in enumerate(footage.held_between(edges)):
        middle = (int(edges[index]) + int(edges[index + 1])) // 2
        rate = min(rates, key=lambda each: abs(each.at - middle))
        found[first + timedelta(days=index)] = round(int(held) / SECOND * rate.bits_per_second / 8)
    return found


def facts_of(told: Mapping[date, int | None], guessed: Mapping[date, int], today: date) -> dict[str, JsonValue] | None:
    """Return the facts of WRITTEN for the days before `today`: as told, and as guessed where a day isn't told.

    {"first_day": date, "bytes": [n, ...]}, and "estimated_days": how many of them are guesses, where any are. None
    without any day, and where one among them is neither told nor guessed.
    """
    sizes: dict[date, int] = {**guessed, **{day: size for day, size in told.items() if size is not None}}
    oldest = today - timedelta(days=MOST_DAYS)
    listed = sorted(day for day in {*sizes, *told} if oldest <= day < today)
    if not listed:
        return None
    first, last = listed[0], listed[-1]
    days = [first + timedelta(days=index) for index in range((last - first).days + 1)]
    if any(day not in sizes for day in days):
        return None
    line: list[JsonValue] = [sizes[day] for day in days]
    guesses = sum(told.get(day) is None for day in days)
    facts: dict[str, JsonValue] = {"first_day": first.isoformat(), "bytes": line}
    return {**facts, "estimated_days": guesses} if guesses else facts
