"""Queries over the clocks of agents, and over when the centre's own disagreed with them."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from monitor.model.span import MINUTE, Millis
from monitor.store.tables import AgentRow, ClockDisputeRow, ClockWaitRow
from monitor.store.upsert import insert_new, table_of

_DISPUTE = table_of(ClockDisputeRow)
_DISPUTED = (
    select(_DISPUTE.c.since_at)
    .where(_DISPUTE.c.since_at <= bindparam("as_of"), _DISPUTE.c.until_at >= bindparam("since"))
    .limit(1)
)

APART: Millis = MINUTE
"""So far may the clocks of the collector's machines be apart."""


def note_offset(
    session: Session,
    institution_id: str,
    agent_id: str,
    offset: Millis,
    now: Millis,
    unless_since: Millis | None = None,
) -> None:
    """Keep by how much an agent's clock differs from the centre's, as of now; `unless_since`: not where that was told since then."""
    row = AgentRow
    here = [row.institution_id == institution_id, row.id == agent_id]
    if unless_since is not None:
        here.append(or_(row.clock_at.is_(None), row.clock_at < unless_since, row.clock_at > now))
    session.execute(update(row).where(*here).values(clock_offset=offset, clock_at=now))


def offsets_since(session: Session, since: Millis, now: Millis) -> list[Millis]:
    """Return the newest offset of every agent that was compared in [since, now]."""
    query = select(AgentRow.clock_offset).where(AgentRow.clock_at >= since, AgentRow.clock_at <= now)
    return [offset for offset in session.scalars(query) if offset is not None]


def count_agents(session: Session) -> int:
    """Return how many agents are enrolled."""
    return session.scalars(select(func.count()).select_from(AgentRow)).one()


def note_dispute(session: Session, now: Millis, within: Millis) -> None:
    """Note that the clocks disagree now: a stretch that ended less than `within` ago goes on, else one begins."""
    row = ClockDisputeRow
    here = (row.until_at >= now - within, row.until_at <= now + APART)
    since = session.scalars(select(row.since_at).where(*here).order_by(row.until_at.desc()).limit(1)).one_or_none()
    if since is None:
        insert_new(session, row, [{"since_at": now, "until_at": now}])
        return
    session.execute(update(row).where(row.since_at == since, row.until_at < now).values(until_at=now))


def is_any_dispute_after(session: Session, now: Millis) -> bool:
    """Tell whether it is noted that the clocks disagreed at a moment to come."""
    return (
        session.execute(select(ClockDisputeRow.since_at).where(ClockDisputeRow.until_at > now).limit(1)).first()
        is not None
    )


def forget_disputes_after(session: Session, now: Millis) -> None:
    """Forget that the clocks disagreed at moments to come: the clock that showed them was ahead, and was set back since."""
    session.execute(delete(ClockDisputeRow).where(ClockDisputeRow.since_at > now))
    session.execute(update(ClockDisputeRow).where(ClockDisputeRow.until_at > now).values(until_at=now))


def disputed_at(session: Session, as_of: Millis, within: Millis) -> bool:
    """Tell whether the clocks disagreed at `as_of`, or less than `within` before."""
    return session.execute(_DISPUTED, {"as_of": as_of, "since": as_of - within}).first() is not None


def note_wait(session: Session, now: Millis, within: Millis) -> Millis:
    """Note that a report waits for other agents to be heard; return since when one does, without a break of `within`."""
    row = session.scalars(select(ClockWaitRow).order_by(ClockWaitRow.since_at).limit(1)).one_or_none()
    # A clock that was set meanwhile, either way, makes a break.
    if row is None or not 0 <= now - row.until_at <= within:
        session.execute(delete(ClockWaitRow))
        insert_new(session, ClockWaitRow, [{"since_at": now, "until_at": now}])
        return now
    since = row.since_at
    session.execute(update(ClockWaitRow).where(ClockWaitRow.since_at == since).values(until_at=now))
    return since
