"""What was told of an institution, as the fold takes it: years of spans as a few arrays, and the evidence of the present."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import String, bindparam, cast, func, literal, select
from sqlalchemy.orm import Session

from monitor.model.ledger import Stretches
from monitor.model.observation import SPAN_KINDS, Kind, Observation, StreamCause, Subject
from monitor.model.span import Basis, Int64Array, Millis
from monitor.store.given import NUMBER, TEXT, run_given
from monitor.store.instants import load_instants
from monitor.store.ledger import Lane
from monitor.store.stored import Place, note_unreadable, read
from monitor.store.tables import SpanRow
from monitor.store.upsert import table_of

_SPAN = table_of(SpanRow)
_LANE = (_SPAN.c.kind, _SPAN.c.subject_kind, _SPAN.c.subject_id, _SPAN.c.lane)
_COMMA = literal(",", String, literal_execute=True)
_PAIR = cast(_SPAN.c.start_at, String) + _COMMA + cast(_SPAN.c.end_at, String)
_LANES = (
    select(*_LANE, func.aggregate_strings(_PAIR, ","))
    .where(_SPAN.c.institution_id == bindparam("who"), _SPAN.c.start_at <= bindparam("until"))
    .group_by(*_LANE)
)
"""One text for each lane: rows of their own take four times as long, and their evidence ten times."""
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


@dataclass(frozen=True)
class _Found:
    """The spans of one lane."""

    lane: Lane
    stretches: Stretches


def load_told(session: Session, institution_id: str, until: Millis) -> Told:
    """Return what was seen of an institution up to `until`, whose fold is the ledger's state.

    Without the readings of its cameras' indexes: `load_indexes`.
    """
    found = list(_found(session, institution_id, until))
    wanted = [(institution_id, *lane, start) for lane, start in _evidence(found, until)]
    seen: list[Observation] = []
    for *lane, start, end, newest, lasting in run_given(session, _ROWS, _ROW_COLUMNS, wanted):
        kind, subject_kind, subject_id, rest = lane
        place = Place(kind, subject_kind, subject_id, start, end, rest)
        seen += _observations(session, place, newest, lasting, until)
    return Told(seen + load_instants(session, institution_id, until), [item.stretches for item in found])


def _found(session: Session, institution_id: str, until: Millis) -> Iterator[_Found]:
    for *lane, text in session.execute(_LANES, {"who": institution_id, "until": until}).all():
        found = _read_lane(lane, text)
        if found is None:
            note_unreadable(session)
        else:
            yield found


def _read_lane(lane: Sequence[Any], text: str) -> _Found | None:
    """Return what a lane tells; None where somebody edited it, or another version wrote it."""
    try:
        kind, subject_kind, subject_id, rest = lane
        state, cause, basis, _ = rest.split("|")
        subject = Subject(kind=subject_kind, id=subject_id)
        pairs = np.array(json.loads(f"[{text}]"), dtype=np.int64).reshape(-1, 2)
        how = None if basis == "-" else Basis(basis)
        if kind not in SPAN_KINDS:
            return None
        stretches = Stretches(Kind(kind), subject, state, None if cause == "-" else cause, how, pairs)
    except (ValueError, TypeError, OverflowError):
        return None
    return _Found((kind, subject_kind, subject_id, rest), stretches)


def _evidence(found: Iterable[_Found], until: Millis) -> list[tuple[Lane, Millis]]:
    """Return the rows whose observations are wanted too: those that end last of their subject, and those by which a clock was set."""
    by_subject: dict[tuple[Kind, Subject], list[_Found]] = defaultdict(list)
    for item in found:
        by_subject[item.stretches.kind, item.stretches.subject].append(item)
    wanted = [
        (item.lane, start)
        for items in by_subject.values()
        for item, last in zip(items, _lasts([item.stretches.pairs for item in items], until), strict=True)
        for start in last.tolist()
    ]
    wanted += [
        (item.lane, start)
        for item in found
        if item.stretches.kind is Kind.AGENT and item.stretches.cause == StreamCause.CLOCK_SET
        for start in item.stretches.pairs[:, 0].tolist()
    ]
    return list(dict.fromkeys(wanted))


def _lasts(lanes: Sequence[Int64Array], until: Millis) -> list[Int64Array]:
    """Return, of each lane, the starts of the spans that end last of all, cut at `until`."""
    ends = [np.minimum(pairs[:, 1], until) for pairs in lanes]
    long = [end > pairs[:, 0] for end, pairs in zip(ends, lanes, strict=True)]
    last = max((int(end[some].max()) for end, some in zip(ends, long, strict=True) if some.any()), default=None)
    return [pairs[some & (end == last), 0] for end, some, pairs in zip(ends, long, lanes, strict=True)]


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
