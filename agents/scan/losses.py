"""What an index listed once and no longer does: told apart from what a recorder overwrites, day by day. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
from pydantic import JsonValue

from monitor.model.span import DAY, SECOND, Millis, Spans, isoformat

HORIZON = 420
"""Days that are remembered."""

WORTH: int = 3600
"""Seconds of footage that make a day one of which a loss is noticed."""

OVERWRITES = 3
"""So many times as fast as time passes a recorder may overwrite its oldest days: its bit rates may have gone up."""

SLACK_DAYS = 2
"""Recorders overwrite whole files and groups of disks in their own order."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Loss:
    """Days that were lost between two readings (UTC days by the recorder's clock)."""

    first_day: date
    last_day: date
    days: int
    seconds: int
    last_seen: Millis
    older_left: bool

    def facts(self) -> dict[str, JsonValue]:
        """Return the facts of the observation."""
        return {
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "days": self.days,
            "seconds": self.seconds,
            "last_seen_at": isoformat(self.last_seen),
            "older_left": self.older_left,
        }


@dataclass(frozen=True)
class _Known:
    """A day as it was last read: seconds of unlocked footage, when, and which day was the oldest then."""

    seconds: int
    seen: Millis
    edge: int


@dataclass
class DayLedger:
    """What is remembered of one camera's footage: its days, each as it was last read whole.

    Readings come as the scan cuts them, in windows that follow each other: a day cut by such an edge is put together.
    """

    days: dict[int, _Known] = field(default_factory=dict)
    _reached: Millis | None = None
    _partial: dict[int, tuple[Millis, Millis]] = field(default_factory=dict)

    @classmethod
    def read(cls, value: JsonValue) -> DayLedger:
        """Read what `written` gave; what can't be read is forgotten."""
        days: dict[int, _Known] = {}
        if isinstance(value, dict):
            for key, item in value.items():
                whole = isinstance(item, list) and len(item) == 3 and all(type(number) is int for number in item)
                if whole and isinstance(item, list) and key.isdigit():
                    seconds, seen, edge = (number for number in item if isinstance(number, int))
                    days[int(key)] = _Known(seconds, seen, edge)
        return cls(days)

    def written(self) -> JsonValue:
        """Return it as JSON."""
        return {str(day): [known.seconds, known.seen, known.edge] for day, known in sorted(self.days.items())}

    def take(self, facts: Mapping[str, JsonValue], at: Millis) -> tuple[Loss | None, bool]:
        """Take an index reading in; return what it shows to be lost, and whether the ledger has changed."""
        window, spans = _spans([facts.get("window")]), _spans(facts.get("spans"))
        if window is None or spans is None or not window:
            return None, False
        whole = self._whole_days(window.tuples()[0], spans)
        if not whole:
            return None, False
        loss = self._lost(whole, at)
        for day, seconds in whole.items():
            self.days[day] = _Known(seconds, at, day)
        today = at // DAY
        self.days = {day: known for day, known in self.days.items() if today - HORIZON <= day and known.seconds > 0}
        edge = min((day for day, known in self.days.items() if known.seconds >= WORTH), default=today)
        for day in whole.keys() & self.days.keys():
            self.days[day] = _Known(self.days[day].seconds, at, min(edge, day))
        # A first scan reads the newest first: what is found to be older was there when the younger was read.
        oldest = min((day for day in whole if whole[day] >= WORTH), default=today)
        for day, known in self.days.items():
            if oldest < known.edge <= day:
                self.days[day] = replace(known, edge=oldest)
        return loss, True

    def _whole_days(self, window: tuple[Millis, Millis], spans: Spans) -> dict[int, int]:
        """Return the seconds of footage of each UTC day that has been read whole by now."""
        start, end = window
        if self._reached != start:
            self._partial = {}
        self._reached = end
        whole = {}
        first = start // DAY
        edges = np.clip(np.arange(first, -(-end // DAY) + 1, dtype=np.int64) * DAY, start, end)
        for day, (lasts, held) in enumerate(zip(np.diff(edges), spans.held_between(edges), strict=True), first):
            before = self._partial.pop(day, (0, 0))
            read, total = before[0] + int(lasts), before[1] + int(held)
            if read >= DAY:
                whole[day] = total // SECOND
            else:
                self._partial[day] = (read, total)
        return whole

    def _lost(self, whole: Mapping[int, int], at: Millis) -> Loss | None:
        lost: dict[int, _Known] = {}
        for day, seconds in whole.items():
            known = self.days.get(day)
            if known is None or known.seconds < WORTH or 2 * seconds >= known.seconds:
                continue
            overwritten = OVERWRITES * (at - known.seen) / DAY + SLACK_DAYS
            if day - known.edge > overwritten:
                lost[day] = known
        if not lost:
            return None
        first, last = min(lost), max(lost)
        left = {**{day: known.seconds for day, known in self.days.items()}, **whole}
        return Loss(
            first_day=_EPOCH + timedelta(days=first),
            last_day=_EPOCH + timedelta(days=last),
            days=len(lost),
            seconds=sum(known.seconds - whole[day] for day, known in lost.items()),
            last_seen=max(known.seen for known in lost.values()),
            older_left=any(day < first and seconds >= WORTH for day, seconds in left.items()),
        )


def _spans(value: JsonValue) -> Spans | None:
    """Read a JSON list of [start, end]; None for anything else."""
    if not isinstance(value, list):
        return None
    pairs = [(item[0], item[1]) for item in value if isinstance(item, list) and len(item) == 2]
    if len(pairs) != len(value) or not all(type(edge) is int and abs(edge) < 2**53 for pair in pairs for edge in pair):
        return None
    return Spans.of([(start, end) for start, end in pairs if isinstance(start, int) and isinstance(end, int)])
