"""The fold: observations in any order, with any copies, become the facts that verdicts stand on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from monitor.model.calendar import Waiver
from monitor.model.inventory import Inventory
from monitor.model.observation import Evidence, Kind, Observation, Subject
from monitor.model.proof import Proof, read_proofs
from monitor.model.span import HOUR, MINUTE, SECOND, Basis, Millis, Spans
from monitor.model.view import Approval

CLOCK_JITTER: Millis = 2 * SECOND
"""Offsets that differ by no more than this are one offset: a request's own delay is no clock step."""

LISTED_LATE: Millis = 3 * MINUTE
"""Recorders list their newest footage so late: of its last minutes an index tells footage, and never a hole."""

TAIL: Millis = LISTED_LATE + 2 * MINUTE
"""So far after its window a reading's footage counts."""

MOST_OFFSET_SECONDS = 1e10
"""A clock that starts in 1970 is off by 2e9 s; what is beyond this is no clock."""

PLAUSIBLE_FROM: Millis = 946_684_800_000
"""The year 2000: no recorder is older, and what it dates before was recorded under a lost clock (an empty battery)."""

ONE_BOOT: Millis = HOUR
"""Lost clocks whose offsets differ by no more are one that drifts; others began in 1970 at different times."""

_PRECEDENCE = (Basis.WATCHED, Basis.SAMPLED, Basis.RECORDER_SAYS, Basis.INDEX, Basis.ATTESTED)


_SUBJECTS: dict[Kind, str | None] = {
    Kind.STREAM: "camera",
    Kind.REACH: "recorder",
    Kind.VIEW: "camera",
    Kind.AGENT: "agent",
    Kind.RECORDINGS: "camera",
    Kind.MAIN_STREAM: "camera",
    Kind.WRITTEN: "camera",
    Kind.PROOF: "camera",
    Kind.CHANNELS: "recorder",
    Kind.DISKS: "recorder",
    Kind.CLOCK: "recorder",
    Kind.IDENTITY: None,
    Kind.RECORDING_MODE: "camera",
    Kind.EXPIRY: "camera",
    Kind.TIME_SYNC: "recorder",
    Kind.ALARM_INPUTS: "recorder",
    Kind.FAULT_NOTICES: "recorder",
    Kind.STORAGE_MODE: "recorder",
    Kind.FOOTAGE_LOST: "camera",
    Kind.INVENTORY: "institution",
    Kind.BASELINE: "camera",
    Kind.ATTESTATION: None,
    Kind.DROPPED: "agent",
    Kind.STORAGE: "agent",
}
"""Of what each kind of observation speaks; said of anything else it is no evidence. None: of any subject."""


_UNKNOWN = 3
"""The weight of knowing nothing: it yields to everything else."""

_HINDSIGHT = frozenset({"looped"})
"""States that are known only afterwards: each look at a recording that is played as live shows a good picture."""


_INSTANTS = frozenset(
    {
        Kind.MAIN_STREAM, Kind.WRITTEN, Kind.CHANNELS, Kind.DISKS, Kind.CLOCK, Kind.IDENTITY, Kind.INVENTORY,
        Kind.RECORDING_MODE, Kind.EXPIRY, Kind.TIME_SYNC, Kind.ALARM_INPUTS, Kind.FAULT_NOTICES, Kind.STORAGE_MODE,
    }
)  # fmt: skip
"""Kinds of which the newest observation is what counts."""


@dataclass(frozen=True)
class StateSpan:
    """A stretch of one state."""

    start: Millis
    end: Millis
    state: str
    cause: str | None = None
    basis: Basis | None = None


@dataclass(frozen=True)
class Timeline:
    """What is known of one subject over time: disjoint states, what is missing between them is unknown."""

    spans: tuple[StateSpan, ...] = ()
    expires: Millis | None = None
    """Until when the last state may be presumed to hold."""
    last: Observation | None = None
    """The newest observation: the evidence of the present."""

    def where(self, *states: str) -> Spans:
        """Return the time in any of `states`."""
        return Spans.of([(span.start, span.end) for span in self.spans if span.state in states])

    def at(self, instant: Millis) -> StateSpan | None:
        """Return the state at `instant`: the span there, or the last one while it has not expired; else None."""
        for span in reversed(self.spans):
            if span.start <= instant < span.end:
                return span
            if span.end <= instant:
                fresh = self.expires is not None and instant <= self.expires and span is self.spans[-1]
                return span if fresh else None
        return None


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
class Instant:
    """The newest observation of a kind that is an instant, and whether it has expired."""

    observation: Observation
    expired: bool

    @property
    def readable(self) -> bool:
        """Tell whether it says something: read (not unknown) and not expired."""
        return not self.expired and self.observation.state != "unknown"


