"""The fold: observations in any order, with any copies, become the facts that verdicts stand on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from monitor.model.calendar import Waiver, closure_spans
from monitor.model.clock_offsets import Offset, clock_offsets
from monitor.model.inventory import Closure, Inventory
from monitor.model.observation import Evidence, Kind, Observation, StreamCause, Subject
from monitor.model.proof import Proof, read_proofs
from monitor.model.recordings import Index, RecordingFacts, dated
from monitor.model.span import Basis, Int64Array, Millis, Spans
from monitor.model.view import Approval

_CLOSURES = TypeAdapter(tuple[Closure, ...])

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
    Kind.TWIN: "camera",
    Kind.INVENTORY: "institution",
    Kind.BASELINE: "camera",
    Kind.ATTESTATION: None,
    Kind.DROPPED: "agent",
    Kind.STORAGE: "agent",
}
"""Of what each kind of observation speaks; said of anything else it is no evidence. None: of any subject."""


_AFTERWARDS = 0
_GOOD = 1
_BAD = 2
_UNKNOWN = 3
"""The weight of knowing nothing: it yields to everything else."""

_BY_THE_AGENTS_CLOCK = frozenset({Basis.WATCHED, Basis.SAMPLED, Basis.RECORDER_SAYS})
"""By these the agent says when something was so; an index has its recorder's times."""

_HINDSIGHT = frozenset({"looped"})
"""States that are known only afterwards: each look at a recording that is played as live shows a good picture."""


_INSTANTS = frozenset(
    {
        Kind.MAIN_STREAM, Kind.WRITTEN, Kind.CHANNELS, Kind.DISKS, Kind.CLOCK, Kind.IDENTITY, Kind.INVENTORY,
        Kind.RECORDING_MODE, Kind.EXPIRY, Kind.TIME_SYNC, Kind.ALARM_INPUTS, Kind.FAULT_NOTICES, Kind.STORAGE_MODE,
        Kind.TWIN,
    }
)  # fmt: skip
"""Kinds of which the newest observation is what counts."""


class StateSpan(NamedTuple):
    """A stretch of one state."""

    start: Millis
    end: Millis
    state: str
    cause: str | None = None
    basis: Basis | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Stretches:
    """When one subject was told to be in one state, by the same words each time, without what else was said: years of it are a few arrays."""

    kind: Kind
    subject: Subject
    state: str
    cause: str | None
    basis: Basis | None
    pairs: Int64Array
    """[start, end) of each, shape (n, 2), UTC ms, in any order."""


@dataclass(frozen=True)
class Timeline:
    """What is known of one subject over time: disjoint states, what is missing between them is unknown."""

    spans: tuple[StateSpan, ...] = ()
    expires: Millis | None = None
    """Until when the last state may be presumed to hold."""
    last: Observation | None = None
    """The newest observation: the evidence of the present."""
    denied: Spans = field(default_factory=Spans.empty)
    """When something else than up or ok was told by the very basis by which that counts: it was said otherwise afterwards,
    or before."""

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
    closed_late: Spans = field(default_factory=Spans.empty)
    """Closed time that was declared when it was past: none of what the agent's first declaration says, nor of an approved inventory."""
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
    indexes: Mapping[str, Index] | None = None,
    stretches: Iterable[Stretches] = (),
    twice: Spans | None = None,
) -> Facts | None:
    """Fold observations into facts as of an instant: order-free, idempotent.

    What was seen after `as_of` is left out, spans are cut there. `inventory` (the approved one) wins over the
    declared one. Returns None when no inventory is known: nothing can be judged then. `indexes` are what index readings
    come to that aren't among the observations, by camera; all of a camera's readings among them are later ones.
    `stretches` are spans that need not be among the observations, but for the evidence of the present: of those that end last
    of their subject, cut at `as_of`, and come first of these (`precedence`; all of them in time that was told twice) the newest,
    and the one that holds longest. `twice` is what those that tell that a clock was set come to (`told_twice`).
    """
    by_subject: dict[tuple[Kind, Subject], list[Observation]] = defaultdict(list)
    for item in _in_order(o for o in observations if o.start <= as_of and _SUBJECTS[o.kind] in {o.subject.kind, None}):
        by_subject[item.kind, item.subject].append(item)
    declared = inventory or _declared(by_subject)
    if declared is None:
        return None
    lines = _lines(stretches, as_of)
    agents = (item for (kind, _), items in by_subject.items() if kind is Kind.AGENT for item in items)
    again = told_twice(agents).union(twice or Spans.empty())
    clocks = {s.id: clock_offsets(items) for (kind, s), items in by_subject.items() if kind is Kind.CLOCK}
    together = _together(by_subject, indexes or {})
    readings, refusals = _recordings(together, declared, clocks, as_of)
    instants: dict[tuple[Kind, Subject], Instant] = {
        (kind, subject): Instant(items[-1], items[-1].holds_until < as_of)
        for (kind, subject), items in by_subject.items()
        if kind in _INSTANTS
    }
    return Facts(
        as_of=as_of,
        inventory=declared,
        inventory_seen=_first_seen(by_subject, lines, together),
        streams=_timelines(by_subject, lines, Kind.STREAM, as_of, again),
        views=_timelines(by_subject, lines, Kind.VIEW, as_of, again),
        reach=_timelines(by_subject, lines, Kind.REACH, as_of, again),
        agents=_timelines(by_subject, lines, Kind.AGENT, as_of, again),
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
        closed_late=_closed_late(by_subject, declared) if inventory is None else Spans.empty(),
    )


