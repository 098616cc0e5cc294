"""Agents: how they enrol, how their chain of reports stands, and when they last reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select, update
from sqlalchemy.orm import Session

from monitor.model.chain import Chain, read_chain, write_chain
from monitor.model.span import Millis, isoformat
from monitor.store.given import NUMBER, TEXT, run_given, run_last
from monitor.store.journal import hold_journal, note
from monitor.store.stored import note_unreadable
from monitor.store.tables import AgentRow, EnrolmentRow, InstitutionRow
from monitor.store.tokens import hash_secret
from monitor.store.upsert import insert_new, table_of

_AGENT = table_of(AgentRow)
_AGENTS: Select[Any] = select(
    *(
        _AGENT.c[name]
        for name in (
            "institution_id", "id", "enrolled_at", "last_report_at", "reports", "version", "chain", "missing", "forked_at",
            "disputed", "misdated", "chain_lost_at",
        )
    )
).order_by(_AGENT.c.institution_id, _AGENT.c.id)  # fmt: skip
_AGENTS_OF = _AGENTS.where(_AGENT.c.institution_id == bindparam("who"))
_HOLD = (
    "WITH held AS (SELECT i.id, given.at FROM {given} CROSS JOIN institution AS i WHERE i.id = given.institution"
    " ORDER BY i.id {0}) UPDATE institution SET last_report_at = held.at, evaluate_due_at = coalesce(evaluate_due_at, held.at)"
    " FROM held WHERE institution.id = held.id RETURNING institution.id, institution.regulation"
)
_CHAINS = (
    "SELECT a.institution_id, a.id, a.chain, a.reports, a.chain_lost_at FROM {given} CROSS JOIN agent AS a"
    " WHERE a.institution_id = given.institution AND a.id = given.agent"
)
_REPORTED = (
    "UPDATE agent SET"
    " last_report_at = CASE WHEN agent.last_report_at > given.at THEN agent.last_report_at ELSE given.at END,"
    " reports = agent.reports + given.count, version = given.version, silent_due_at = given.silent,"
    " chain = coalesce(given.chain, agent.chain), missing = coalesce(given.missing, agent.missing),"
    " chain_lost_at = coalesce(agent.chain_lost_at, given.lost), misdated = agent.misdated + given.misdated,"
    " forked_at = coalesce(agent.forked_at, given.forked), clock_offset = coalesce(given.offset_by, agent.clock_offset),"
    " clock_at = coalesce(given.compared, agent.clock_at)"
    " FROM {given} WHERE agent.institution_id = given.institution AND agent.id = given.agent"
)
_REPORTED_COLUMNS = {
    "institution": TEXT, "agent": TEXT, "at": NUMBER, "count": NUMBER, "version": TEXT, "silent": NUMBER, "chain": TEXT,
    "missing": NUMBER, "lost": NUMBER, "misdated": NUMBER, "forked": NUMBER, "offset_by": NUMBER, "compared": NUMBER,
}  # fmt: skip


@dataclass(frozen=True)
class AgentSummary:
    """An enrolled agent. Instants are UTC milliseconds."""

    institution: str
    id: str
    enrolled_at: Millis
    last_report_at: Millis | None
    reports: int
    version: str | None
    chain: Chain
    missing: int
    forked_at: Millis | None
    disputed: int
    misdated: int = 0
    chain_lost: bool = False
    """What is kept of its chain can't be read, or lacks reports that came in while it couldn't: `chain` is empty then."""
    chain_lost_at: Millis | None = None
    """When reports first came in that are not in it; None where none did."""

    @property
    def heard_at(self) -> Millis:
        """Since when it would be silent: its newest report, or its enrolment before the first."""
        return self.enrolled_at if self.last_report_at is None else max(self.last_report_at, self.enrolled_at)

    @property
    def state(self) -> str:
        """How the chain of its reports stands: forked | unreadable | disputed | misdated | incomplete | whole; none before the first report."""
        if self.forked_at is not None:
            return "forked"
        if self.chain_lost:
            return "unreadable"
        if self.disputed:
            return "disputed"
        if self.misdated:
            return "misdated"
        if self.missing or self.chain.beginnings > 1:
            return "incomplete"
        return "whole" if self.chain.segments else "none"

    def to_json(self) -> dict[str, object]:
        """Return the API's form."""
        last = None if self.last_report_at is None else isoformat(self.last_report_at)
        return {
            "id": self.id,
            "enrolled_at": isoformat(self.enrolled_at),
            "last_report_at": last,
            "reports": self.reports,
            "version": self.version,
            "chain": {
                "state": self.state,
                "missing": self.missing,
                "dropped": self.chain.dropped,
                "gaps": [
                    {
                        "reports": gap.count,
                        "dropped": gap.dropped,
                        "after_at": None if gap.after_at is None else isoformat(gap.after_at),
                        "before_at": isoformat(gap.before_at),
                    }
                    for gap in self.chain.gaps
                ],
                "forked_at": None if self.forked_at is None else isoformat(self.forked_at),
                "unreadable": self.chain_lost,
                "disputed": self.disputed,
                "misdated": self.misdated,
                "beginnings": self.chain.beginnings,
            },
        }


