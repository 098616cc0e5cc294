"""Notices: messages that somebody is owed, and when each is tried next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from monitor.model.span import Millis
from monitor.store.journal import note
from monitor.store.tables import NoticeRow
from monitor.store.upsert import insert_new

OPENED = "opened"


@dataclass(frozen=True)
class Notice:
    """A message due about a finding, and how often it has been tried."""

    institution: str
    finding: str
    occasion: str
    created: Millis
    due: Millis
    attempts: int
    taken_by: frozenset[str] = frozenset()
    """Marks of the addresses that have taken it already."""


def owe_notices(session: Session, institution: str, findings: Sequence[str], now: Millis) -> None:
    """Owe a notice for each finding that opened; one that is owed already stays as it is."""
    rows = [
        {
            "institution_id": institution,
            "finding_id": finding_id,
            "occasion": OPENED,
            "created_at": now,
            "due_at": now,
            "attempts": 0,
            "sent_at": None,
            "taken_by": None,
        }
        for finding_id in findings
    ]
    insert_new(session, NoticeRow, rows)
    here = (NoticeRow.institution_id == institution, NoticeRow.occasion == OPENED)
    note(session, institution, NoticeRow, *here, NoticeRow.finding_id.in_(findings))


def due_notices(session: Session, now: Millis, limit: int = 100) -> list[Notice]:
    """Return the notices that are due, the longest due first."""
    query = select(NoticeRow).where(NoticeRow.due_at <= now).order_by(NoticeRow.due_at).limit(limit)
    return [_notice(row, now) for row in session.scalars(query)]


def is_any_due_after(session: Session, latest: Millis) -> bool:
    """Tell whether a notice is due after an instant: an index look-up."""
    return session.execute(select(NoticeRow.finding_id).where(NoticeRow.due_at > latest).limit(1)).first() is not None


def tried_by(session: Session, now: Millis, latest: Millis) -> int:
    """Notices that are due after `latest`, by a clock that has been set back since, are due now; return how many."""
    moved = update(NoticeRow).where(NoticeRow.due_at > latest).values(due_at=now, created_at=now)
    return len(session.execute(moved.returning(NoticeRow.finding_id)).all())


def _notice(row: NoticeRow, now: Millis) -> Notice:
    return Notice(
        institution=row.institution_id,
        finding=row.finding_id,
        occasion=row.occasion,
        created=row.created_at,
        due=now if row.due_at is None else row.due_at,
        attempts=row.attempts,
        taken_by=frozenset((row.taken_by or "").split()),
    )


def claim(session: Session, notice: Notice, until: Millis) -> bool:
    """Take a due notice on, by moving it to when it is tried again; False when another process was first."""
    statement = update(NoticeRow).where(*_here(notice), NoticeRow.due_at == notice.due)
    taken = statement.values(due_at=until, attempts=notice.attempts + 1).returning(NoticeRow.finding_id)
    return session.execute(taken).first() is not None


def sent(session: Session, notice: Notice, now: Millis) -> None:
    """Note that every address took the notice: it is due no more."""
    session.execute(update(NoticeRow).where(*_here(notice)).values(due_at=None, sent_at=now))


def give_up(session: Session, notice: Notice) -> None:
    """Note that a notice is not tried any more."""
    session.execute(update(NoticeRow).where(*_here(notice)).values(due_at=None))


def taken(session: Session, notice: Notice, marks: frozenset[str]) -> None:
    """Note which addresses have taken the notice so far."""
    session.execute(update(NoticeRow).where(*_here(notice)).values(taken_by=" ".join(sorted(marks))))


def _here(notice: Notice) -> tuple[ColumnElement[bool], ...]:
    return (
        NoticeRow.institution_id == notice.institution,
        NoticeRow.finding_id == notice.finding,
        NoticeRow.occasion == notice.occasion,
    )
