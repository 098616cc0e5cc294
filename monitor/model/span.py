"""Spans of time, half-open [start, end), as int64 arrays of UTC milliseconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Millis = int
"""UTC milliseconds since 1970-01-01T00:00:00Z."""

SECOND: Millis = 1000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR

Int64Array = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLI = timedelta(milliseconds=1)
_FIRST: Millis = -62_135_596_800_000
_LAST: Millis = 253_402_300_799_999
"""The years 1 to 9999, which are all that a calendar shows."""
_EMPTY: Int64Array = np.empty((0, 2), dtype=np.int64)
_EMPTY.setflags(write=False)

_FEW = 4
"""So many spans are laid over a set one by one; more of them all at once."""


class Basis(StrEnum):
    """How a span is known."""

    WATCHED = "watched"
    SAMPLED = "sampled"
    RECORDER_SAYS = "recorder_says"
    INDEX = "index"
    ATTESTED = "attested"


def to_millis(instant: datetime) -> Millis:
    """Return the UTC milliseconds of an aware instant (exact; sub-millisecond part floored).

    Raises ValueError for a naive instant: a time without a zone is not an instant.
    """
    if instant.tzinfo is None:
        msg = f"naive time {instant!r}: an instant needs a time zone"
        raise ValueError(msg)
    return (instant - _EPOCH) // _MILLI


def from_millis(millis: Millis) -> datetime:
    """Return the aware UTC instant of `millis`."""
    return _EPOCH + timedelta(milliseconds=int(millis))


def isoformat(millis: Millis) -> str:
    """Return `millis` as RFC 3339 in UTC with a Z; milliseconds only where there are any. Raises OverflowError like `from_millis`."""
    day, rest = divmod(int(millis), DAY)
    seconds, part = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    ends = f".{part:03d}Z" if part else "Z"
    return f"{_day_text(day)}T{hour:02d}:{minute:02d}:{second:02d}{ends}"


def isoformats(instants: Int64Array) -> list[str]:
    """Return `isoformat` of each of `instants` (shape (n,)), in a sixth of the time. Raises OverflowError like it."""
    if len(instants) and not (int(instants.min()) >= _FIRST and int(instants.max()) <= _LAST):
        raise OverflowError("an instant beyond the calendar")
    texts = np.datetime_as_string(instants.astype("datetime64[ms]"), unit="ms").tolist()
    return [f"{text[:-4]}Z" if text.endswith(".000") else f"{text}Z" for text in texts]


@lru_cache(maxsize=1024)
def _day_text(day: int) -> str:
    """Return the date of a day since 1970-01-01: ninety days of holes name the same few hundred again and again."""
    return from_millis(day * DAY).date().isoformat()


def parse_instant(text: str) -> Millis:
    """Return the UTC milliseconds of an RFC 3339 text. Raises ValueError when it names no zone."""
    return to_millis(datetime.fromisoformat(text))


def _normalised(pairs: Int64Array) -> Int64Array:
    """Sort, drop empty pairs, merge what overlaps or touches."""
    pairs = pairs.compress(pairs[:, 1] > pairs[:, 0], axis=0)  # a fifth of what indexing takes
    if len(pairs) == 0:
        return _EMPTY
    if len(pairs) > 1:
        if np.any(pairs[1:, 0] < pairs[:-1, 0]):
            pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        reach = np.maximum.accumulate(pairs[:, 1])
        first = np.empty(len(pairs), dtype=bool)
        first[0] = True
        np.greater(pairs[1:, 0], reach[:-1], out=first[1:])
        starts = pairs[first, 0]
        last = np.append(np.flatnonzero(first)[1:] - 1, len(pairs) - 1)
        pairs = np.column_stack((starts, reach[last]))
    out = np.ascontiguousarray(pairs, dtype=np.int64)
    out.setflags(write=False)
    return out


def _sealed(pairs: Int64Array) -> Int64Array:
    """Take pairs that are sorted, disjoint, non-touching and not empty already: nothing is looked at again."""
    out = np.ascontiguousarray(pairs, dtype=np.int64)
    out.setflags(write=False)
    return out


@dataclass(frozen=True, eq=False)
class Spans:
    """A set of instants as sorted, disjoint, non-touching spans.

    `pairs` has shape (n, 2), int64, UTC milliseconds; each row is [start, end).
    """

    pairs: Int64Array

    @classmethod
    def of(cls, pairs: Iterable[tuple[Millis, Millis]] | Int64Array) -> Spans:
        """Build from (start, end) pairs in any order, overlapping or not; empty ones vanish."""
        array = pairs if isinstance(pairs, np.ndarray) else np.array(list(pairs), dtype=np.int64)
        return cls(_normalised(array.reshape(-1, 2).astype(np.int64, copy=False)))

    @classmethod
    def empty(cls) -> Spans:
        """Return no time at all."""
        return cls(_EMPTY)

    @classmethod
    def window(cls, start: Millis, end: Millis) -> Spans:
        """Return the one span [start, end), or none when it is empty."""
        return cls.of([(start, end)])

    def __eq__(self, other: object) -> bool:
        """Two sets are equal when they hold the same instants."""
        return isinstance(other, Spans) and np.array_equal(self.pairs, other.pairs)

    def __hash__(self) -> int:
        """Hash by the instants held."""
        return hash(self.pairs.tobytes())

    def __len__(self) -> int:
        """Return the number of disjoint spans."""
        return len(self.pairs)

    def __bool__(self) -> bool:
        """Tell whether any instant is held."""
        return len(self.pairs) > 0

    def tuples(self) -> list[tuple[Millis, Millis]]:
        """Return the spans as plain (start, end) tuples."""
        return [(start, end) for start, end in self.pairs.tolist()]

    @property
    def start(self) -> Millis | None:
        """The first instant held."""
        return int(self.pairs[0, 0]) if len(self.pairs) else None

    @property
    def end(self) -> Millis | None:
        """The end of the last span."""
        return int(self.pairs[-1, 1]) if len(self.pairs) else None

    def total(self) -> Millis:
        """Return the length of all spans together, in milliseconds."""
        return int((self.pairs[:, 1] - self.pairs[:, 0]).sum())

    def union(self, *others: Spans) -> Spans:
        """Return the instants in any of the sets."""
        filled = [item for item in (self, *others) if item]
        if len(filled) < 2:
            return filled[0] if filled else Spans.empty()
        return Spans(_normalised(np.concatenate([item.pairs for item in filled])))

    def clip(self, start: Millis, end: Millis) -> Spans:
        """Return the part inside [start, end)."""
        if start >= end:
            return Spans.empty()
        first, last = self._ended(start, "right"), self._begun(end, "left")
        if first >= last:
            return Spans.empty()
        if self.pairs[first, 0] >= start and self.pairs[last - 1, 1] <= end:
            return self if last - first == len(self.pairs) else Spans(_sealed(self.pairs[first:last]))
        inner = self.pairs[first:last].copy()
        inner[0, 0], inner[-1, 1] = max(inner[0, 0], start), min(inner[-1, 1], end)
        return Spans(_sealed(inner))

    def _begun(self, instant: Millis, side: Literal["left", "right"]) -> int:
        """Return how many spans begin before `instant` (left), or at it too (right)."""
        return (self._edges_before(instant, side) + 1) // 2

    def _ended(self, instant: Millis, side: Literal["left", "right"]) -> int:
        """Return how many spans end before `instant` (left), or at it too (right)."""
        return self._edges_before(instant, side) // 2

    def _edges_before(self, instant: Millis, side: Literal["left", "right"]) -> int:
        # Starts and ends in turn only rise, as they lie in memory. A column alone would be copied at each search.
        return int(np.searchsorted(self.pairs.reshape(-1), instant, side=side))

    def put(self, window: Spans, inside: Spans) -> Spans:
        """Return this set without `window`, and with `inside`: only what lies near the two is looked at."""
        if not window:
            return self.union(inside)
        low, high = int(window.pairs[0, 0]), int(window.pairs[-1, 1])
        if inside:
            low, high = min(low, int(inside.pairs[0, 0])), max(high, int(inside.pairs[-1, 1]))
        # What ends before `low` or begins after `high` touches nothing of the rest, and stays as it is.
        first, last = self._ended(low, "left"), self._begun(high, "right")
        near = Spans(_sealed(self.pairs[first:last])).subtract(window).union(inside)
        return Spans(_sealed(np.concatenate((self.pairs[:first], near.pairs, self.pairs[last:]))))

    def gaps(self, start: Millis, end: Millis) -> Spans:
        """Return the part of [start, end) that is not held."""
        if start >= end:
            return Spans.empty()
        inner = self.clip(start, end).pairs
        edges = np.empty((len(inner) + 1, 2), dtype=np.int64)
        edges[0, 0], edges[-1, 1] = start, end
        edges[1:, 0], edges[:-1, 1] = inner[:, 1], inner[:, 0]
        # Only where the set begins or ends with the window is there nothing before or after it.
        return Spans(_sealed(edges[int(edges[0, 1] <= start) : len(edges) - int(edges[-1, 0] >= end)]))

    def intersect(self, other: Spans) -> Spans:
        """Return the instants in both sets."""
        if not self or not other:
            return Spans.empty()
        if len(other) <= _FEW:
            return self._inside(other)
        if len(self) <= _FEW:
            return other._inside(self)
        start = max(int(self.pairs[0, 0]), int(other.pairs[0, 0]))
        end = min(int(self.pairs[-1, 1]), int(other.pairs[-1, 1]))
        return self.gaps(start, end).union(other.gaps(start, end)).gaps(start, end)

    def _inside(self, few: Spans) -> Spans:
        """Return the instants in both sets, one clip for each span of `few`: what many spans hold isn't gone through."""
        parts = [self.clip(start, end) for start, end in few.pairs.tolist()]
        if len(parts) == 1:
            return parts[0]
        return Spans(_sealed(np.concatenate([part.pairs for part in parts])))  # apart, as the spans of `few` are

    def subtract(self, other: Spans) -> Spans:
        """Return the instants of this set that are not in `other`."""
        if not self or not other:
            return self
        start, end = int(self.pairs[0, 0]), int(self.pairs[-1, 1])
        return self.intersect(other.gaps(start, end))

    def close_gaps(self, tolerance: Millis) -> Spans:
        """Return the set with holes of at most `tolerance` counted as held."""
        if len(self.pairs) < 2:
            return self
        wide = np.flatnonzero(self.pairs[1:, 0] - self.pairs[:-1, 1] > tolerance)
        closed = np.empty((len(wide) + 1, 2), dtype=np.int64)
        closed[0, 0], closed[-1, 1] = self.pairs[0, 0], self.pairs[-1, 1]
        closed[1:, 0], closed[:-1, 1] = self.pairs[wide + 1, 0], self.pairs[wide, 1]
        return Spans(_sealed(closed))

    def shift(self, millis: Millis) -> Spans:
        """Return the set moved by `millis`."""
        return Spans(_sealed(self.pairs + np.int64(millis))) if millis and self else self

    def held_before(self, instants: Int64Array) -> Int64Array:
        """Return, for each of `instants` (shape (n,)), the milliseconds held before it."""
        if not len(self.pairs):
            return np.zeros(len(instants), dtype=np.int64)
        starts, ends = self.pairs[:, 0], self.pairs[:, 1]
        done = np.concatenate(([0], np.cumsum(ends - starts)))
        index = np.searchsorted(starts, instants, side="right")
        inside = np.where(index > 0, np.minimum(instants - starts[index - 1], (ends - starts)[index - 1]), 0)
        return np.asarray(done[np.maximum(index - 1, 0)] + inside, dtype=np.int64)

    def held_between(self, edges: Int64Array) -> Int64Array:
        """Return the milliseconds held in each [edges[i], edges[i+1]); shape (len(edges) - 1,)."""
        return np.diff(self.held_before(edges))

    def ratio(self, start: Millis, end: Millis) -> float | None:
        """Return the held share of [start, end), 0..1; None for an empty window (0 of 0 is unknown)."""
        if start >= end:
            return None
        return self.clip(start, end).total() / (end - start)
