"""Findings: the supervision cases as they stand, and every reading that moved them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from monitor.model.finding import Known
from monitor.model.observation import Subject
from monitor.model.regulation import Status, Strength
from monitor.model.span import Millis, isoformat
from monitor.model.verdict import TOLD_BY_SPANS
from monitor.store import cursor as cursors
from monitor.store.journal import note
from monitor.store.stored import note_unreadable
from monitor.store.tables import FindingChange, FindingRecord
from monitor.store.upsert import table_of
from monitor.store.verdicts import CurrentVerdict, Key, current_verdicts

__all__ = [
    "CurrentVerdict", "FindingRow", "Reading", "add_finding", "began_by", "change_finding", "changes_of", "count_open", "current_verdicts",
    "cursor_of", "finding", "finding_ids", "finding_of", "finding_rows", "known_findings", "open_counts", "orphaned_changes",
    "reading_numbers", "told_changes",
]  # fmt: skip

_FINDING = table_of(FindingRecord)
_KNOWN = (
    select(
        _FINDING.c.requirement, _FINDING.c.subject_kind, _FINDING.c.subject_id,
        _FINDING.c.id, _FINDING.c.state, _FINDING.c.began_at, _FINDING.c.ended_at,
    )
    .where(_FINDING.c.institution_id == bindparam("who"))
    .order_by(_FINDING.c.began_at, _FINDING.c.id)
)  # fmt: skip
OPEN = (
    select(func.count())
    .select_from(_FINDING)
    .where(_FINDING.c.institution_id == bindparam("who"), _FINDING.c.ended_at.is_(None))
)
"""How many findings of an institution (`who`) are open."""

_LAST: Millis = 221_845_392_000_000
"""The year 9000: calendars end in 9999, and no finding is of later."""


@dataclass(frozen=True)
class Reading:
    """What one evaluation says of a finding: its state and times, why, and on what evidence (JSON values)."""

    at: Millis
    state: str
    began: Millis
    ended: Millis | None
    reason: str
    measured: dict[str, Any]
    evidence: list[dict[str, Any]]
    pack: str | None = None
    """The digest of the pack by which it was judged; None where nothing was judged, or no pack was kept yet."""
    reports: dict[str, int] | None = None
    """How many reports of each agent it had, those that came in first; None where nothing was judged, or they weren't counted yet."""

    def to_json(self) -> dict[str, Any]:
        """Return the API's form."""
        return {
            "at": isoformat(self.at),
            "state": self.state,
            "began_at": isoformat(self.began),
            "ended_at": None if self.ended is None else isoformat(self.ended),
            "reason": self.reason,
            "measured": self.measured,
            "evidence": self.evidence,
        }


@dataclass(frozen=True)
class FindingRow:
    """A finding as it stands now. Instants are UTC milliseconds."""

    id: str
    institution: str
    requirement: str
    subject: Subject
    state: str
    stage: str
    began: Millis
    opened: Millis
    ended: Millis | None
    reason: str
    citation: dict[str, str]
    citation_zh: dict[str, str]
    measured: dict[str, Any]
    evidence: list[dict[str, Any]]
    regulation: str
    regulation_version: int

    def to_json(self, language: str = "en") -> dict[str, Any]:
        """Return the contract's form, the citation in `language` (en or zh)."""
        return {
            "id": self.id,
            "institution": self.institution,
            "requirement": self.requirement,
            "subject": self.subject.model_dump(),
            "state": self.state,
            "stage": self.stage,
            "began_at": isoformat(self.began),
            "opened_at": isoformat(self.opened),
            "ended_at": None if self.ended is None else isoformat(self.ended),
            "reason": self.reason,
            "citation": self.citation_zh if language == "zh" else self.citation,
            "measured": self.measured,
            "evidence": self.evidence,
        }