@dataclass(frozen=True)
class Facts:
    """All that is known of one institution at `as_of`."""

    as_of: Millis
    inventory: Inventory
    inventory_seen: Mapping[Subject, Millis] = field(default_factory=dict)
    """When each declared subject was first seen by the agent: it bounds what `commissioned` may claim."""
    streams: Mapping[str, Timeline] = field(default_factory=dict)
    views: Mapping[str, Timeline] = field(default_factory=dict)
    reach: Mapping[str, Timeline] = field(default_factory=dict)
    agents: Mapping[str, Timeline] = field(default_factory=dict)
    recordings: Mapping[str, RecordingFacts] = field(default_factory=dict)
    recordings_unknown: Mapping[str, Observation] = field(default_factory=dict)
    """The newest refusal to read a camera's index, where it is newer than the newest reading."""
    losses: Mapping[str, tuple[Observation, ...]] = field(default_factory=dict)
    """What was lost of each camera's footage after the agent had seen it, in order of time."""
    latest: Mapping[tuple[Kind, Subject], Instant] = field(default_factory=dict)
    proofs: Mapping[str, tuple[Proof, ...]] = field(default_factory=dict)
    """By camera, the oldest first: the minutes of its footage that were played, or could not be."""
    offsets: Mapping[str, tuple[Offset, ...]] = field(default_factory=dict)
    """By recorder: how its clock was off."""
    attestations: Mapping[tuple[str, Subject], tuple[Observation, ...]] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    approvals: Mapping[str, tuple[Approval, ...]] = field(default_factory=dict)
    """Every approval of a view of each camera up to `as_of`, in order of time."""

    def instant(self, kind: Kind, subject: Subject) -> Instant | None:
        """Return the newest observation of `kind` on `subject`."""
        return self.latest.get((kind, subject))


def fold(
    observations: Iterable[Observation],
    as_of: Millis,
    *,
    inventory: Inventory | None = None,
    waivers: Sequence[Waiver] = (),
) -> Facts | None:
    """Fold observations into facts as of an instant: order-free, idempotent.

    What was seen after `as_of` is left out, spans are cut there. `inventory` (the approved one) wins over the
    declared one. Returns None when no inventory is known: nothing can be judged then.
    """
    by_subject: dict[tuple[Kind, Subject], list[Observation]] = defaultdict(list)
    for item in _in_order(o for o in observations if o.start <= as_of and _SUBJECTS[o.kind] in {o.subject.kind, None}):
        by_subject[item.kind, item.subject].append(item)
    declared = inventory or _declared(by_subject)
    if declared is None:
        return None
    clocks = {s.id: clock_offsets(items) for (kind, s), items in by_subject.items() if kind is Kind.CLOCK}
    readings, refusals = _recordings(by_subject, declared, clocks, as_of)
    instants: dict[tuple[Kind, Subject], Instant] = {
        (kind, subject): Instant(items[-1], items[-1].expires < as_of)
        for (kind, subject), items in by_subject.items()
        if kind in _INSTANTS
    }
    return Facts(
        as_of=as_of,
        inventory=declared,
        inventory_seen=_first_seen(by_subject),
        streams=_timelines(by_subject, Kind.STREAM, as_of),
        views=_timelines(by_subject, Kind.VIEW, as_of),
        reach=_timelines(by_subject, Kind.REACH, as_of),
        agents=_timelines(by_subject, Kind.AGENT, as_of),
        recordings=readings,
        recordings_unknown=refusals,
        losses={s.id: tuple(items) for (kind, s), items in by_subject.items() if kind is Kind.FOOTAGE_LOST},
        latest=instants,
        proofs={
            s.id: found
            for (kind, s), items in by_subject.items()
            if kind is Kind.PROOF and (found := read_proofs(items, as_of))
        },
        offsets={name: tuple(steps) for name, steps in clocks.items()},
        attestations=_attestations(by_subject),
        waivers=tuple(waivers),
    )