_BySubject = Mapping[tuple[Kind, Subject], Sequence[Observation]]
_Lines = Mapping[tuple[Kind, Subject], Sequence[Stretches]]


def _lines(stretches: Iterable[Stretches], as_of: Millis) -> _Lines:
    """Return what was told by `as_of` of each subject, without its evidence."""
    lines: dict[tuple[Kind, Subject], list[Stretches]] = defaultdict(list)
    for item in stretches:
        told = item.pairs[item.pairs[:, 0] <= as_of]
        if len(told) and _SUBJECTS[item.kind] in {item.subject.kind, None}:
            lines[item.kind, item.subject].append(replace(item, pairs=told))
    return lines


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


def _closed_late(by_subject: Mapping[tuple[Kind, Subject], list[Observation]], declared: Inventory) -> Spans:
    """Return which of the declared closed time was past when it was first declared. What the first declaration says was so before."""
    if not declared.closures:
        return Spans.empty()
    zone, before, known, late = declared.institution.zone_info, None, None, Spans.empty()
    items = [item for (kind, _), group in by_subject.items() if kind is Kind.INVENTORY for item in group]
    for item in sorted(items, key=Observation.sort_key):
        told = item.facts.get("closures", [])
        if told == before:
            continue  # the service declares the same at each start
        try:
            closed = closure_spans(_CLOSURES.validate_python(told), zone)
        except ValidationError:
            continue
        if known is not None:
            late = late.union(closed.subtract(known).clip(0, item.start))
        before, known = told, closed if known is None else known.union(closed)
    return late.intersect(closure_spans(declared.closures, zone))


def _first_seen(by_subject: _BySubject, lines: _Lines, together: Mapping[str, Index]) -> dict[Subject, Millis]:
    seen = {Subject(kind="camera", id=camera): index.begun for camera, index in together.items()}
    first = [(subject, min(item.start for item in items)) for (_, subject), items in by_subject.items()]
    first += [(subject, min(int(item.pairs[:, 0].min()) for item in items)) for (_, subject), items in lines.items()]
    for subject, at in first:
        seen[subject] = min(at, seen.get(subject, at))
    return seen


def _together(
    by_subject: Mapping[tuple[Kind, Subject], list[Observation]], indexes: Mapping[str, Index]
) -> dict[str, Index]:
    """Return each camera's index: what its readings come to, those that were put together before and those after."""
    together = dict(indexes)
    for (kind, subject), items in by_subject.items():
        if kind is Kind.RECORDINGS:
            later = Index.of(items)
            before = indexes.get(subject.id)
            together[subject.id] = later if before is None else before.then(later)
    return together


def _timelines(by_subject: _BySubject, lines: _Lines, kind: Kind, as_of: Millis, twice: Spans) -> dict[str, Timeline]:
    subjects = dict.fromkeys(subject for item_kind, subject in (*by_subject, *lines) if item_kind is kind)
    return {
        subject.id: _laid(by_subject.get((kind, subject), ()), as_of, twice, lines.get((kind, subject), ()))
        for subject in subjects
    }


