"""Queries over when the collector itself could be reached: its own absence is nobody's silence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from monitor.model.span import MINUTE, SECOND, Millis
from monitor.store.tables import ListeningRow
from monitor.store.upsert import insert_new

ABSENT_AFTER: Millis = 15 * SECOND
"""Without a note for so long the collector was away, or its database was: agents could not be heard."""


APART: Millis = MINUTE
"""So far may the clocks of the collector's machines be apart; what is noted further ahead was noted by a clock that was set back."""


def listens(session: Session, now: Millis, absent_after: Millis = ABSENT_AFTER) -> None:
    """Note that a process of the collector listens now; after `absent_after` without a note a new stretch begins.

    So does one where the clock was set back: what was noted by a clock that was ahead says nothing of now.
    """
    newest = select(ListeningRow).where(ListeningRow.since_at <= now + APART)
    row = session.scalars(newest.order_by(ListeningRow.since_at.desc()).limit(1)).one_or_none()
    if row is None or not -APART <= now - row.until_at <= absent_after:
        insert_new(session, ListeningRow, [{"since_at": now, "until_at": now}])
        return
    session.execute(
        update(ListeningRow)
        .where(ListeningRow.since_at == row.since_at, ListeningRow.until_at < now)
        .values(until_at=now)
    )


def listened_at(session: Session, at: Millis) -> bool:
    """Tell whether the collector listened at an instant, by what is noted; of the time before the first note nobody knows."""
    begun = ListeningRow.since_at <= at
    if session.scalars(select(exists().where(begun, ListeningRow.until_at >= at - ABSENT_AFTER))).one():
        return True
    return not session.scalars(select(exists().where(begun))).one()


def listened(session: Session) -> Callable[[Millis], bool]:
    """Return what tells the same of any number of instants, by what is noted now."""
    query = select(ListeningRow.since_at, ListeningRow.until_at).order_by(ListeningRow.since_at)
    noted = session.execute(query).all()
    begun = [since for since, _ in noted]
    # A clock that was set back leaves stretches that overlap.
    latest = list(accumulate((until for _, until in noted), max))

    def told(at: Millis) -> bool:
        index = bisect_right(begun, at)
        return index == 0 or at - latest[index - 1] <= ABSENT_AFTER

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