@dataclass(frozen=True)
class Enrolment:
    """What a one-time code stands for; `agent` is None when the agent may name itself."""

    institution: str
    agent: str | None
    expires: Millis
    used: Millis | None


def add_enrolment(
    session: Session, code: str, institution_id: str, agent_id: str | None, now: Millis, expires: Millis
) -> None:
    """Keep a one-time code (its hash)."""
    row = EnrolmentRow(
        code_hash=hash_secret(code),
        institution_id=institution_id,
        agent_id=agent_id,
        created_at=now,
        expires_at=expires,
    )
    session.add(row)
    note(session, institution_id, EnrolmentRow, EnrolmentRow.code_hash == row.code_hash)


def enrolment_of(session: Session, code: str) -> Enrolment | None:
    """Return what a code stands for, None when there is no such code."""
    row = session.get(EnrolmentRow, hash_secret(code))
    return None if row is None else Enrolment(row.institution_id, row.agent_id, row.expires_at, row.used_at)


def use_code(session: Session, code: str, now: Millis) -> bool:
    """Use a code up; False when it has been used, has expired, or never was."""
    here = (
        EnrolmentRow.code_hash == hash_secret(code), EnrolmentRow.used_at.is_(None), EnrolmentRow.expires_at > now,
    )  # fmt: skip
    statement = update(EnrolmentRow).where(*here).values(used_at=now).returning(EnrolmentRow.institution_id)
    institution_id = session.scalars(statement).first()
    if institution_id is None:
        return False
    note(session, institution_id, EnrolmentRow, here[0])
    return True


def enrol(session: Session, institution_id: str, agent_id: str, now: Millis, silent_due: Millis | None = None) -> None:
    """Enter an agent; one of the same id keeps its history, and a fork of before is settled: a person saw to it.

    `silent_due` is when its silence becomes due, unless it reports: an agent that is never started is one too.
    """
    hold_journal(session, institution_id)
    row = {"institution_id": institution_id, "id": agent_id, "enrolled_at": now, "reports": 0}
    insert_new(session, AgentRow, [row])
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    session.execute(update(AgentRow).where(*here).values(enrolled_at=now, forked_at=None, silent_due_at=silent_due))
    note(session, institution_id, AgentRow, *here)


def hold_agent(session: Session, institution_id: str, agent_id: str) -> None:
    """Lock an agent's row until the transaction ends: its keys are registered and revoked one after the other.

    Its institution's goes before it, as where reports come in.
    """
    hold_journal(session, institution_id)
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    session.execute(select(AgentRow.id).where(*here).with_for_update()).all()


@dataclass(frozen=True)
class KnownChain:
    """What is kept of an agent's chain."""

    chain: Chain | None
    """None: it can't be read, or isn't that of all reports that came in."""
    reports: int
    """So many came in."""
    lost_at: Millis | None
    """When reports came in first that are not in it."""


def chains_of_agents(session: Session, agents: Sequence[tuple[str, str]]) -> dict[tuple[str, str], KnownChain]:
    """Return what is kept of the chains of these agents (institution, agent). One that isn't enrolled is left out."""
    found = run_given(session, _CHAINS, {"institution": TEXT, "agent": TEXT}, agents)
    return {(row[0], row[1]): KnownChain(_chain(row[2], row[4]), row[3], row[4]) for row in found}


def replace_chain(session: Session, institution_id: str, agent_id: str, chain: Chain, forked_at: Millis | None) -> None:
    """Put a chain of all reports that came in in the place of what is kept; note a fork where none is noted yet."""
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    values = {"chain": write_chain(chain), "missing": chain.missing, "chain_lost_at": None}
    noted = func.coalesce(AgentRow.forked_at, forked_at)
    session.execute(update(AgentRow).where(*here).values(**values, forked_at=noted))
    session.expire_all()


def agents_of(session: Session, institution_id: str) -> list[AgentSummary]:
    """Return an institution's agents."""
    return _agents(session, session.execute(_AGENTS_OF, {"who": institution_id}).all())


def institutions_of_agents(session: Session) -> set[str]:
    """Return the institutions that have agents, in the register or not."""
    return set(session.scalars(select(AgentRow.institution_id).distinct()))


def all_agents(session: Session) -> list[AgentSummary]:
    """Return the agents of all institutions."""
    return _agents(session, session.execute(_AGENTS).all())


def count_reports(session: Session) -> int:
    """Return how many reports came in of all agents."""
    return int(session.scalars(select(func.sum(AgentRow.reports))).one() or 0)


