"""Queries over the clocks of agents, and over when the centre's own disagreed with them."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from monitor.model.span import Millis
from monitor.store.tables import AgentRow, ClockDisputeRow, ClockWaitRow
from monitor.store.upsert import insert_new


def note_offset(session: Session, institution_id: str, agent_id: str, offset: Millis, now: Millis) -> None:
    """Keep by how much an agent's clock differs from the centre's, as of now."""
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    session.execute(update(AgentRow).where(*here).values(clock_offset=offset, clock_at=now))


def offsets_since(session: Session, since: Millis, now: Millis) -> list[Millis]:
    """Return the newest offset of every agent that was compared in [since, now]."""
    query = select(AgentRow.clock_offset).where(AgentRow.clock_at >= since, AgentRow.clock_at <= now)
    return [offset for offset in session.scalars(query) if offset is not None]


def count_agents(session: Session) -> int:
    """Return how many agents are enrolled."""
    return session.scalars(select(func.count()).select_from(AgentRow)).one()


def note_dispute(session: Session, now: Millis, within: Millis) -> None:
    """Note that the clocks disagree now: a stretch that ended less than `within` ago goes on, else one begins."""
    row = session.scalars(select(ClockDisputeRow).order_by(ClockDisputeRow.since_at.desc()).limit(1)).one_or_none()
    if row is None or not 0 <= now - row.until_at <= within:
        insert_new(session, ClockDisputeRow, [{"since_at": now, "until_at": now}])
        return
    session.execute(update(ClockDisputeRow).where(ClockDisputeRow.since_at == row.since_at).values(until_at=now))


def disputed_at(session: Session, as_of: Millis, within: Millis) -> bool:
    """Tell whether the clocks disagreed at `as_of`, or less than `within` before."""
    here = (ClockDisputeRow.since_at <= as_of, ClockDisputeRow.until_at >= as_of - within)
    return session.execute(select(ClockDisputeRow.since_at).where(*here).limit(1)).first() is not None


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