def told_twice(observations: Iterable[Observation]) -> Spans:
    """Return the time that an agent went through more than once, as its clock was set back."""
    return Spans.of(
        [
            (item.start, was)
            for item in observations
            if item.kind is Kind.AGENT and item.cause == StreamCause.CLOCK_SET
            if type(was := item.facts.get("was_at")) is int and was > item.start
        ]
    )


def timeline(observations: Sequence[Observation], as_of: Millis, twice: Spans | None = None) -> Timeline:
    """Lay observations of one subject over each other into disjoint states, cut at `as_of`.

    Where they overlap, the better basis wins (watched, sampled, recorder_says, index, attested); within a basis
    frames that did arrive (up, ok) win over their absence, and what was known afterwards wins over them. What shows
    something wins over unknown, whatever its basis. In time that was told `twice` (`told_twice`) a fault and its absence
    were both seen, one after the other, and which of them belongs there is unknown: neither an outage that is gone, nor
    one that is still on.
    """
    return _laid(_in_order(observations), as_of, twice or Spans.empty())


_Group = tuple[int, int, str, str | None, Basis | None]
"""What orders what is laid over each other: (rank, weight, state, cause, basis), the lowest wins."""

Precedence = tuple[int, int, str, str, str, bool]
"""The same, as it is compared."""


def _laid(ordered: Sequence[Observation], as_of: Millis, twice: Spans, lines: Sequence[Stretches] = ()) -> Timeline:
    told = _told(ordered, lines, as_of)
    unclear = _unclear(told, twice)
    spans = _seen_from_above(told, unclear)
    if not spans:
        return Timeline()
    denied = _denied(told)
    # The present is presumed by what showed it: another observation that ends at the same instant lends it nothing.
    end, shown = spans[-1].end, (spans[-1].state, spans[-1].cause, spans[-1].basis)
    ending = [o for o in ordered if o.start < end == min(o.end, as_of)]
    showing = [o for o in ending if (o.state, o.cause, o.basis) == shown or unclear.clip(end - 1, end)]
    if not showing:  # somebody edited what is stored
        return Timeline(tuple(spans), denied=denied)
    return Timeline(tuple(spans), max(item.holds_until for item in showing), showing[-1], denied)


@dataclass(frozen=True, eq=False)
class _Told:
    """What was told of one subject, cut at an instant."""

    groups: Sequence[_Group]
    """In order: the first wins."""
    pairs: Int64Array
    """[start, end) of each stretch of any length, shape (n, 2), in any order."""
    group: Int64Array
    """Which of the groups each is of, shape (n,)."""

    def of(self, which: Callable[[_Group], bool]) -> Spans:
        """Return the time in any of some groups."""
        chosen = np.array([which(group) for group in self.groups], dtype=bool)
        return Spans.of(self.pairs[chosen[self.group]])


def _told(ordered: Sequence[Observation], lines: Sequence[Stretches], as_of: Millis) -> _Told:
    pairs: dict[_Group, list[tuple[Millis, Millis]]] = defaultdict(list)
    for item in ordered:
        pairs[_group(item)].append((item.start, item.end))
    arrays = [(key, np.array(items, dtype=np.int64)) for key, items in pairs.items()]
    arrays += [(_group(item), item.pairs) for item in lines]
    groups = sorted({key for key, _ in arrays}, key=_order)
    place = {key: number for number, key in enumerate(groups)}
    every = np.minimum(np.concatenate([np.empty((0, 2), dtype=np.int64), *(array for _, array in arrays)]), as_of)
    of = np.repeat(
        np.array([place[key] for key, _ in arrays], dtype=np.int64),
        np.array([len(array) for _, array in arrays], dtype=np.int64),
    )
    some = every[:, 1] > every[:, 0]
    return _Told(groups, every[some], of[some])


