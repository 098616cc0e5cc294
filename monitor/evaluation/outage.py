"""Outages: what a camera's and a recorder's time line tells, with the recorder's index filling what nobody watched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monitor.evaluation.basis import camera_subject
from monitor.model.calendar import open_time
from monitor.model.ledger import Facts, StateSpan, Timeline
from monitor.model.observation import StreamCause
from monitor.model.recordings import LISTED_LATE
from monitor.model.regulation import Uptime
from monitor.model.span import MINUTE, Basis, Millis, Spans

INDEX_LAG: Millis = LISTED_LATE
"""The newest footage of a healthy recorder lags by up to 95 s: only what is older than this may be called a hole."""

SITE_POWER_TOLERANCE: Millis = 3 * MINUTE
"""A recorder and an agent that lose power together don't come back at the same second."""


@dataclass(frozen=True)
class Outage:
    """[start, end) in which the subject was down; end is None while it lasts. Being unknown doesn't end it."""

    start: Millis
    end: Millis | None
    cause: str | None


def time_in(spans: Iterable[StateSpan], *states: str) -> Spans:
    """Return the time in any of `states`."""
    return Spans.of([(span.start, span.end) for span in spans if span.state in states])


def effective_timeline(facts: Facts, camera_id: str, start: Millis, end: Millis) -> tuple[StateSpan, ...]:
    """Return a camera's states tiling [start, end): what was watched, and what the index tells of the rest.

    The index speaks only of time that is otherwise unknown: footage there means up; a hole means down, with the cause
    `site_power` when the agent was off for the same time.
    """
    known = [
        _cut(s, start, end) for s in facts.streams.get(camera_id, Timeline()).spans if s.end > start and s.start < end
    ]
    spans = [span for span in known if span.state != "unknown"]
    free = Spans.of([(span.start, span.end) for span in spans]).gaps(start, end)
    up, holes, told = _from_index(facts, camera_id, free)
    off = _off(facts) if holes else Spans.empty()
    spans += [StateSpan(a, b, "up", None, Basis.INDEX) for a, b in up.tuples()]
    spans += [StateSpan(a, b, "down", _hole_cause(off, a, b, b == told), Basis.INDEX) for a, b in holes.tuples()]
    rest = free.subtract(up).subtract(holes)
    for span in (item for item in known if item.state == "unknown"):
        spans += [span._replace(start=a, end=b) for a, b in rest.clip(span.start, span.end).tuples()]
    spans += [StateSpan(a, b, "unknown") for a, b in rest.subtract(time_in(known, "unknown")).tuples()]
    return tuple(sorted(spans, key=lambda span: span.start))


def whole_outage(facts: Facts, timeline: Timeline, start: Millis, camera_id: str | None = None) -> Millis:
    """Return from when to look at a subject so that an outage in progress at `start` is seen from its beginning.

    That is the end of the last time before `start` that it was up, by its time line or by its camera's index; or
    `start` itself where it was up then, or nothing earlier is known of it.
    """
    up = [min(span.end, start) for span in timeline.spans if span.state == "up" and span.start < start]
    earliest = [span.start for span in timeline.spans[:1]]
    first = facts.inventory_seen.get(camera_subject(camera_id)) if camera_id else None
    reading = facts.recordings.get(camera_id or "")
    if reading is not None and first is not None:
        footage = reading.footage.clip(first, start).union(reading.locked.clip(first, start))
        before = footage.subtract(timeline.where("down"))
        up += [] if before.end is None else [before.end]
        earliest.append(first)
    return min(start, max(up) if up else min(earliest, default=start))


def _cut(span: StateSpan, start: Millis, end: Millis) -> StateSpan:
    return span._replace(start=max(span.start, start), end=min(span.end, end))


