"""What was told of an institution, as the fold takes it: years of spans as a few arrays, and the evidence of the present."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import BigInteger, String, bindparam, cast, func, literal, select
from sqlalchemy.orm import Session

from monitor.model.ledger import Stretches, precedence, told_twice
from monitor.model.observation import LATEST, SPAN_KINDS, Kind, Observation, StreamCause, Subject
from monitor.model.span import Basis, Millis, Spans
from monitor.store.given import NUMBER, TEXT, run_given
from monitor.store.instants import load_instants
from monitor.store.ledger import Lane
from monitor.store.stored import Place, note_unreadable, read
from monitor.store.tables import SpanRow
from monitor.store.upsert import table_of

_SPAN = table_of(SpanRow)
_LANE = (_SPAN.c.kind, _SPAN.c.subject_kind, _SPAN.c.subject_id, _SPAN.c.lane)
_COMMA = literal(",", String, literal_execute=True)
_PAIR = cast(cast(_SPAN.c.start_at, BigInteger), String) + _COMMA + cast(cast(_SPAN.c.end_at, BigInteger), String)
"""Numbers, whatever somebody put there: on SQLite bytes that are no text would end the whole evaluation."""
_LANES = (
    select(*_LANE, func.aggregate_strings(_PAIR, ","))
    .where(_SPAN.c.institution_id == bindparam("who"), _SPAN.c.start_at <= bindparam("until"))
    .group_by(*_LANE)
)
"""One text for each lane: rows of their own take four times as long, and their evidence ten times."""
_PAGE = 1000
"""Rows at a time: memory doesn't grow with what was said."""
_EACH = (
    select(_SPAN.c.start_at, _SPAN.c.end_at, _SPAN.c.newest, _SPAN.c.lasting)
    .where(_SPAN.c.institution_id == bindparam("who"), _SPAN.c.start_at <= bindparam("until"))
    .where(*(column == bindparam(f"of_{column.name}") for column in _LANE))
    .execution_options(yield_per=_PAGE)
)
_ROWS = (
    "SELECT s.kind, s.subject_kind, s.subject_id, s.lane, s.start_at, s.end_at, s.newest, s.lasting FROM {given} JOIN span AS s"
    " ON s.institution_id = given.institution AND s.kind = given.kind AND s.subject_kind = given.subject_kind"
    " AND s.subject_id = given.subject_id AND s.lane = given.lane AND s.start_at = given.start_at"
)
_ROW_COLUMNS = {
    "institution": TEXT, "kind": TEXT, "subject_kind": TEXT, "subject_id": TEXT, "lane": TEXT, "start_at": NUMBER,
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """All that was told of an institution up to an instant, but for the readings of its cameras' indexes: feed for `fold`."""

    observations: list[Observation]
    stretches: list[Stretches]
    twice: Spans
    """What was told twice, as agents' clocks were set back."""


class _Found(NamedTuple):
    """The spans of one lane."""

    lane: Lane
    stretches: Stretches


class _Last(NamedTuple):
    """The spans of one subject that end last: one of them is the evidence of the present."""

    end: Millis
    first: frozenset[Lane]
    """The lanes that are believed, of those that end then."""
    rows: list[tuple[Lane, Millis]]
    """The keys of those that may show the present."""


def load_told(session: Session, institution_id: str, until: Millis) -> Told:
    """Return what was seen of an institution up to `until`, whose fold is the ledger's state.

    Without the readings of its cameras' indexes: `load_indexes`.
    """
    found = list(_found(session, institution_id, until))
    twice = _twice(session, institution_id, found, until)
    seen = _present(session, institution_id, _lasts(found, until, twice), until)
    return Told([*seen, *load_instants(session, institution_id, until)], [item.stretches for item in found], twice)


def _found(session: Session, institution_id: str, until: Millis) -> Iterator[_Found]:
    subjects: dict[tuple[str, str], Subject] = {}
    for *lane, text in session.execute(_LANES, {"who": institution_id, "until": until}):
        found = _read_lane(lane, text, subjects)
        if found is None:
            note_unreadable(session)
            continue
        pairs = found.stretches.pairs
        fit = (pairs[:, 0] >= 0) & (pairs[:, 0] <= pairs[:, 1]) & (pairs[:, 1] <= LATEST)
        if (wrong := len(fit) - np.count_nonzero(fit)) == 0:
            yield found
            continue
        for _ in range(wrong):
            note_unreadable(session)
        if wrong < len(fit):
            yield found._replace(stretches=replace(found.stretches, pairs=pairs[fit]))


def _read_lane(lane: Sequence[Any], text: str, subjects: dict[tuple[str, str], Subject]) -> _Found | None:
    """Return what a lane tells; None where somebody edited it, or another version wrote it."""
    try:
        kind, subject_kind, subject_id, rest = lane
        state, cause, basis, _ = rest.split("|")
        if (subject := subjects.get((subject_kind, subject_id))) is None:
            subject = subjects[subject_kind, subject_id] = Subject(kind=subject_kind, id=subject_id)
        pairs = np.array(json.loads(f"[{text}]"), dtype=np.int64).reshape(-1, 2)
        how = None if basis == "-" else Basis(basis)
        if kind not in SPAN_KINDS:
            return None
        stretches = Stretches(Kind(kind), subject, state, None if cause == "-" else cause, how, pairs)
    except (ValueError, TypeError, OverflowError):
        return None
    return _Found((kind, subject_kind, subject_id, rest), stretches)


def _twice(session: Session, institution_id: str, found: Iterable[_Found], until: Millis) -> Spans:
    """Return what was told twice, by the spans that tell that an agent's clock was set."""
    parts: list[Spans] = []
    for lane, stretches in found:
        if stretches.kind is not Kind.AGENT or stretches.cause != StreamCause.CLOCK_SET or lane[1] != "agent":
            continue
        here = {f"of_{column.name}": word for column, word in zip(_LANE, lane, strict=True)}
        for page in session.execute(_EACH, {"who": institution_id, "until": until, **here}).partitions():
            said = (
                read(session, text, _place(lane, *row))
                for *row, newest, lasting in page
                for text in (newest, lasting)
                if text
            )
            parts.append(told_twice(item for item in said if item is not None and item.start <= until))
    return Spans.empty().union(*parts)


def _lasts(found: Iterable[_Found], until: Millis, twice: Spans) -> dict[tuple[str, ...], _Last]:
    """Return, of each kind and subject, the spans that end last, cut at `until`."""
    by_subject: dict[tuple[str, ...], list[_Found]] = defaultdict(list)
    for item in found:
        by_subject[item.lane[:3]].append(item)
    return {subject: last for subject, items in by_subject.items() if (last := _last(items, until, twice)) is not None}


def _last(items: Sequence[_Found], until: Millis, twice: Spans) -> _Last | None:
    lanes = [item.stretches.pairs[item.stretches.pairs[:, 0] < until] for item in items]
    ends = [np.minimum(pairs[:, 1], until) for pairs in lanes]
    long = [end > pairs[:, 0] for end, pairs in zip(ends, lanes, strict=True)]
    last = max((int(end[some].max()) for end, some in zip(ends, long, strict=True) if some.any()), default=None)
    if last is None:
        return None
    begun = [pairs[some & (end == last), 0].tolist() for end, some, pairs in zip(ends, long, lanes, strict=True)]
    ending = [
        (precedence(item.stretches), item.lane, starts) for item, starts in zip(items, begun, strict=True) if starts
    ]
    best = min(ending)[0]
    first = frozenset(lane for order, lane, _ in ending if order == best)
    all_show = bool(twice.clip(last - 1, last))
    rows = [(lane, start) for _, lane, starts in ending if all_show or lane in first for start in starts]
    return _Last(last, first, rows)


def _present(
    session: Session, institution_id: str, lasts: Mapping[tuple[str, ...], _Last], until: Millis
) -> Iterable[Observation]:
    """Return the evidence of the present: of each subject the newest observation that ends last, and the one that holds longest.

    Of those that are believed, and of all: in time that was told twice it may be either.
    """
    wanted = [(institution_id, *lane, start) for last in lasts.values() for lane, start in last.rows]
    newest: dict[tuple[tuple[str, ...], bool], Observation] = {}
    lasting: dict[tuple[tuple[str, ...], bool], Observation] = {}
    for begin in range(0, len(wanted), _PAGE):
        for *words, start, end, text, other in run_given(session, _ROWS, _ROW_COLUMNS, wanted[begin : begin + _PAGE]):
            kind, subject_kind, subject_id, rest = words
            lane = (kind, subject_kind, subject_id, rest)
            last = lasts[lane[:3]]
            for item in _observations(session, _place(lane, start, end), text, other, until):
                if not item.start < last.end == min(item.end, until):
                    continue
                key = (lane[:3], lane in last.first)
                newest[key] = max(item, newest.get(key, item), key=Observation.sort_key)
                lasting[key] = max(item, lasting.get(key, item), key=_holds_until)
    return {item.digest: item for item in (*newest.values(), *lasting.values())}.values()


def _holds_until(item: Observation) -> Millis:
    return item.holds_until


def _place(lane: Lane, start: Millis, end: Millis) -> Place:
    kind, subject_kind, subject_id, rest = lane
    return Place(kind, subject_kind, subject_id, start, end, rest)


def _observations(
    session: Session, place: Place, newest_text: str, lasting_text: str | None, until: Millis
) -> list[Observation]:
    """Return a row of many spans: the whole stretch, and the observations that are the evidence of the present."""
    newest = read(session, newest_text, place)
    if newest is None:
        return []
    found = [newest] if newest.start <= until else []
    lasting = None if lasting_text is None else read(session, lasting_text, place)
    if lasting is not None and lasting.start <= until:
        found.append(lasting)
    if newest.start != place.start or newest.end != place.end or newest.start > until:
        found.append(newest.model_copy(update={"start": place.start, "end": place.end}))
    return found
