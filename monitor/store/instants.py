"""Instants of the ledger, and what of them has to be read again: not every reading of an index since the beginning."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, select
from sqlalchemy.orm import Session

from monitor.model.clock_offsets import said_seconds, telling
from monitor.model.observation import STORED, Kind, Observation, Source, Subject, digest_of_text
from monitor.model.proof import KEPT
from monitor.model.recordings import RecordingFacts, read_recordings, window_read
from monitor.model.span import Millis, Spans
from monitor.store.given import NUMBER, TEXT, Rows, run_given
from monitor.store.stored import PLACE, read_instants
from monitor.store.tables import FootageRow, InstantRow
from monitor.store.upsert import insert_new, table_of, upsert

NEWEST_ONLY = tuple(
    kind.value
    for kind in (
        Kind.MAIN_STREAM, Kind.WRITTEN, Kind.CHANNELS, Kind.DISKS, Kind.IDENTITY, Kind.BASELINE, Kind.RECORDING_MODE,
        Kind.EXPIRY, Kind.TIME_SYNC, Kind.ALARM_INPUTS, Kind.FAULT_NOTICES, Kind.STORAGE_MODE,
        Kind.TWIN, Kind.DROPPED, Kind.STORAGE,
    )
)  # fmt: skip
"""Of these the newest counts (of the last two not even that), and the oldest for when its subject was first seen."""

LATELY = (Kind.PROOF.value,)
"""Of these those of the last month count, and the oldest for when its subject was first seen."""

COMPACT_AFTER = 60
"""Readings of one camera that are read again and again before they are put together."""

_FOREVER: Millis = 2**53
_PAGE = 200
"""Readings at a time."""

_INSTANT, _FOOTAGE = table_of(InstantRow), table_of(FootageRow)
_SUBJECT = (_INSTANT.c.kind, _INSTANT.c.subject_kind, _INSTANT.c.subject_id)
_PLACE = tuple(_INSTANT.c[column.key] for column in PLACE)
_UNTIL = (_INSTANT.c.institution_id == bindparam("who"), _INSTANT.c.at <= bindparam("until"))
_SOME = _INSTANT.c.kind.in_((*NEWEST_ONLY, *LATELY))
_HAS = (
    select(_INSTANT.c.kind)
    .where(_INSTANT.c.institution_id == bindparam("who"), _INSTANT.c.kind == bindparam("which"))
    .limit(1)
)
_EDGES = select(*_SUBJECT, func.min(_INSTANT.c.at), func.max(_INSTANT.c.at)).where(*_UNTIL, _SOME).group_by(*_SUBJECT)
_ALL = select(*_PLACE).where(*_UNTIL, _INSTANT.c.kind.not_in((Kind.RECORDINGS.value, Kind.CLOCK.value)), ~_SOME)
_CLOCKS = (
    select(*_PLACE)
    .where(*_UNTIL, _INSTANT.c.kind == Kind.CLOCK.value)
    .order_by(_INSTANT.c.subject_kind, _INSTANT.c.subject_id, _INSTANT.c.at, _INSTANT.c.digest)
    .execution_options(yield_per=_PAGE)
)
_MANY = (
    select(_INSTANT.c.subject_id)
    .outerjoin(
        _FOOTAGE,
        and_(_FOOTAGE.c.institution_id == _INSTANT.c.institution_id, _FOOTAGE.c.camera_id == _INSTANT.c.subject_id),
    )
    .where(_INSTANT.c.institution_id == bindparam("who"), _INSTANT.c.kind == Kind.RECORDINGS.value)
    .where(_INSTANT.c.at > func.coalesce(_FOOTAGE.c.upto_at, -1))
    .group_by(_INSTANT.c.subject_id)
    .having(func.count() > bindparam("most"))
)
_WITHIN = (
    " FROM {given} CROSS JOIN instant AS i WHERE i.institution_id = given.institution AND i.kind = given.kind"
    " AND i.subject_kind = given.subject_kind AND i.subject_id = given.subject_id"
    " AND i.at >= given.low AND i.at <= given.high"
)
_SAID_WITHIN = "SELECT i.body, i.kind, i.subject_kind, i.subject_id, i.at" + _WITHIN
_NAMED_WITHIN = "SELECT i.subject_id, i.at, i.digest" + _WITHIN
_WITHIN_COLUMNS = {
    "institution": TEXT, "kind": TEXT, "subject_kind": TEXT, "subject_id": TEXT, "low": NUMBER, "high": NUMBER,
}  # fmt: skip

Within = tuple[str, str, str, str, Millis, Millis]
"""(institution, kind, kind and id of the subject, from, to): the instants in a stretch of time, both its ends with it."""


def add_instants(session: Session, institution_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Add instants, each once. What was put together without one that comes late is thrown away."""
    insert_new(session, InstantRow, rows)
    readings = [row for row in rows if row["kind"] == Kind.RECORDINGS]
    if readings:
        cameras = {row["subject_id"] for row in readings}
        first = min(row["at"] for row in readings)
        here = (FootageRow.institution_id == institution_id, FootageRow.camera_id.in_(cameras))
        session.execute(delete(FootageRow).where(*here, FootageRow.upto_at >= first))


