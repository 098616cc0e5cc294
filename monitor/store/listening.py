"""Queries over when the collector itself could be reached: its own absence is nobody's silence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from monitor.model.span import SECOND, Millis
from monitor.store.tables import ListeningRow
from monitor.store.upsert import insert_new

ABSENT_AFTER: Millis = 15 * SECOND
"""Without a note for so long the collector was away, or its database was: agents could not be heard."""


def listens(session: Session, now: Millis, absent_after: Millis = ABSENT_AFTER) -> None:
    """Note that a process of the collector listens now; after `absent_after` without a note a new stretch begins."""
    newest = select(ListeningRow).order_by(ListeningRow.since_at.desc()).limit(1)
    row = session.scalars(newest).one_or_none()
    if row is None or now - row.until_at > absent_after:
        insert_new(session, ListeningRow, [{"since_at": now, "until_at": now}])
        return
    session.execute(
        update(ListeningRow)
        .where(ListeningRow.since_at == row.since_at, ListeningRow.until_at < now)
        .values(until_at=now)
    )


def listened_at(session: Session, at: Millis) -> bool:
    """Tell whether the collector listened at an instant, by what is noted; of the time before the first note nobody knows."""
    query = select(ListeningRow.until_at).where(ListeningRow.since_at <= at).order_by(ListeningRow.since_at.desc())
    until = session.scalars(query.limit(1)).one_or_none()
    return until is None or at - until <= ABSENT_AFTER


def listened(session: Session) -> Callable[[Millis], bool]:
    """Return what tells the same of any number of instants, by what is noted now."""
    query = select(ListeningRow.since_at, ListeningRow.until_at).order_by(ListeningRow.since_at)
    noted = [(since, until) for since, until in session.execute(query)]

    def told(at: Millis) -> bool:
        index = bisect_right(noted, at, key=lambda stretch: stretch[0])
        return index == 0 or at - noted[index - 1][1] <= ABSENT_AFTER

    return told


def listening_since(session: Session, as_of: Millis) -> Millis | None:
    """Return since when the collector had been listening at `as_of`, as far as is noted; None before the first note.

    Where nobody listened then, it is `as_of` itself: evaluations may go on while nobody can be heard.
    """
    query = select(ListeningRow).where(ListeningRow.since_at <= as_of).order_by(ListeningRow.since_at.desc())
    row = session.scalars(query.limit(1)).one_or_none()
    if row is None:
        return None
    return row.since_at if as_of - row.until_at <= ABSENT_AFTER else as_of
