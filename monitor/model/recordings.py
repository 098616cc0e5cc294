"""An index's readings put together: what a recorder holds of one camera, in true time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from monitor.model.clock_offsets import PLAUSIBLE_FROM, Offset, correct, never_right, undated
from monitor.model.observation import Observation
from monitor.model.span import MINUTE, Millis, Spans

LISTED_LATE: Millis = 3 * MINUTE
"""Recorders list their newest footage so late: of its last minutes an index tells footage, and never a hole."""

TAIL: Millis = LISTED_LATE + 2 * MINUTE
"""So far after its window a reading's footage counts."""


@dataclass(frozen=True)
class RecordingFacts:
    """What a recorder holds of one camera, in corrected time.

    `footage` is the unlocked footage, `locked` clips apart; both lie inside `scanned`, the time whose index was read.
    """

    footage: Spans
    locked: Spans
    scanned: Spans
    read_at: Millis
    """When the index was last read."""
    expires: Millis
    observation: Observation
    clock_unverified: Spans = field(default_factory=Spans.empty)
    """Footage that a lost clock dated before the year 2000 and whose true time nobody knows, as it is dated: held by
    nobody's count."""


@dataclass(frozen=True)
class Index:
    """What readings of one camera's index come to, in the recorder's own time: nothing is corrected or cut yet.

    Readings in order of time may be put together in parts: `Index.of(a + b)` is `Index.of(a).then(Index.of(b))`. So
    what old ones come to can be kept, and only new ones are read.
    """

    since: tuple[Millis, Millis, str]
    """The place of the first reading in the order of time (`Observation.sort_key`)."""
    upto: tuple[Millis, Millis, str]
    """The place of the last one."""
    begun: Millis
    """The earliest beginning of any reading or refusal."""
    refusal: Observation | None
    """The last of all, where it is a refusal to read the index."""
    newest: Observation | None
    """The newest reading that says something."""
    footage: Spans
    locked: Spans
    scanned: Spans

    @classmethod
    def of(cls, items: Sequence[Observation]) -> Index:
        """Fold index readings, given in order of time: each newer one replaces what older ones said inside its window.

        What a reading lists outside its window counts for nothing, but for the footage that follows it at once (TAIL).
        Raises ValueError for no readings at all.
        """
        if not items:
            raise ValueError("an index of no readings")
        footage, locked, scanned = [Spans.empty()], [Spans.empty()], Spans.empty()
        newest: Observation | None = None
        for item in reversed(items):  # from the newest on: each adds only what no newer one has spoken of
            parsed = _parse_reading(item)
            if parsed is None:
                continue
            window, spans, held = parsed
            (low, high), *_ = window.tuples()
            fresh = Spans.window(low, high + TAIL).subtract(scanned)
            footage.append(spans.intersect(fresh))
            locked.append(held.intersect(fresh))
            scanned = scanned.union(window)
            newest = newest or item
        begun = min(item.start for item in items)
        together = (Spans.empty().union(*footage), Spans.empty().union(*locked), scanned)
        refusal = items[-1] if items[-1].state == "unknown" else None
        return cls(items[0].sort_key(), items[-1].sort_key(), begun, refusal, newest, *together)

    def then(self, later: Index) -> Index:
        """Return both as one; every reading of `later` comes after this one's, which ValueError insists on."""
        if later.since <= self.upto:
            raise ValueError("readings of an index have to be put together in order of time")
        return Index(
            self.since,
            later.upto,
            min(self.begun, later.begun),
            later.refusal,
            later.newest or self.newest,
            self.footage.put(later.scanned, later.footage),
            self.locked.put(later.scanned, later.locked),
            self.scanned.union(later.scanned),
        )

    def facts(self, offsets: Sequence[Offset], until: Millis) -> RecordingFacts | None:
        """Return what is held in true time by the clock's `offsets`, up to `until`; None when no reading says anything."""
        if self.newest is None:
            return None
        lost = undated(self.footage, offsets).union(undated(self.locked, offsets))
        apart = lost if offsets else Spans.empty()  # without offsets an index is as it was read, to be corrected later
        return RecordingFacts(
            footage=correct(self.footage.subtract(apart), offsets).clip(0, until),
            locked=correct(self.locked.subtract(apart), offsets).clip(0, until),
            scanned=correct(self.scanned, offsets).subtract(self._untold(offsets)).clip(0, until),
            read_at=self.newest.start,
            expires=self.newest.holds_until,
            observation=self.newest,
            clock_unverified=lost,
        )

    def _untold(self, offsets: Sequence[Offset]) -> Spans:
        """Return the time of which an index says nothing, though it was read, until a lost clock is set right.

        What was recorded under it before first contact is dated like 1970: since the last footage with a real date a hole
        is none that anybody saw.
        """
        if not never_right(offsets):
            return Spans.empty()
        real = self.footage.union(self.locked).clip(PLAUSIBLE_FROM, offsets[0].seen)
        return Spans.window(real.end if real.end is not None else 0, offsets[0].seen)


def read_recordings(items: Sequence[Observation], offsets: Sequence[Offset], until: Millis) -> RecordingFacts | None:
    """Fold index readings, given in order of time, into what is held in true time.

    A reading's facts are {"window": [start, end], "spans": [[start, end], ...], "locked": [[start, end], ...]} in the
    recorder's own time as UTC milliseconds; `offsets` are that clock's, as of `clock_offsets`. What lies after `until`
    counts for nothing. Returns None when none can be read.
    """
    return Index.of(items).facts(offsets, until) if items else None


def dated(reading: RecordingFacts) -> RecordingFacts:
    """Cut what the index tells of the time after it was read, which nobody can have seen, and before all recorders."""
    names = ("footage", "locked", "scanned")
    return replace(reading, **{name: getattr(reading, name).clip(PLAUSIBLE_FROM, reading.read_at) for name in names})


def window_read(item: Observation) -> Spans:
    """Return the window that an index reading speaks of; nothing where it says nothing."""
    parsed = _parse_reading(item)
    return Spans.empty() if parsed is None else parsed[0]


def _parse_reading(item: Observation) -> tuple[Spans, Spans, Spans] | None:
    """Read the facts of an index reading; None for anything that isn't one: bad input is unknown, never zero."""
    if item.state == "unknown":
        return None
    window, spans, locked = (item.facts.get(key) for key in ("window", "spans", "locked"))
    try:
        read = _spans([window]), _spans(spans), _spans(locked)
    except ValueError:
        return None
    return read if read[0] else None


def _spans(value: Any) -> Spans:
    """Read a JSON list of [start, end]. Raises ValueError for anything else; quick, for there may be thousands."""
    if not isinstance(value, list) or not set(map(type, value)) <= {list} or not set(map(len, value)) <= {2}:
        raise ValueError("not a list of pairs")
    flat = list(chain.from_iterable(value))
    if not set(map(type, flat)) <= {int}:
        raise ValueError("not whole milliseconds")
    try:
        pairs = np.array(flat, dtype=np.int64).reshape(-1, 2)
    except OverflowError as error:
        raise ValueError("beyond any calendar") from error
    if len(pairs) and (pairs.max() >= 2**53 or pairs.min() <= -(2**53)):
        raise ValueError("beyond any calendar")
    return Spans.of(pairs)