def has_instants(session: Session, institution_id: str, kind: Kind) -> bool:
    """Tell whether an institution's ledger has any instant of a kind."""
    return session.execute(_HAS, {"who": institution_id, "which": kind.value}).first() is not None


def load_instants(session: Session, institution_id: str, until: Millis) -> list[Observation]:
    """Return the instants up to `until` whose fold is that of all of them, but for the readings of indexes."""
    here = {"who": institution_id, "until": until}
    wanted: list[Within] = []
    for kind, subject_kind, subject_id, oldest, newest in session.execute(_EDGES, here).all():
        subject = (institution_id, kind, subject_kind, subject_id)
        since, to = (until - KEPT, until) if kind in LATELY else (newest, newest)
        wanted += _edge_and(subject, oldest, since, to)
    found = read_instants(session, session.execute(_ALL, here).all())
    found += read_instants(session, _clocks(session, here))
    return found + read_instants(session, run_given(session, _SAID_WITHIN, _WITHIN_COLUMNS, wanted))


def _clocks(session: Session, here: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Return the readings of clocks that come to the same as all of them, and those that can't be read."""
    strange: list[Sequence[Any]] = []
    for _, rows in groupby(session.execute(_CLOCKS, here), key=itemgetter(2, 3)):
        yield from telling(_said(rows, strange))
    yield from strange


def _said(rows: Iterable[Sequence[Any]], strange: list[Sequence[Any]]) -> Iterator[tuple[float | None, Sequence[Any]]]:
    """Return what readings of a clock say, each with its row; put aside what is none. To read them whole takes five times as long."""
    for row in rows:
        try:
            value = json.loads(row[0])
            seconds = said_seconds(value["state"], value["facts"])
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            strange.append(row)
        else:
            yield seconds, row


def _edge_and(subject: tuple[str, str, str, str], oldest: Millis, since: Millis, to: Millis) -> list[Within]:
    """Return a subject's oldest instant and those in [since, to], each once."""
    edge = [] if since <= oldest <= to else [(*subject, oldest, oldest)]
    return [*edge, (*subject, since, to)]


def named_within(
    session: Session, institution_id: str, cameras: Mapping[str, tuple[Millis, Millis]], until: Millis
) -> Rows:
    """Return (camera, instant, digest) of readings of indexes: by camera the oldest, at the first instant, and those after the second."""
    wanted = [
        item
        for camera_id, (oldest, after) in cameras.items()
        for item in _edge_and((institution_id, Kind.RECORDINGS.value, "camera", camera_id), oldest, after + 1, until)
    ]
    return run_given(session, _NAMED_WITHIN, _WITHIN_COLUMNS, wanted)


def read_together(item: FootageRow) -> list[Observation]:
    """Return what was put together as readings, one for each stretch that was read; none where it can't be read.

    It is of years, and longer than any reading that comes in.
    """
    try:
        value = json.loads(item.body)
        footage, locked = Spans.of(map(tuple, value["spans"])), Spans.of(map(tuple, value["locked"]))
        return [
            _reading(item, footage.clip(start, end), locked.clip(start, end), start, end)
            for start, end in value["windows"]
        ]
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return []


def _reading(item: FootageRow, footage: Spans, locked: Spans, start: Millis, end: Millis) -> Observation:
    said = {
        "subject": Subject(kind="camera", id=item.camera_id),
        "kind": Kind.RECORDINGS,
        "start": item.upto_at,
        "end": item.upto_at,
        "state": "read",
        "source": Source.RECORDER,
        "expires": item.upto_at,
        "facts": {
            "window": [start, end],
            "spans": [list(pair) for pair in footage.tuples()],
            "locked": [list(pair) for pair in locked.tuples()],
        },
    }
    return Observation.model_validate(said, context=STORED)


def put_together(session: Session, institution_id: str) -> int:
    """Put the readings of cameras that have many together; return of how many cameras.

    The newest reading that says something stays apart (its evidence is needed), and so does what is newer. Whoever
    calls holds the institution's row, so that no reading comes in meanwhile.
    """
    many = session.execute(_MANY, {"who": institution_id, "most": COMPACT_AFTER}).scalars().all()
    rows = [made for camera_id in many if (made := _together(session, institution_id, camera_id)) is not None]
    upsert(session, FootageRow, rows)
    return len(rows)


def _together(session: Session, institution_id: str, camera_id: str) -> dict[str, Any] | None:
    key = (institution_id, camera_id)
    before = session.get(FootageRow, key)
    base = [] if before is None else read_together(before)
    if not base:
        before = None  # what can't be read is made anew, of all readings
    here = (
        InstantRow.institution_id == institution_id,
        InstantRow.kind == Kind.RECORDINGS.value,
        InstantRow.subject_id == camera_id,
    )
    since = () if before is None else (InstantRow.at > before.upto_at,)
    rows = session.execute(select(*PLACE).where(*here, *since))
    items = sorted(read_instants(session, rows), key=Observation.sort_key)
    newest = read_recordings(items, [], _FOREVER)
    if newest is None:
        return None
    older = [item for item in items if item.start < newest.read_at]
    facts = read_recordings([*base, *older], [], _FOREVER)
    if facts is None or not older:
        return None
    body = _body(facts)
    return {
        "institution_id": institution_id,
        "camera_id": camera_id,
        "upto_at": older[-1].start,
        "since_at": newest.read_at,
        "digest": digest_of_text(body),
        "body": body,
    }


def _body(facts: RecordingFacts) -> str:
    value = {"windows": facts.scanned.tuples(), "spans": facts.footage.tuples(), "locked": facts.locked.tuples()}
    return json.dumps(value, separators=(",", ":"))


def footage_of(session: Session, institution_id: str, camera_id: str, upto: Millis) -> FootageRow | None:
    """Put a camera's readings up to an instant together, from the readings alone; None where none says anything.

    Some at a time: memory doesn't grow with them. `since_at` is `upto` here.
    """
    query = select(*PLACE).where(
        InstantRow.institution_id == institution_id, InstantRow.kind == Kind.RECORDINGS.value,
        InstantRow.subject_id == camera_id, InstantRow.at <= upto,
    )  # fmt: skip
    found: FootageRow | None = None
    ordered = query.order_by(InstantRow.at, InstantRow.digest).execution_options(yield_per=_PAGE)
    for page in session.execute(ordered).partitions():
        base = [] if found is None else read_together(found)
        facts = read_recordings([*base, *read_instants(session, page)], [], _FOREVER)
        if facts is not None:
            body = _body(facts)
            found = FootageRow(
                institution_id=institution_id, camera_id=camera_id, upto_at=upto, since_at=upto,
                digest=digest_of_text(body), body=body,
            )  # fmt: skip
    return found


def newest_that_says(
    session: Session, institution_id: str, camera_id: str, after: Millis, until: Millis
) -> Millis | None:
    """Return when a camera's index was last read in (after, until], of the readings that say something; None for none."""
    query = select(*PLACE).where(
        InstantRow.institution_id == institution_id, InstantRow.kind == Kind.RECORDINGS.value,
        InstantRow.subject_id == camera_id, InstantRow.at > after, InstantRow.at <= until,
    )  # fmt: skip
    rows = session.execute(query.order_by(InstantRow.at.desc()).execution_options(yield_per=_PAGE))
    items = (item for row in rows for item in read_instants(session, [row]))
    return next((item.start for item in items if window_read(item)), None)


def says_the_same(one: str, other: str) -> bool:
    """Tell whether two bodies of what was put together are read alike: of footage, only what lies inside what was read."""
    try:
        return _inside(one) == _inside(other)
    except (ValueError, KeyError, TypeError):
        return False


def _inside(body: str) -> tuple[Spans, Spans, Spans]:
    value = json.loads(body)
    windows, spans, locked = (Spans.of(map(tuple, value[name])) for name in ("windows", "spans", "locked"))
    return windows, spans.intersect(windows), locked.intersect(windows)
