"""Instants of the ledger, and what of them has to be read again: not every reading of an index since the beginning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from monitor.model.observation import STORED, Kind, Observation, Source, Subject, digest_of_text
from monitor.model.proof import KEPT
from monitor.model.recordings import RecordingFacts, read_recordings, window_read
from monitor.model.span import Millis, Spans
from monitor.store.stored import PLACE, read_instants
from monitor.store.tables import FootageRow, InstantRow
from monitor.store.upsert import insert_new, upsert

NEWEST_ONLY = tuple(
    kind.value
    for kind in (
        Kind.MAIN_STREAM, Kind.WRITTEN, Kind.CHANNELS, Kind.DISKS, Kind.IDENTITY, Kind.BASELINE, Kind.RECORDING_MODE,
        Kind.EXPIRY, Kind.TIME_SYNC, Kind.ALARM_INPUTS, Kind.FAULT_NOTICES, Kind.STORAGE_MODE,
        Kind.TWIN,
    )
)  # fmt: skip
"""Of these the newest counts, and the oldest for when its subject was first seen."""

LATELY = (Kind.PROOF.value,)
"""Of these those of the last month count, and the oldest for when its subject was first seen."""

COMPACT_AFTER = 60
"""Readings of one camera that are read again and again before they are put together."""

_FOREVER: Millis = 2**53
_PAGE = 200
"""Readings at a time."""


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
    row = InstantRow
    found = select(row.kind).where(row.institution_id == institution_id, row.kind == kind.value).limit(1)
    return session.execute(found).first() is not None


def load_instants(session: Session, institution_id: str, until: Millis) -> list[Observation]:
    """Return the instants up to `until` whose fold is that of all of them, but for the readings of indexes."""
    row = InstantRow
    here = (row.institution_id == institution_id, row.at <= until, row.kind != Kind.RECORDINGS.value)
    found: list[Observation] = []
    plain = row.kind.not_in((*NEWEST_ONLY, *LATELY))
    wanted: list[ColumnElement[bool]] = [plain]
    ends = select(row.kind, row.subject_kind, row.subject_id, func.min(row.at), func.max(row.at))
    groups = session.execute(ends.where(*here, ~plain).group_by(row.kind, row.subject_kind, row.subject_id)).all()
    for kind, subject_kind, subject_id, oldest, newest in groups:
        subject = and_(row.kind == kind, row.subject_kind == subject_kind, row.subject_id == subject_id)
        edges: ColumnElement[bool] = row.at.in_((oldest, newest))
        if kind in LATELY:
            edges = or_(row.at == oldest, row.at >= until - KEPT)
        wanted.append(and_(subject, edges))
    for index in range(0, len(wanted), 100):
        rows = session.execute(select(*PLACE).where(*here, or_(*wanted[index : index + 100])))
        found += read_instants(session, rows)
    return found


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
    row = InstantRow
    together = and_(FootageRow.institution_id == row.institution_id, FootageRow.camera_id == row.subject_id)
    waiting = (
        select(row.subject_id)
        .outerjoin(FootageRow, together)
        .where(row.institution_id == institution_id, row.kind == Kind.RECORDINGS.value)
        .where(row.at > func.coalesce(FootageRow.upto_at, -1))
        .group_by(row.subject_id)
        .having(func.count() > COMPACT_AFTER)
    )
    many = session.scalars(waiting).all()
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
