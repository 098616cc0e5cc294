"""Agents: how they enrol, how their chain of reports stands, and when they last reported."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, func, select, update
from sqlalchemy.orm import Session

from monitor.model.chain import Chain, read_chain, write_chain
from monitor.model.span import Millis, isoformat
from monitor.store.tables import AgentRow, EnrolmentRow, InstitutionRow
from monitor.store.tokens import hash_secret
from monitor.store.upsert import insert_new, table_of

_AGENT, _INSTITUTION = table_of(AgentRow), table_of(InstitutionRow)
_THIS = (_AGENT.c.institution_id == bindparam("institution"), _AGENT.c.id == bindparam("agent"))


def _number(name: str) -> ColumnElement[int | None]:
    return bindparam(name, type_=BigInteger)


# Statements that every report needs are made once: to make one costs more than to run it.
_CHAIN = select(_AGENT.c.chain).where(*_THIS)
_HOLD = (
    update(_INSTITUTION)
    .where(_INSTITUTION.c.id == bindparam("institution"))
    .values(last_report_at=_number("at"), evaluate_due_at=func.coalesce(_INSTITUTION.c.evaluate_due_at, _number("at")))
    .returning(_INSTITUTION.c.regulation)
)
_REPORTED = (
    update(_AGENT)
    .where(*_THIS)
    .values(
        last_report_at=case((_AGENT.c.last_report_at > _number("at"), _AGENT.c.last_report_at), else_=_number("at")),
        reports=_AGENT.c.reports + _number("count"),
        version=bindparam("said"),
        silent_due_at=_number("silent"),
        chain=bindparam("grown"),
        missing=_number("holes"),
        misdated=_AGENT.c.misdated + _number("undated"),
        forked_at=func.coalesce(_AGENT.c.forked_at, _number("fork")),
        clock_offset=func.coalesce(_number("offset"), _AGENT.c.clock_offset),
        clock_at=func.coalesce(_number("compared"), _AGENT.c.clock_at),
    )
)


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

    @property
    def state(self) -> str:
        """How the chain of its reports stands: forked | disputed | misdated | incomplete | whole; none before the first report."""
        if self.forked_at is not None:
            return "forked"
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
    session.flush()


def enrolment_of(session: Session, code: str) -> Enrolment | None:
    """Return what a code stands for, None when there is no such code."""
    row = session.get(EnrolmentRow, hash_secret(code))
    return None if row is None else Enrolment(row.institution_id, row.agent_id, row.expires_at, row.used_at)


def use_code(session: Session, code: str, now: Millis) -> bool:
    """Use a code up; False when it has been used, has expired, or never was."""
    here = (
        EnrolmentRow.code_hash == hash_secret(code), EnrolmentRow.used_at.is_(None), EnrolmentRow.expires_at > now,
    )  # fmt: skip
    statement = update(EnrolmentRow).where(*here).values(used_at=now).returning(EnrolmentRow.code_hash)
    return session.execute(statement).first() is not None


def enrol(session: Session, institution_id: str, agent_id: str, now: Millis) -> None:
    """Enter an agent; one of the same id keeps its history, and a fork of before is settled: a person saw to it."""
    row = {"institution_id": institution_id, "id": agent_id, "enrolled_at": now, "reports": 0}
    insert_new(session, AgentRow, [row])
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    session.execute(update(AgentRow).where(*here).values(enrolled_at=now, forked_at=None))


def chain_of_agent(session: Session, institution_id: str, agent_id: str) -> Chain | None:
    """Return how the agent's chain stands, None when there is no such agent."""
    row = session.execute(_CHAIN, {"institution": institution_id, "agent": agent_id}).one_or_none()
    return None if row is None else read_chain(row[0])


def agents_of(session: Session, institution_id: str) -> list[AgentSummary]:
    """Return an institution's agents."""
    return _agents(session, AgentRow.institution_id == institution_id)


def all_agents(session: Session) -> list[AgentSummary]:
    """Return the agents of all institutions."""
    return _agents(session)


def _agents(session: Session, *conditions: ColumnElement[bool]) -> list[AgentSummary]:
    rows = session.scalars(select(AgentRow).where(*conditions).order_by(AgentRow.institution_id, AgentRow.id))
    return [
        AgentSummary(
            institution=row.institution_id,
            id=row.id,
            enrolled_at=row.enrolled_at,
            last_report_at=row.last_report_at,
            reports=row.reports,
            version=row.version,
            chain=read_chain(row.chain),
            missing=row.missing,
            forked_at=row.forked_at,
            disputed=row.disputed,
            misdated=row.misdated,
        )
        for row in rows
    ]


def heard_from(session: Session, institution_id: str) -> dict[str, Millis]:
    """Return, for each agent, since when it would be silent: its newest report, or its enrolment before the first."""
    return {
        agent.id: agent.enrolled_at if agent.last_report_at is None else max(agent.last_report_at, agent.enrolled_at)
        for agent in agents_of(session, institution_id)
    }


def hold_institution(session: Session, institution_id: str, now: Millis) -> str | None:
    """Lock an institution's row until the transaction ends and note that a report came in; return its pack's id.

    An evaluation becomes due if none is. Returns None when there is no such institution.
    """
    return session.scalars(_HOLD, {"institution": institution_id, "at": now}).one_or_none()


@dataclass(frozen=True)
class Arrival:
    """What a request changes of its agent: how many reports, of which version, and the chain with them."""

    count: int
    version: str
    chain: Chain
    forked: bool
    silent_due: Millis | None
    """When its silence becomes due (None: the pack asks for none)."""
    misdated: int = 0
    """So many of them say a time that can't be."""
    clock_offset: Millis | None = None
    """By how much at least the agent's clock is off; None where these reports can't tell."""


def reported(session: Session, institution_id: str, agent_id: str, now: Millis, arrival: Arrival) -> None:
    """Note what came in of an agent."""
    values = {
        "institution": institution_id,
        "agent": agent_id,
        "at": now,
        "count": arrival.count,
        "said": arrival.version,
        "silent": arrival.silent_due,
        "grown": write_chain(arrival.chain),
        "holes": arrival.chain.missing,
        "undated": arrival.misdated,
        "fork": now if arrival.forked else None,
        "offset": arrival.clock_offset,
        "compared": None if arrival.clock_offset is None else now,
    }
    session.execute(_REPORTED, values)


def dispute(session: Session, institution_id: str, agent_id: str, count: int) -> None:
    """Note that `count` reports came in whose place is taken by other bytes."""
    here = (AgentRow.institution_id == institution_id, AgentRow.id == agent_id)
    session.execute(update(AgentRow).where(*here).values(disputed=AgentRow.disputed + count))


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