def _seen_from_above(told: _Told, unclear: Spans) -> list[StateSpan]:
    """Lay groups over each other, what is unclear above all; return what is to be seen, in order of time.

    All at once: an agent may name as many causes as it likes, and one group after the other they kept a processor for minutes.
    """
    if len(told.groups) == 1 and not unclear:  # as of nearly all, and in half the time
        return [StateSpan(start, end, *told.groups[0][2:]) for start, end in Spans.of(told.pairs).tuples()]
    pairs = np.concatenate((unclear.pairs, told.pairs))
    layer = np.concatenate((np.zeros(len(unclear), dtype=np.int64), told.group + 1))
    if not len(pairs):
        return []
    edges = np.sort(pairs, axis=None)
    edges = edges.compress(np.diff(edges, prepend=-1) > 0)
    top = _lowest(np.searchsorted(edges, pairs), layer, len(edges) - 1, nothing=len(told.groups) + 1)
    first = np.flatnonzero(np.diff(top, prepend=-1))
    runs = zip(edges[first].tolist(), edges[np.append(first[1:], len(top))].tolist(), top[first].tolist(), strict=True)
    shown = [("unknown", StreamCause.CLOCK_SET, None), *(group[2:] for group in told.groups)]
    return [StateSpan(start, end, *shown[number]) for start, end, number in runs if number < len(shown)]


def _lowest(ranges: Int64Array, values: Int64Array, count: int, nothing: int) -> Int64Array:
    """Return for each place, 0 to `count`, the lowest value of the ranges that hold it; `nothing`, which is above all, where none does.

    `ranges` are [first, last + 1) of places, shape (n, 2), none empty, `values` (n,). Each range is two of a power of two, which
    may overlap, and is halved together with all others of its length: n ranges over m places take n + m log m, however they lie.
    """
    lengths = ranges[:, 1] - ranges[:, 0]
    powers = np.frexp(lengths)[1] - 1
    lowest = np.full(count, nothing, dtype=np.int64)
    for power in range(int(powers.max()), -1, -1):
        here, size = powers == power, 1 << power
        for first in (ranges[here, 0], ranges[here, 1] - size):
            np.minimum.at(lowest, first, values[here])
        if half := size // 2:
            lowest[half:] = np.minimum(lowest[half:], lowest[:-half])
    return lowest


def _denied(told: _Told) -> Spans:
    """Return when something else than up or ok was told by the very basis by which that counts."""
    good, bad = ({group[0] for group in told.groups if group[1] == weight} for weight in (_GOOD, _BAD))
    both = (told.of(_is(rank, _GOOD)).intersect(told.of(_is(rank, _BAD))) for rank in sorted(good & bad))
    return Spans.empty().union(*both)


def _is(rank: int, weight: int) -> Callable[[_Group], bool]:
    return lambda group: group[:2] == (rank, weight)


def precedence(item: Stretches) -> Precedence:
    """Return what tells which of two stretches is believed where they overlap: the lower one. Of two that say the same it is the same."""
    return _order(_group(item))


def _order(group: _Group) -> Precedence:
    rank, weight, state, cause, basis = group
    return rank, weight, state, cause or "", basis or "", cause is None


def _group(item: Observation | Stretches) -> _Group:
    rank = _PRECEDENCE.index(item.basis) if item.basis in _PRECEDENCE else len(_PRECEDENCE)
    weight = _weight(item.state)
    return (rank if weight < _UNKNOWN else 2 * len(_PRECEDENCE), weight, item.state, item.cause, item.basis)


def _unclear(told: _Told, twice: Spans) -> Spans:
    """Return where time that was told twice was told to be good and not to be, by the clock that was set."""
    if not twice:
        return twice
    good, bad, later = (told.of(_by_agents_clock(weight)) for weight in (_GOOD, _BAD, _AFTERWARDS))
    return good.intersect(bad).intersect(twice).subtract(later)


def _by_agents_clock(weight: int) -> Callable[[_Group], bool]:
    return lambda group: group[1] == weight and (group[4] is None or group[4] in _BY_THE_AGENTS_CLOCK)


def _weight(state: str) -> int:
    """Return which of two states of one basis is believed: the lower one."""
    if state in _HINDSIGHT:
        return _AFTERWARDS
    return _UNKNOWN if state == "unknown" else _GOOD if state in {"up", "ok"} else _BAD


def _recordings(
    together: Mapping[str, Index], inventory: Inventory, clocks: Mapping[str, list[Offset]], as_of: Millis
) -> tuple[dict[str, RecordingFacts], dict[str, Observation]]:
    readings: dict[str, RecordingFacts] = {}
    refusals: dict[str, Observation] = {}
    for camera_id, index in together.items():
        camera = inventory.camera(camera_id)
        offsets = clocks.get(camera.recorder or "", []) if camera else []
        reading = index.facts(offsets, as_of)
        if reading is not None:
            readings[camera_id] = dated(reading)
        if index.refusal is not None:
            refusals[camera_id] = index.refusal
    return readings, refusals


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
