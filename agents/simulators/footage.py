"""What a recorder holds of one channel: segments that grow while it records, age out, and leave holes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

Spans = list[tuple[float, float]]
"""Half-open (start, end) in epoch seconds, UTC."""

_DAY: Final = 86_400.0


@dataclass(frozen=True, order=True)
class Segment:
    """One recorded file: true epoch seconds, and what the recorder's clock was off by when it was written."""

    start: float
    end: float
    locked: bool = False
    clock_offset_seconds: float = 0.0
    bytes_per_second: float = 64_000.0


class Footage:
    """The segments of one channel. All instants are true epoch seconds."""

    def __init__(
        self,
        segments: Iterable[Segment] = (),
        *,
        lag_seconds: float = 20.0,
        segment_seconds: float = 3600.0,
        keep_seconds: float | None = None,
    ) -> None:
        """Newest footage can be searched `lag_seconds` after it happened; older than `keep_seconds` is overwritten."""
        self.lag_seconds, self.segment_seconds, self.keep_seconds = lag_seconds, segment_seconds, keep_seconds
        self.bytes_per_second = 64_000.0
        """Of what is recorded from now on."""
        self._closed = sorted(segments)
        self._open_since: float | None = None
        self._open_offset = 0.0

    @property
    def recording(self) -> bool:
        """Say whether a segment is growing."""
        return self._open_since is not None

    def start(self, at: float, clock_offset_seconds: float = 0.0) -> None:
        """Begin to record at `at`; a recording that runs already goes on."""
        if self._open_since is None:
            self._open_since, self._open_offset = at, clock_offset_seconds

    def stop(self, at: float) -> None:
        """End the growing segment at `at`."""
        if self._open_since is None:
            return
        self._roll_over(at)
        self._close(at)
        self._open_since = None

    def step_clock(self, at: float, clock_offset_seconds: float) -> None:
        """The recorder's clock is another one from `at` on: the growing file is closed, as recorders do."""
        if self._open_since is not None:
            self.stop(at)
            self.start(at, clock_offset_seconds)

    def add(self, *segments: Segment) -> None:
        """Put closed segments into the index."""
        self._closed = sorted([*self._closed, *segments])

    def erase(self, start: float, end: float) -> None:
        """Lose everything within [start, end): a formatted disk, a deletion."""
        self._closed = [part for segment in self._closed for part in _without(segment, start, end)]

    def segments(self, now: float, low: float = -math.inf, high: float = math.inf) -> list[Segment]:
        """Return what a search finds at `now`, oldest first: segments that touch [low, high] by the recorder's clock."""
        self._roll_over(now)
        newest = now - self.lag_seconds
        oldest = -math.inf if self.keep_seconds is None else now - self.keep_seconds
        growing = (
            []
            if self._open_since is None
            else [Segment(self._open_since, now, False, self._open_offset, self.bytes_per_second)]
        )
        return [
            part
            for segment in [*self._closed, *growing]
            if segment.end + segment.clock_offset_seconds >= low
            and segment.start + segment.clock_offset_seconds <= high
            for part in _clip(segment, oldest, newest)
        ]

    def _roll_over(self, now: float) -> None:
        while self._open_since is not None and now - self._open_since >= self.segment_seconds:
            border = self._open_since + self.segment_seconds
            self._close(border)
            self._open_since = border

    def _close(self, at: float) -> None:
        if self._open_since is not None and at > self._open_since:
            self._closed.append(Segment(self._open_since, at, False, self._open_offset, self.bytes_per_second))
            self._closed.sort()


def _clip(segment: Segment, oldest: float, newest: float) -> list[Segment]:
    if segment.locked or (oldest <= segment.start and segment.end <= newest):
        return [segment]
    start, end = max(segment.start, oldest), min(segment.end, newest)
    return [replace(segment, start=start, end=end)] if start < end else []


def _without(segment: Segment, start: float, end: float) -> list[Segment]:
    parts = [(segment.start, min(segment.end, start)), (max(segment.start, end), segment.end)]
    if segment.end <= start or segment.start >= end:
        return [segment]
    return [replace(segment, start=low, end=high) for low, high in parts if low < high]


def midnight_days_ago(now: float, zone: tzinfo, days: int) -> float:
    """Return the epoch second at which the calendar day `days` before today began in `zone`."""
    day = datetime.fromtimestamp(now, zone).date() - timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


@dataclass(frozen=True)
class Cutting:
    """How a recorder cuts footage into files: lengths between two bounds; every nth file overlaps or is listed twice."""

    segment_seconds: tuple[float, float] = (1800.0, 3600.0)
    overlap_every: int = 0
    duplicate_every: int = 0
    clock_offset_seconds: float = 0.0


def continuous(
    start: float,
    end: float,
    *,
    seed: int,
    holes: Sequence[tuple[float, float]] = (),
    locked: Sequence[tuple[float, float]] = (),
    cutting: Cutting = Cutting(),
) -> list[Segment]:
    """Cut [start, end) less `holes` into seeded touching segments that end on whole seconds.

    A segment whose middle lies in a span of `locked` is locked.
    """
    chance = random.Random(seed)
    segments: list[Segment] = []
    for low, high in less(start, end, holes):
        at = low
        while at < high:
            until = min(high, math.floor(at + chance.uniform(*cutting.segment_seconds)))
            number = len(segments) + 1
            early = 2.0 if at > low and _is_nth(number, cutting.overlap_every) else 0.0
            fast = any(first <= (at + until) / 2 < last for first, last in locked)
            segment = Segment(at - early, until, locked=fast, clock_offset_seconds=cutting.clock_offset_seconds)
            segments.extend([segment] * (2 if _is_nth(number, cutting.duplicate_every) else 1))
            at = until
    return segments


def _is_nth(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


def less(start: float, end: float, holes: Sequence[tuple[float, float]]) -> Spans:
    """Return [start, end) without `holes`."""
    parts: Spans = [(start, end)]
    for first, last in holes:
        parts = [
            (low, high)
            for before, after in parts
            for low, high in ((before, min(after, first)), (max(before, last), after))
            if low < high
        ]
    return parts


def motion_clips(
    start: float, end: float, *, seed: int, every_seconds: float = 900.0, clip_seconds: float = 40.0
) -> list[Segment]:
    """Return the seeded short clips that a recorder keeps when it records on motion only."""
    chance = random.Random(seed)
    segments: list[Segment] = []
    at = start + chance.uniform(0, every_seconds)
    while at < end:
        until = min(end, at + chance.uniform(0.5, 1.5) * clip_seconds)
        segments.append(Segment(math.floor(at), math.floor(until)))
        at = until + chance.uniform(0.3, 1.7) * every_seconds
    return segments