def _in_order(observations: Iterable[Observation]) -> list[Observation]:
    """Return each observation once, in the order of `Observation.sort_key`."""
    unique = {item.digest: item for item in observations}
    return [item for _, item in sorted(unique.items(), key=lambda pair: (pair[1].end, pair[1].start, pair[0]))]


def first_seen(facts: Facts, seen: Mapping[Subject, Millis]) -> Facts:
    """Return the facts with what is known from elsewhere of when each subject was first seen: the earlier one holds."""
    merged = {subject: min(at, facts.inventory_seen.get(subject, at)) for subject, at in seen.items()}
    return replace(facts, inventory_seen={**facts.inventory_seen, **merged})


def with_approvals(facts: Facts, approvals: Mapping[str, Iterable[Approval]]) -> Facts:
    """Return the facts with what was approved of each camera's views up to their instant."""
    known = {
        camera: tuple(sorted((_as_of(item, facts.as_of) for item in items if item.at <= facts.as_of), key=_approved_at))
        for camera, items in approvals.items()
    }
    return replace(facts, approvals={camera: items for camera, items in known.items() if items})


def _approved_at(item: Approval) -> tuple[Millis, str]:
    return item.at, item.view


def _as_of(item: Approval, as_of: Millis) -> Approval:
    later = item.settled_at is not None and item.settled_at > as_of
    return replace(item, settled_at=None) if later else item


def _declared(by_subject: Mapping[tuple[Kind, Subject], list[Observation]]) -> Inventory | None:
    items = [item for (kind, _), group in by_subject.items() if kind is Kind.INVENTORY for item in group]
    for item in sorted(items, key=Observation.sort_key, reverse=True):
        try:
            return Inventory.model_validate(item.facts)
        except ValidationError:
            continue  # a newer agent may declare what this version can't read: the last readable one stands
    return None


def _first_seen(by_subject: Mapping[tuple[Kind, Subject], list[Observation]]) -> dict[Subject, Millis]:
    seen: dict[Subject, Millis] = {}
    for (_, subject), items in by_subject.items():
        first = min(item.start for item in items)
        seen[subject] = min(first, seen.get(subject, first))
    return seen


def _timelines(
    by_subject: Mapping[tuple[Kind, Subject], list[Observation]], kind: Kind, as_of: Millis
) -> dict[str, Timeline]:
    return {subject.id: _laid(items, as_of) for (item_kind, subject), items in by_subject.items() if item_kind is kind}


def timeline(observations: Sequence[Observation], as_of: Millis) -> Timeline:
    """Lay observations of one subject over each other into disjoint states, cut at `as_of`.

    Where they overlap, the better basis wins (watched, sampled, recorder_says, index, attested); within a basis
    frames that did arrive (up, ok) win over their absence, and what was known afterwards wins over them. What shows
    something wins over unknown, whatever its basis.
    """
    return _laid(_in_order(observations), as_of)


def _laid(ordered: Sequence[Observation], as_of: Millis) -> Timeline:
    groups: dict[tuple[int, int, str, str | None, Basis | None], list[tuple[Millis, Millis]]] = defaultdict(list)
    for item in (o for o in ordered if min(o.end, as_of) > o.start):
        rank = _PRECEDENCE.index(item.basis) if item.basis in _PRECEDENCE else len(_PRECEDENCE)
        weight = _weight(item.state)
        key = (rank if weight < _UNKNOWN else 2 * len(_PRECEDENCE), weight, item.state, item.cause, item.basis)
        groups[key].append((item.start, min(item.end, as_of)))
    taken = Spans.empty()
    spans: list[StateSpan] = []
    for key in sorted(groups, key=lambda k: (k[0], k[1], k[2], k[3] or "", k[4] or "")):
        here = Spans.of(groups[key])
        free = here.subtract(taken)
        spans += [StateSpan(start, end, key[2], key[3], key[4]) for start, end in free.tuples()]
        taken = taken.union(here)
    spans.sort(key=lambda span: span.start)
    if not spans:
        return Timeline()
    # The present is presumed by what showed it: another observation that ends at the same instant lends it nothing.
    end, shown = spans[-1].end, (spans[-1].state, spans[-1].cause, spans[-1].basis)
    showing = [o for o in ordered if o.start < end == min(o.end, as_of) and (o.state, o.cause, o.basis) == shown]
    return Timeline(tuple(spans), max(item.expires for item in showing), showing[-1])