def finding_rows(
    session: Session,
    *,
    institution: str | None = None,
    open_only: bool = False,
    requirement: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[FindingRow]:
    """Return findings, the newest opened first; `after` is cursor_of the last one of the page before.

    Raises CursorError when `after` is not a cursor of this list.
    """
    conditions: list[ColumnElement[bool]] = []
    if institution is not None:
        conditions.append(FindingRecord.institution_id == institution)
    if requirement is not None:
        conditions.append(FindingRecord.requirement == requirement)
    if open_only:
        conditions.append(FindingRecord.ended_at.is_(None))
    if after is not None:
        conditions.append(tuple_(FindingRecord.opened_at, FindingRecord.id) < cursors.decode(after, int, str))
    order = (FindingRecord.opened_at.desc(), FindingRecord.id.desc())
    return _rows(session, select(FindingRecord).where(*conditions).order_by(*order).limit(limit))


def cursor_of(row: FindingRow) -> str:
    """Return the cursor that continues after this finding."""
    return cursors.encode(row.opened, row.id)


def finding(session: Session, finding_id: str) -> FindingRow | None:
    """Return one finding by its id, None when there is none."""
    rows = _rows(session, select(FindingRecord).where(FindingRecord.id == finding_id))
    return rows[0] if rows else None


def finding_ids(session: Session, institution: str) -> list[str]:
    """Return the ids of an institution's findings, those first that opened first."""
    row = FindingRecord
    return list(
        session.scalars(select(row.id).where(row.institution_id == institution).order_by(row.opened_at, row.id))
    )


def finding_of(session: Session, institution: str, finding_id: str) -> FindingRow:
    """Return a finding of an institution, which is there. Raises ValueError for one that can't be read."""
    here = (FindingRecord.institution_id == institution, FindingRecord.id == finding_id)
    return _row(session.scalars(select(FindingRecord).where(*here)).one())


def reading_numbers(session: Session, institution: str, finding_id: str) -> tuple[list[int], int]:
    """Return the numbers of the readings that are stored of a finding, and how many there should be."""
    here = (FindingChange.institution_id == institution, FindingChange.finding_id == finding_id)
    numbers = session.scalars(select(FindingChange.number).where(*here).order_by(FindingChange.number))
    count = select(FindingRecord.changes).where(
        FindingRecord.institution_id == institution, FindingRecord.id == finding_id
    )
    return list(numbers), session.scalars(count).one()


def orphaned_changes(session: Session, institution: str) -> list[str]:
    """Return of which findings readings are stored, and no finding."""
    known = select(FindingRecord.id).where(FindingRecord.institution_id == institution)
    row = FindingChange
    query = select(row.finding_id).where(row.institution_id == institution, row.finding_id.not_in(known))
    return list(session.scalars(query.distinct().order_by(row.finding_id)))


def _rows(session: Session, query: Select[FindingRecord]) -> list[FindingRow]:
    """Return findings, without those that can't be read: one institution's would else hide those of all."""
    found: list[FindingRow] = []
    for record in session.scalars(query):
        try:
            row = _row(record)
        except (ValueError, RecursionError):
            row = None
        if row is not None and _has_its_form(row):
            found.append(row)
        else:
            note_unreadable(session)
    return found


def _row(row: FindingRecord) -> FindingRow:
    return FindingRow(
        id=row.id,
        institution=row.institution_id,
        requirement=row.requirement,
        subject=_subject(row.subject_kind, row.subject_id),
        state=row.state,
        stage=row.stage,
        began=row.began_at,
        opened=row.opened_at,
        ended=row.ended_at,
        reason=row.reason,
        citation=json.loads(row.citation),
        citation_zh=json.loads(row.citation_zh),
        measured=json.loads(row.measured),
        evidence=json.loads(row.evidence),
        regulation=row.regulation,
        regulation_version=row.regulation_version,
    )


def _has_its_form(row: FindingRow) -> bool:
    """Tell whether the JSON of a row is what was written there, not just any."""
    parts: list[Any] = [row.citation, row.citation_zh, row.measured, row.evidence]
    if not isinstance(parts.pop(), list) or not all(isinstance(item, dict) for item in (*parts, *row.evidence)):
        return False
    times = [at for at in (row.began, row.opened, row.ended) if at is not None]
    return all(map(_is_citation, (row.citation, row.citation_zh))) and all(0 <= at < _LAST for at in times)


def _is_citation(cited: dict[str, Any]) -> bool:
    texts = [cited.get(key) for key in ("title", "clause", "strength", "status")]
    return all(isinstance(text, str) for text in texts) and texts[2] in set(Strength) and texts[3] in set(Status)


def _subject(kind: str, subject_id: str) -> Subject:
    return Subject.model_validate({"kind": kind, "id": subject_id})


def changes_of(session: Session, institution: str, finding_id: str) -> list[Reading]:
    """Return a finding's readings in order: the first one opened it."""
    query = select(FindingChange).where(
        FindingChange.institution_id == institution, FindingChange.finding_id == finding_id
    )
    return [_change(row) for row in session.scalars(query.order_by(FindingChange.number))]


def _change(row: FindingChange) -> Reading:
    return Reading(
        row.at,
        row.state,
        row.began_at,
        row.ended_at,
        row.reason,
        json.loads(row.measured),
        json.loads(row.evidence),
        row.pack,
        None if row.reports is None else json.loads(row.reports),
    )


def told_changes(session: Session, institution: str, finding_id: str) -> list[Reading]:
    """Return the same for who is shown them: without those that can't be read."""
    row = FindingChange
    query = select(row).where(row.institution_id == institution, row.finding_id == finding_id).order_by(row.number)
    found = []
    for item in session.scalars(query):
        try:
            said = _change(item)
        except (ValueError, RecursionError):
            said = None
        times = [] if said is None else [at for at in (said.at, said.began, said.ended) if at is not None]
        if said is None or not _is_reading(said.measured, said.evidence) or not all(0 <= at < _LAST for at in times):
            note_unreadable(session)
        else:
            found.append(said)
    return found


def _is_reading(measured: object, evidence: object) -> bool:
    is_list = isinstance(evidence, list) and all(isinstance(item, dict) for item in evidence)
    return is_list and isinstance(measured, dict)


def known_findings(session: Session, institution: str) -> dict[Key, list[Known]]:
    """Return what matching needs of an institution's findings, by (requirement, subject), oldest first."""
    found: dict[Key, list[Known]] = defaultdict(list)
    rows = session.execute(_KNOWN, {"who": institution}).all()
    for requirement, kind, subject_id, finding_id, state, began, ended in rows:
        try:
            key = (requirement, _subject(kind, subject_id))
        except ValueError:
            note_unreadable(session)
            continue
        found[key].append(Known(finding_id, state, began, ended))
    return dict(found)


def add_finding(session: Session, row: FindingRow, pack: str, reports: dict[str, int]) -> None:
    """Open a finding: its row, and its first reading, by the pack of this digest and so many reports of each agent."""
    values = {
        "institution_id": row.institution,
        "id": row.id,
        "requirement": row.requirement,
        "subject_kind": row.subject.kind,
        "subject_id": row.subject.id,
        "state": row.state,
        "stage": row.stage,
        "began_at": row.began,
        "opened_at": row.opened,
        "ended_at": row.ended,
        "reason": row.reason,
        "citation": _json(row.citation),
        "citation_zh": _json(row.citation_zh),
        "measured": _json(row.measured),
        "evidence": _json(row.evidence),
        "regulation": row.regulation,
        "regulation_version": row.regulation_version,
        "changes": 1,
    }
    session.execute(insert(FindingRecord), [values])
    first = Reading(row.opened, row.state, row.began, row.ended, row.reason, row.measured, row.evidence, pack, reports)
    _add_change(session, row.institution, row.id, 1, first)


def change_finding(
    session: Session, institution: str, finding_id: str, reading: Reading, *, retell: bool = False
) -> None:
    """Move a finding's state and times. With `retell` its reason, figures and evidence become this reading's too.

    The reading itself is kept in any case, and so are all those before it.
    """
    here = (FindingRecord.institution_id == institution, FindingRecord.id == finding_id)
    number = session.scalars(select(FindingRecord.changes).where(*here)).one() + 1
    values: dict[str, Any] = {
        "state": reading.state,
        "began_at": reading.began,
        "ended_at": reading.ended,
        "changes": number,
    }
    if retell:
        values |= {
            "reason": reading.reason,
            "measured": _json(reading.measured),
            "evidence": _json(reading.evidence),
        }
    session.execute(update(FindingRecord).where(*here).values(**values))
    _add_change(session, institution, finding_id, number, reading)


def began_by(session: Session, institution: str, now: Millis, latest: Millis, by: Millis, told_until: Millis) -> None:
    """Move times of findings after `latest`, by a clock that has been set back since, back by so much: a reading more each.

    Where spans tell when breaches begin and end, instants up to `told_until`, the end of the newest one, are of an agent's
    clock (or of opening hours and waivers), which was not set back.
    """
    late = or_(FindingRecord.began_at > latest, FindingRecord.ended_at > latest)
    for row in _rows(session, select(FindingRecord).where(FindingRecord.institution_id == institution, late)):
        stays = max(latest, told_until) if row.requirement in TOLD_BY_SPANS else latest
        began = row.began if row.began <= stays else row.began - by
        ended = row.ended
        if ended is not None:
            ended = max(began, ended if ended <= stays else ended - by)
        if (began, ended) != (row.began, row.ended):
            reading = Reading(now, row.state, began, ended, row.reason, row.measured, row.evidence)
            change_finding(session, institution, row.id, reading)


def _add_change(session: Session, institution: str, finding_id: str, number: int, reading: Reading) -> None:
    values = {
        "institution_id": institution,
        "finding_id": finding_id,
        "number": number,
        "at": reading.at,
        "state": reading.state,
        "began_at": reading.began,
        "ended_at": reading.ended,
        "reason": reading.reason,
        "measured": _json(reading.measured),
        "evidence": _json(reading.evidence),
        "pack": reading.pack,
        "reports": None if reading.reports is None else _json(reading.reports),
    }
    session.execute(insert(FindingChange), [values])
    row, change = FindingRecord, FindingChange
    here = (change.institution_id == institution, change.finding_id == finding_id, change.number == number)
    note(session, institution, row, row.institution_id == institution, row.id == finding_id)
    note(session, institution, change, *here)


def open_counts(session: Session) -> dict[str, int]:
    """Return how many findings are open, by requirement."""
    query = select(FindingRecord.requirement, func.count()).where(FindingRecord.ended_at.is_(None))
    return dict(session.execute(query.group_by(FindingRecord.requirement)).all())


def count_open(session: Session, institution: str) -> int:
    """Return how many findings of an institution are open."""
    return session.scalars(OPEN, {"who": institution}).one()


def _json(value: Sequence[Any] | dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