def _from_index(facts: Facts, camera_id: str, free: Spans) -> tuple[Spans, Spans, Millis | None]:
    """Return (up, holes, told) that a camera's index tells of `free` time, since the agent first saw the camera.

    `told` is until when the index can tell a hole: one that reaches it may last on.
    """
    reading = facts.recordings.get(camera_id)
    first = facts.inventory_seen.get(camera_subject(camera_id))
    if reading is None or first is None or free.start is None or free.end is None:
        return Spans.empty(), Spans.empty(), None
    near = free.start - 2 * MINUTE, free.end + 2 * MINUTE  # far enough to see a forgiven hole's other side
    footage = reading.footage.clip(*near).union(reading.locked.clip(*near)).close_gaps(MINUTE)
    # Footage that is there speaks at once; only a *hole* needs the lag, for the newest footage is late.
    up = footage.intersect(free).clip(first, facts.as_of)
    judged = reading.scanned.clip(first, reading.read_at - INDEX_LAG)
    return up, judged.intersect(free).subtract(footage), judged.end


def _off(facts: Facts) -> Spans:
    """Return when the agent was off between two times that it ran."""
    running = Spans.of([(s.start, s.end) for line in facts.agents.values() for s in line.spans])
    if running.start is None or running.end is None:
        return Spans.empty()
    return running.gaps(running.start, running.end)


def _hole_cause(off: Spans, start: Millis, end: Millis, lasts: bool) -> str:
    """Return site_power when the agent was off for the same time as the hole, else no_footage.

    A hole that `lasts` reaches until where the index can tell one at all: its end is not known yet, and no reason
    against the agent's return some minutes later.
    """
    a, b = off.pairs[:, 0], off.pairs[:, 1]
    ended = b - end >= -SITE_POWER_TOLERANCE if lasts else np.abs(b - end) <= SITE_POWER_TOLERANCE
    near = (np.abs(a - start) <= SITE_POWER_TOLERANCE) & ended
    same = near & (2 * (np.minimum(b, end) - np.maximum(a, start)) >= end - start)
    return StreamCause.SITE_POWER if same.any() else StreamCause.NO_FOOTAGE


def recorder_timeline(facts: Facts, recorder_id: str, start: Millis, end: Millis) -> tuple[StateSpan, ...]:
    """Return a recorder's states in [start, end): its reach, and `down` by site_power where all its cameras say so."""
    spans = [
        _cut(s, start, end) for s in facts.reach.get(recorder_id, Timeline()).spans if s.end > start and s.start < end
    ]
    mine = [item.id for item in facts.inventory.cameras if item.recorder == recorder_id and item.id in facts.recordings]
    power: Spans | None = None
    for camera_id in mine:
        line = effective_timeline(facts, camera_id, start, end)
        here = Spans.of([(s.start, s.end) for s in line if s.cause == StreamCause.SITE_POWER])
        power = here if power is None else power.intersect(here)
    free = (power or Spans.empty()).subtract(time_in(spans, "up", "down"))
    spans = [span for span in spans if span.state != "unknown" or not free.clip(span.start, span.end)]
    spans += [StateSpan(a, b, "down", StreamCause.SITE_POWER, Basis.INDEX) for a, b in free.tuples()]
    return tuple(sorted(spans, key=lambda span: span.start))


def outages(spans: Iterable[StateSpan]) -> list[Outage]:
    """Return every outage in order: it ends when the subject is up again, not when nobody looked."""
    found: list[Outage] = []
    current: StateSpan | None = None
    for span in sorted(spans, key=lambda s: s.start):
        if span.state == "down" and current is None:
            current = span
        elif span.state == "up" and current is not None:
            found.append(Outage(current.start, span.start, current.cause))
            current = None
    if current is not None:
        found.append(Outage(current.start, None, current.cause))
    return found


def too_long(outage: Outage, down_and_due: Spans, requirement: Uptime, facts: Facts) -> bool:
    """Tell whether an outage exceeds what the pack allows, in or out of opening hours; only down, due time counts."""
    stop = facts.as_of if outage.end is None else outage.end
    down = down_and_due.clip(outage.start, stop)
    allowed = min(requirement.longest_outage_in_hours, requirement.longest_outage_out_of_hours)
    if down.total() <= max(allowed, requirement.grace):  # at any hour: of a flapping camera's thousands, nearly all
        return False
    opened = (
        open_time(facts.inventory, outage.start, stop) if facts.inventory.hours else Spans.window(outage.start, stop)
    )
    in_hours = down.intersect(opened).total()
    out_of_hours = down.total() - in_hours
    return in_hours > requirement.longest_outage_in_hours or out_of_hours > requirement.longest_outage_out_of_hours