def _agents(session: Session, rows: Sequence[Row[Any]]) -> list[AgentSummary]:
    chains = [_chain(row.chain, row.chain_lost_at) for row in rows]
    for _ in range(chains.count(None)):
        note_unreadable(session)
    return [
        AgentSummary(
            institution=row.institution_id,
            id=row.id,
            enrolled_at=row.enrolled_at,
            last_report_at=row.last_report_at,
            reports=row.reports,
            version=row.version,
            chain=Chain() if chain is None else chain,
            missing=row.missing,
            forked_at=row.forked_at,
            disputed=row.disputed,
            misdated=row.misdated,
            chain_lost=chain is None,
            chain_lost_at=row.chain_lost_at,
        )
        for row, chain in zip(rows, chains, strict=True)
    ]


def _chain(text: str | None, lost_at: Millis | None) -> Chain | None:
    """Return what is kept of a chain; None where it can't be read, or lacks reports that came in while it couldn't."""
    if lost_at is not None:
        return None
    try:
        return read_chain(text)
    except (ValueError, TypeError, RecursionError):
        return None


def last_report_at(session: Session, institution_id: str, agent_id: str) -> Millis | None:
    """Return when an agent's newest report came in; None before the first."""
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    return session.scalars(select(AgentRow.last_report_at).where(*here)).one_or_none()


def heard_from(session: Session, institution_id: str) -> dict[str, Millis]:
    """Return, for each agent, since when it would be silent."""
    return {agent.id: agent.heard_at for agent in agents_of(session, institution_id)}


def hold_institutions(session: Session, institutions: Iterable[str], now: Millis) -> dict[str, str]:
    """Lock institutions' rows until the transaction ends and note that reports came in; return their packs' ids.

    An evaluation becomes due where none is. They are locked in one order: whoever else holds several does the same.
    """
    rows = [(name, now) for name in set(institutions)]
    found = run_given(session, _HOLD, {"institution": TEXT, "at": NUMBER}, rows, "FOR UPDATE OF i")
    return {row[0]: row[1] for row in found}


@dataclass(frozen=True)
class Arrival:
    """What a request changes of its agent: how many reports, of which version, and the chain with them."""

    count: int
    version: str
    chain: Chain | None
    """None: what is kept of it can't be read, and stays as it is."""
    forked: bool
    silent_due: Millis | None
    """When its silence becomes due (None: the pack asks for none)."""
    misdated: int = 0
    """So many of them say a time that can't be."""
    clock_offset: Millis | None = None
    """By how much at least the agent's clock is off; None where these reports can't tell."""


def reported(session: Session, arrivals: Mapping[tuple[str, str], Arrival], now: Millis) -> None:
    """Note what came in of agents (institution, agent)."""
    rows = [
        (
            *who, now, item.count, item.version, item.silent_due, *_written(item.chain, now), item.misdated,
            now if item.forked else None, item.clock_offset, None if item.clock_offset is None else now,
        )
        for who, item in arrivals.items()
    ]  # fmt: skip
    run_last(session, _REPORTED, _REPORTED_COLUMNS, rows)


def _written(chain: Chain | None, now: Millis) -> tuple[str | None, int | None, Millis | None]:
    """Return the chain, what is missing of it, and when reports came in that aren't in it: None for what stays."""
    return (None, None, now) if chain is None else (write_chain(chain), chain.missing, None)


def dispute(session: Session, institution_id: str, agent_id: str, count: int) -> None:
    """Note that `count` reports came in whose place is taken by other bytes."""
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    session.execute(update(AgentRow).where(*here).values(disputed=AgentRow.disputed + count))


def heard_by(session: Session, now: Millis, latest: Millis) -> int:
    """Agents that were heard after `latest`, by a clock that has been set back since, were heard now; return how many.

    Their silence is due so long after as it was.
    """
    row = AgentRow
    ahead = row.last_report_at - now
    moved = update(row).where(row.last_report_at > latest)
    values = {"last_report_at": now, "silent_due_at": row.silent_due_at - ahead}
    return len(session.execute(moved.values(**values).returning(row.id)).all())


def due_silences(session: Session, now: Millis, limit: int = 500) -> list[tuple[str, str, Millis]]:
    """Return (institution, agent, when it was due) of the agents whose silence is due."""
    query = select(AgentRow.institution_id, AgentRow.id, AgentRow.silent_due_at).where(AgentRow.silent_due_at <= now)
    rows = session.execute(query.order_by(AgentRow.silent_due_at).limit(limit))
    return [(institution_id, agent_id, due) for institution_id, agent_id, due in rows if due is not None]


def fall_silent(session: Session, institution_id: str, agent_id: str, due: Millis, now: Millis) -> bool:
    """Take a due silence on: it is due no more, and its institution's evaluation is. False when somebody was first."""
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id, AgentRow.silent_due_at == due)
    taken = update(AgentRow).where(*here).values(silent_due_at=None).returning(AgentRow.id)
    if session.execute(taken).first() is None:
        return False
    session.execute(update(InstitutionRow).where(InstitutionRow.id == institution_id).values(evaluate_due_at=now))
    return True
