"""Queries over when the collector itself could be reached: its own absence is nobody's silence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from sqlalchemy import bindparam, exists, func, select, update
from sqlalchemy.orm import Session

from monitor.model.chain import Precedes
from monitor.model.span import MINUTE, SECOND, Millis
from monitor.store.tables import ListeningRow
from monitor.store.upsert import insert_new, table_of

_LISTENING = table_of(ListeningRow)
_SINCE = (
    select(_LISTENING.c.since_at, _LISTENING.c.until_at)
    .where(_LISTENING.c.since_at <= bindparam("as_of"))
    .order_by(_LISTENING.c.since_at.desc())
    .limit(1)
)

ABSENT_AFTER: Millis = 15 * SECOND
"""Without a note for so long the collector was away, or its database was: agents could not be heard."""


APART: Millis = MINUTE
"""So far may the clocks of the collector's machines be apart; what is noted further ahead was noted by a clock that was set back."""


def listens(session: Session, now: Millis, absent_after: Millis = ABSENT_AFTER) -> None:
    """Note that a process of the collector listens now; after `absent_after` without a note a new stretch begins.

    So does one where the clock was set back: what was noted by a clock that was ahead says nothing of now.
    """
    here = (ListeningRow.until_at >= now - absent_after, ListeningRow.until_at <= now + APART)
    order = (ListeningRow.number.desc(), ListeningRow.since_at.desc())
    row = session.scalars(select(ListeningRow).where(*here).order_by(*order).limit(1)).one_or_none()
    if row is None:
        number = session.scalars(select(func.coalesce(func.max(ListeningRow.number), 0))).one() + 1
        insert_new(session, ListeningRow, [{"since_at": now, "until_at": now, "number": number}])
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


def order_of_moments(session: Session) -> Precedes:
    """Return what tells whether the collector may have shown one moment no later than another, by the stretches noted.

    So it did where the one lies in a stretch that was begun before the other's: its clock was set back in between. They are
    read when somebody asks for a pair that is out of order, which is seldom.
    """
    noted: list[tuple[int, Millis, Millis]] = []

    def stretches(at: Millis) -> list[int]:
        return [number for number, since, until in noted if since - ABSENT_AFTER <= at <= until + ABSENT_AFTER]

    def precedes(one: Millis, other: Millis) -> bool:
        if one < other + APART:
            return True
        if not noted:
            query = select(ListeningRow.number, ListeningRow.since_at, ListeningRow.until_at)
            noted.extend((number, since, until) for number, since, until in session.execute(query))
        before, behind = stretches(one), stretches(other)
        return bool(before and behind) and min(before) < max(behind)

    return precedes


def listening_since(session: Session, as_of: Millis) -> Millis | None:
    """Return since when the collector had been listening at `as_of`, as far as is noted; None before the first note.

    Where nobody listened then, it is `as_of` itself: evaluations may go on while nobody can be heard.
    """
    found = session.execute(_SINCE, {"as_of": as_of}).first()
    if found is None:
        return None
    since, until = found
    return since if as_of - until <= ABSENT_AFTER else as_of