def _weight(state: str) -> int:
    """Return which of two states of one basis is believed: the lower one."""
    if state in _HINDSIGHT:
        return 0
    return _UNKNOWN if state == "unknown" else 1 if state in {"up", "ok"} else 2


def _recordings(
    by_subject: Mapping[tuple[Kind, Subject], list[Observation]],
    inventory: Inventory,
    clocks: Mapping[str, list[Offset]],
    as_of: Millis,
) -> tuple[dict[str, RecordingFacts], dict[str, Observation]]:
    readings: dict[str, RecordingFacts] = {}
    refusals: dict[str, Observation] = {}
    for (kind, subject), items in by_subject.items():
        if kind is not Kind.RECORDINGS:
            continue
        camera = inventory.camera(subject.id)
        offsets = clocks.get(camera.recorder or "", []) if camera else []
        reading = read_recordings(items, offsets, as_of)
        if reading is not None:
            readings[subject.id] = _dated(reading)
        if items[-1].state == "unknown":
            refusals[subject.id] = items[-1]
    return readings, refusals


def read_recordings(items: Sequence[Observation], offsets: Sequence[Offset], until: Millis) -> RecordingFacts | None:
    """Fold index readings, given in order of time: each newer one replaces what older ones said inside its window.

    A reading's facts are {"window": [start, end], "spans": [[start, end], ...], "locked": [[start, end], ...]} in the
    recorder's own time as UTC milliseconds; `offsets` are that clock's, as of `clock_offsets`. What a reading lists
    outside its window, but for the footage that follows it at once (TAIL), or after `until`, counts for nothing.
    Returns None when none can be read.
    """
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
    if newest is None:
        return None
    undated = _undated(Spans.empty().union(*footage, *locked), offsets)
    apart = undated if offsets else Spans.empty()  # without offsets an index is as it was read, to be corrected later
    return RecordingFacts(
        footage=correct(Spans.empty().union(*footage).subtract(apart), offsets).clip(0, until),
        locked=correct(Spans.empty().union(*locked).subtract(apart), offsets).clip(0, until),
        scanned=correct(scanned, offsets).clip(0, until),
        read_at=newest.start,
        expires=newest.expires,
        observation=newest,
        clock_unverified=undated,
    )


def _dated(reading: RecordingFacts) -> RecordingFacts:
    """Cut what the index tells of the time after it was read, which nobody can have seen, and before all recorders."""
    names = ("footage", "locked", "scanned")
    return replace(reading, **{name: getattr(reading, name).clip(PLAUSIBLE_FROM, reading.read_at) for name in names})


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
        offset = round(seconds * SECOND)
        if not steps or abs(offset - steps[-1].millis) > CLOCK_JITTER:
            steps.append(Offset(last, item.start, 0 if abs(offset) <= CLOCK_JITTER else offset))
        last = item.start
    return steps


def offset_seconds(clock: Observation) -> float | None:
    """Return what a clock reading says, in seconds (recorder minus true); None where it says nothing usable."""
    seconds = clock.facts.get("offset_seconds")
    if clock.state == "unknown" or isinstance(seconds, bool) or not isinstance(seconds, int | float):
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
        before = next((offset.millis for offset in offsets if not _is_lost(offset)), 0)
        ranges.append((PLAUSIBLE_FROM, offsets[0].seen + before, before))
    return ranges


def _is_lost(offset: Offset) -> bool:
    return offset.seen + offset.millis < PLAUSIBLE_FROM


def _undated(spans: Spans, offsets: Sequence[Offset]) -> Spans:
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


def _attestations(
    by_subject: Mapping[tuple[Kind, Subject], list[Observation]],
) -> dict[tuple[str, Subject], tuple[Observation, ...]]:
    found: dict[tuple[str, Subject], tuple[Observation, ...]] = {}
    for (kind, subject), items in by_subject.items():
        if kind is not Kind.ATTESTATION:
            continue
        for what in {str(item.facts.get("what")) for item in items}:
            found[what, subject] = tuple(item for item in items if str(item.facts.get("what")) == what)
    return found


def evidence_of(observation: Observation, text: str = "") -> Evidence:
    """Return the evidence that an observation is: kind, source, instant, digest."""
    kind = "recording_spans" if observation.kind is Kind.RECORDINGS else observation.kind.value
    return Evidence(kind, observation.source.value, observation.end, observation.digest, text or observation.detail)
