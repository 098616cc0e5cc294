"""A recorder's clock by its readings: which of its offsets dated which footage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

from monitor.model.observation import Observation
from monitor.model.span import HOUR, SECOND, Millis, Spans

CLOCK_JITTER: Millis = 2 * SECOND
"""Offsets that differ by no more than this are one offset: a request's own delay is no clock step."""

MOST_OFFSET_SECONDS = 1e10
"""A clock that starts in 1970 is off by 2e9 s; what is beyond this is no clock."""

PLAUSIBLE_FROM: Millis = 946_684_800_000
"""The year 2000: no recorder is older, and what it dates before was recorded under a lost clock (an empty battery)."""

ONE_BOOT: Millis = HOUR
"""Lost clocks whose offsets differ by no more are one that drifts; others began in 1970 at different times."""


T = TypeVar("T")


class Offset(NamedTuple):
    """A recorder's clock was off by `millis` (recorder minus true) from some instant in (after, seen] on."""

    after: Millis
    """The last reading that showed another offset."""
    seen: Millis
    """The first reading that showed this one."""
    millis: Millis


def clock_offsets(clocks: Sequence[Observation]) -> list[Offset]:
    """Return the offsets of a recorder's clock from its readings in order of time; readings within jitter are one."""
    steps: list[Offset] = []
    last = 0
    for item in clocks:
        seconds = offset_seconds(item)
        if seconds is None:
            continue
        offset = _stepped(seconds, steps[-1].millis if steps else None)
        if offset is not None:
            steps.append(Offset(last, item.start, offset))
        last = item.start
    return steps


def telling(readings: Iterable[tuple[float | None, T]]) -> Iterator[T]:
    """Return which of a recorder's readings, given in order of time beside what each says (`said_seconds`), come to the same as all of them.

    Of each offset the first one and the last, and the first and the last of all: a clock is read each hour for years.
    """
    current: Millis | None = None
    usable: list[T] = []
    """The last reading of the offset, unless it was given."""
    last: list[T] = []
    """The last one of all, likewise."""
    for number, (seconds, item) in enumerate(readings):
        offset = None if seconds is None else _stepped(seconds, current)
        if offset is not None:
            yield from usable
            current = offset
        given = offset is not None or number == 0
        if given:
            yield item
        last = [] if given else [item]
        if seconds is not None:
            usable = last
    yield from last


def _stepped(seconds: float, before: Millis | None) -> Millis | None:
    """Return the offset of a reading that shows another one than `before`; None where it shows the same."""
    offset = round(seconds * SECOND)
    if before is not None and abs(offset - before) <= CLOCK_JITTER:
        return None
    return 0 if abs(offset) <= CLOCK_JITTER else offset


def offset_seconds(clock: Observation) -> float | None:
    """Return what a clock reading says, in seconds (recorder minus true); None where it says nothing usable."""
    return said_seconds(clock.state, clock.facts)


def said_seconds(state: Any, facts: Mapping[str, Any]) -> float | None:
    """Return the same of a reading's state and facts."""
    seconds = facts.get("offset_seconds")
    if state == "unknown" or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return seconds if abs(seconds) <= MOST_OFFSET_SECONDS else None


def correct(spans: Spans, offsets: Sequence[Offset]) -> Spans:
    """Turn a recorder's own time into true time by the offset in force when each part was recorded.

    Before first contact the first known offset is assumed. When exactly the clock stepped is not known: between two
    readings footage may have been stamped by either offset, so it is read by both, and the step itself leaves no hole.
    A lost clock dates nothing after the year 2000: what is dated so was recorded before it was lost, and is read by the
    first offset that is none of a lost clock, or by none. What is dated before 2000 is read by lost clocks alone.
    """
    parts = [spans.clip(low, high).shift(-millis) for low, high, millis in _ranges(offsets)]
    return Spans.empty().union(*parts) if parts else spans


def _ranges(offsets: Sequence[Offset]) -> list[tuple[Millis, Millis, Millis]]:
    """Return (low, high, offset): by which offset what is dated from `low` to `high` is read."""
    ranges = []
    for index, offset in enumerate(offsets):
        low = offset.after + offset.millis if index else -(2**53)
        high = offsets[index + 1].seen + offset.millis if index + 1 < len(offsets) else 2**53
        if _is_lost(offset):
            ranges.append((low, min(high, PLAUSIBLE_FROM), offset.millis))
        else:
            ranges.append((max(low, PLAUSIBLE_FROM), high, offset.millis))
    if offsets and _is_lost(offsets[0]):
        before = before_contact(offsets)
        ranges.append((PLAUSIBLE_FROM, offsets[0].seen + before, before))
    return ranges


def before_contact(offsets: Sequence[Offset]) -> Millis:
    """Return by which offset footage from before first contact is read: the first that is none of a lost clock, else 0."""
    return next((offset.millis for offset in offsets if not _is_lost(offset)), 0)


def _is_lost(offset: Offset) -> bool:
    return offset.seen + offset.millis < PLAUSIBLE_FROM


def never_right(offsets: Sequence[Offset]) -> bool:
    """Tell whether the clock was read, and lost each time: what it recorded before first contact has no date yet."""
    return bool(offsets) and all(_is_lost(offset) for offset in offsets)


def undated(spans: Spans, offsets: Sequence[Offset]) -> Spans:
    """Return what a lost clock dated and no offset explains: none that was read, one before first contact, or two."""
    explained = Spans.of([(low, high) for low, high, _ in _ranges(offsets) if high <= PLAUSIBLE_FROM])
    lost = spans.clip(-(2**53), PLAUSIBLE_FROM)
    if offsets and _is_lost(offsets[0]):
        explained = explained.clip(offsets[0].seen + offsets[0].millis, PLAUSIBLE_FROM)
    return lost.subtract(explained).union(lost.intersect(_dated_twice(offsets)))


def _dated_twice(offsets: Sequence[Offset]) -> Spans:
    """Return the dates that a clock showed more than once since it was lost: which time it was, nothing tells."""
    lost = [one for one in _ranges(offsets) if one[1] <= PLAUSIBLE_FROM]
    return Spans.of(
        [
            (max(one[0], other[0]), min(one[1], other[1]))
            for one, other in combinations(lost, 2)
            if abs(one[2] - other[2]) > ONE_BOOT
        ]
    )
