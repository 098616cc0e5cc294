"""Which minute of a camera's footage is proved, and when: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

import numpy as np

from agents.site_file import QuietHours
from monitor.model.clock_offsets import Offset, before_contact
from monitor.model.recordings import RecordingFacts
from monitor.model.span import DAY, HOUR, MINUTE, Millis, Spans

NIGHT = (QuietHours(start=time(1), end=time(5)),)
"""When playback may be asked of a recorder that names no quiet hours."""
BEFORE: Millis = MINUTE // 2
AFTER: Millis = MINUTE
"""Footage that must lie before and after an instant that is played: the edges of files are rounded."""
NEWER: Millis = DAY
"""How old the newer minute is: nobody overwrites it, and no recorder is still writing it."""


@dataclass(frozen=True)
class Minute:
    """An instant that is played: in true time, and by the recorder's clock that stamped it."""

    at: Millis
    stamped: Millis


def is_quiet(local: datetime, hours: Sequence[QuietHours]) -> bool:
    """Tell whether playback may be asked at this local time; without quiet hours, at night."""
    now = local.time()
    return any(
        item.start <= now < item.end if item.start < item.end else now >= item.start or now < item.end
        for item in hours or NIGHT
    )


def far_minute(footage: Spans, far_edge: Millis | None, as_of: Millis, required_days: int) -> Millis | None:
    """Return the minute that far back as is required, or an hour inside the far edge where less is held.

    `footage` is unlocked, in true time; `far_edge` is that of retention, None without one: then the oldest footage stands
    for it. Never the oldest footage, which may be overwritten under our eyes. None where nothing can be played.
    """
    playable = inside(footage)
    reached = footage.clip(far_edge, 2**53) if far_edge is not None else footage
    if reached.start is None:
        return None
    return _first(playable, max(as_of - required_days * DAY, reached.start + HOUR))


def newer_minute(footage: Spans, as_of: Millis, far: Millis) -> Millis | None:
    """Return a minute of a day ago, to be played when the far one doesn't; None where nothing newer can be."""
    playable = inside(footage)
    found = _first(playable, as_of - NEWER)
    if found is None and playable:
        found = max(int(playable.pairs[-1, 0]), int(playable.pairs[-1, 1]) - HOUR)
    return found if found is not None and found > far else None


def inside(footage: Spans) -> Spans:
    """Return the instants that have footage on both sides."""
    pairs = footage.close_gaps(1).pairs + np.array([BEFORE, -AFTER], dtype=np.int64)
    return Spans.of(pairs)


def _first(playable: Spans, at: Millis) -> Millis | None:
    return playable.clip(at, 2**53).start


def minutes(
    reading: RecordingFacts, far_edge: Millis | None, offsets: Sequence[Offset], as_of: Millis, required_days: int
) -> tuple[Minute, Minute | None] | None:
    """Return the far minute and the newer one; None where there is nothing to play."""
    far = far_minute(reading.footage, far_edge, as_of, required_days)
    if far is None:
        return None
    newer = newer_minute(reading.footage, as_of, far)
    return Minute(far, stamped(far, offsets)), None if newer is None else Minute(newer, stamped(newer, offsets))


def stamped(at: Millis, offsets: Sequence[Offset]) -> Millis:
    """Return how the recorder's clock stamped a true instant: by the offset in force then, else as before first contact."""
    in_force = [item for item in offsets if item.seen <= at]
    return at + (in_force[-1].millis if in_force else before_contact(offsets))
