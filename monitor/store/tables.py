"""The tables. Instants are UTC milliseconds; what is large begins its primary key with institution_id."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = Annotated[str, mapped_column(String(64))]
Word = Annotated[str, mapped_column(String(40))]
Digest = Annotated[str, mapped_column(String(71))]
EnvelopeDigest = Annotated[str, mapped_column(String(160))]
"""By whichever algorithm the envelope names."""
Instant = Annotated[int, mapped_column(BigInteger)]
Json = Annotated[str, mapped_column(Text)]
"""JSON as text: read and written in Python, never looked into by SQL."""


class Base(DeclarativeBase):
    """All tables, with names for their constraints so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class JurisdictionRow(Base):
    """A node of the tree of supervising areas."""

    __tablename__ = "jurisdiction"

    code: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    level: Mapped[Word]
    parent: Mapped[str | None] = mapped_column(String(16), ForeignKey("jurisdiction.code"), index=True)


class InstitutionRow(Base):
    """A supervised site, and how it stood at its last evaluation (so that lists need no join)."""

    __tablename__ = "institution"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    timezone: Mapped[str] = mapped_column(String(64))
    jurisdiction: Mapped[str | None] = mapped_column(String(16), ForeignKey("jurisdiction.code"), index=True)
    regulation: Mapped[Id]
    approved_inventory: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[Instant]
    last_report_at: Mapped[int | None] = mapped_column(BigInteger)
    evaluate_due_at: Mapped[int | None] = mapped_column(BigInteger)
    evaluated_at: Mapped[int | None] = mapped_column(BigInteger)
    evaluation: Mapped[int] = mapped_column(Integer, default=0)
    """Counts evaluations: who writes one makes sure that no other was written since it read."""
    open_findings: Mapped[int] = mapped_column(Integer, default=0)
    breached: Mapped[int] = mapped_column(Integer, default=0)
    undetermined: Mapped[int] = mapped_column(Integer, default=0)
    met: Mapped[int] = mapped_column(Integer, default=0)
    silent: Mapped[bool] = mapped_column(Boolean, default=False)
    views_waiting: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """Proposed views that wait for an officer."""
    unreadable: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """How many stored rows its newest evaluation couldn't read."""
    journal: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """How many entries its journal has."""
    journal_head: Mapped[str | None] = mapped_column(String(71))
    """The digest of the last of them; null: it has none."""

    __table_args__ = (
        Index("ix_institution_worst", open_findings.desc(), breached.desc(), undetermined.desc(), "id"),
        Index(
            "ix_institution_views",
            views_waiting,
            sqlite_where=views_waiting > 0,
            postgresql_where=views_waiting > 0,
        ),
        Index(
            "ix_institution_due",
            evaluate_due_at,
            sqlite_where=evaluate_due_at.is_not(None),
            postgresql_where=evaluate_due_at.is_not(None),
        ),
    )


class AgentRow(Base):
    """An enrolled agent: its chain of reports, its newest report, and when its silence becomes due."""

    __tablename__ = "agent"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    enrolled_at: Mapped[Instant]
    last_report_at: Mapped[int | None] = mapped_column(BigInteger)
    reports: Mapped[int] = mapped_column(BigInteger, default=0)
    chain: Mapped[str | None] = mapped_column(Text)
    """Where its chain of envelopes holds and where not, as JSON (monitor.model.chain)."""
    chain_lost_at: Mapped[int | None] = mapped_column(BigInteger)
    """When reports came in first while the chain couldn't be read: they are not in it. Null: all are."""
    missing: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Reports that are known to be missing, by the chain."""
    forked_at: Mapped[int | None] = mapped_column(BigInteger)
    """When a second continuation of the chain came in: a restored backup, or a copy of the agent."""
    disputed: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Reports that came in twice with different bytes."""
    misdated: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Reports that say a time that can't be, before their nonce was given or yet to come: kept, and counted for nothing."""
    clock_offset: Mapped[int | None] = mapped_column(BigInteger)
    """The agent's clock minus the centre's, at least, in ms; 0 when it may be right."""
    clock_at: Mapped[int | None] = mapped_column(BigInteger)
    """When they were compared last."""
    version: Mapped[str | None] = mapped_column(String(40))
    silent_due_at: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index(
            "ix_agent_silent_due",
            silent_due_at,
            sqlite_where=silent_due_at.is_not(None),
            postgresql_where=silent_due_at.is_not(None),
        ),
    )


class AgentKeyRow(Base):
    """A public key of an agent. Keys are never removed: what they signed must stay checkable."""

    __tablename__ = "agent_key"

    institution_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The key's thumbprint (RFC 7638)."""
    jwk: Mapped[Json]
    registered_at: Mapped[Instant]
    replaced_at: Mapped[int | None] = mapped_column(BigInteger)
    """When another key took its place; what it signed before is accepted afterwards too."""
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    """Since when nothing that it signed is accepted any more."""

    __table_args__ = (ForeignKeyConstraint(["institution_id", "agent_id"], ["agent.institution_id", "agent.id"]),)


class CollectorKeyRow(Base):
    """A key of the centre's own, which all its processes share."""

    __tablename__ = "collector_key"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Instant]


class EnrolmentRow(Base):
    """A one-time code with which an agent registers its key; only its hash is kept."""

    __tablename__ = "enrolment"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), index=True)
    agent_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class ReportRow(Base):
    """A report's exact bytes, as they were received: its envelope. Before there were envelopes, the report alone."""

    __tablename__ = "report"

    institution_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    boot: Mapped[str] = mapped_column(String(32), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    digest: Mapped[EnvelopeDigest]
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str | None] = mapped_column(String(64))
    """The key that signed it; null: it came before there were signatures."""
    nonce_at: Mapped[int | None] = mapped_column(BigInteger)
    """It was written after this moment of the collector's clock, and before `received_at`."""
    written_at: Mapped[Instant]
    received_at: Mapped[Instant]
    doubt: Mapped[str | None] = mapped_column(String(40))
    """Why nothing of it is in the ledger (back_dated, ahead); null for what counts."""
    arrival: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """The how-many-eth of its agent's reports it was when it came in; 0: it came before they were numbered."""

    __table_args__ = (
        ForeignKeyConstraint(["institution_id", "agent_id"], ["agent.institution_id", "agent.id"]),
        Index(None, "institution_id", "received_at"),
    )


class DisputedReportRow(Base):
    """Other bytes for a report that is stored already, with a good signature: kept, and counted for nothing."""

    __tablename__ = "disputed_report"

    institution_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    boot: Mapped[str] = mapped_column(String(32), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    digest: Mapped[str] = mapped_column(String(160), primary_key=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[Instant]

    __table_args__ = (ForeignKeyConstraint(["institution_id", "agent_id"], ["agent.institution_id", "agent.id"]),)


class SpanRow(Base):
    """A stretch of one state of one subject: observations that say the same and overlap or touch are one row.

    `newest` is the newest of those observations as JSON: evidence, and its facts. `lasting` is that one of the
    observations that end with the row which may be presumed to hold longest, where it is another one.
    """

    __tablename__ = "span"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    lane: Mapped[str] = mapped_column(String(160), primary_key=True)
    """state, cause, basis and source in one word: what must be equal for two spans to be one."""
    start_at: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    end_at: Mapped[Instant]
    newest: Mapped[Json]
    lasting: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index(None, "institution_id", "end_at"),)


class InstantRow(Base):
    """An observation of a kind that is an instant, as JSON. Its digest is its identity."""

    __tablename__ = "instant"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    kind: Mapped[Word]
    subject_kind: Mapped[Word]
    subject_id: Mapped[Id]
    at: Mapped[Instant]
    body: Mapped[Json]

    __table_args__ = (
        Index("ix_instant_subject", "institution_id", "kind", "subject_kind", "subject_id", "at"),
        Index("ix_instant_time", "institution_id", "at", "digest"),
    )


class FootageRow(Base):
    """What the readings of a camera's index up to an instant come to: so that old ones need not be read again.

    It is made of the rows in `instant` and can be made again of them: they stay.
    """

    __tablename__ = "footage"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    camera_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    upto_at: Mapped[Instant]
    """The newest reading in it."""
    since_at: Mapped[Instant]
    """The newest reading beside it: as of an earlier instant, that one's part would be missing."""
    digest: Mapped[str] = mapped_column(String(71))
    """Of the body: what is kept of it in memory is found by this."""
    body: Mapped[Json]


class WaiverRow(Base):
    """Planned maintenance or an exemption, as JSON."""

    __tablename__ = "waiver"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[Instant]
    body: Mapped[Json]


class ViewDecisionRow(Base):
    """What an officer decided on a view that a site proposed; the proposal itself is an instant of the ledger."""

    __tablename__ = "view_decision"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    proposal: Mapped[str] = mapped_column(String(71), primary_key=True)
    """The digest of the observation."""
    camera_id: Mapped[Id]
    light: Mapped[Word]
    view: Mapped[Word]
    confirmed: Mapped[bool] = mapped_column(Boolean)
    decided_at: Mapped[Instant]
    decided_by: Mapped[Id]
    settled_at: Mapped[int | None] = mapped_column(BigInteger)
    """When an officer said that faults found against earlier views are over by this one."""
    settled_by: Mapped[str | None] = mapped_column(String(64))


class RunRow(Base):
    """Looks in a row that agree (monitor.model.finding.Run)."""

    __tablename__ = "run"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    requirement: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    first_at: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    last_at: Mapped[Instant]
    outcome: Mapped[Word]
    state: Mapped[Word]
    began_at: Mapped[int | None] = mapped_column(BigInteger)
    because_of: Mapped[str | None] = mapped_column(Text)
    """The cause as JSON."""


class VerdictRow(Base):
    """The newest verdict on one subject, in the contract's form; its citation in Chinese beside it."""

    __tablename__ = "verdict"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    requirement: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    outcome: Mapped[Word]
    state: Mapped[Word]
    body: Mapped[Json]
    citation_zh: Mapped[Json]

    __table_args__ = (Index(None, "requirement"),)


class EvaluationRow(Base):
    """What an institution's newest evaluation stood on beside ledger and register, and what it wrote: so that it can be made again."""

    __tablename__ = "evaluation"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    """The institution's `evaluation`."""
    body: Mapped[Json]
    digest: Mapped[Digest]
    """Of all this."""


class FindingRecord(Base):
    """A supervision case as it stands now."""

    __tablename__ = "finding"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    requirement: Mapped[Word]
    subject_kind: Mapped[Word]
    subject_id: Mapped[Id]
    state: Mapped[Word]
    stage: Mapped[Word]
    began_at: Mapped[Instant]
    opened_at: Mapped[Instant]
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    citation: Mapped[Json]
    citation_zh: Mapped[Json]
    measured: Mapped[Json]
    evidence: Mapped[Json]
    regulation: Mapped[Id]
    regulation_version: Mapped[int] = mapped_column(Integer)
    changes: Mapped[int] = mapped_column(Integer)
    """How many readings finding_change holds of it."""

    __table_args__ = (
        Index(None, "opened_at", "id"),
        Index(None, "id"),
        Index("ix_finding_open", "requirement", sqlite_where=ended_at.is_(None), postgresql_where=ended_at.is_(None)),
    )


class FindingChange(Base):
    """One reading of a finding: the first opened it, each further one moved its state or its times."""

    __tablename__ = "finding_change"

    institution_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    finding_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[Instant]
    state: Mapped[Word]
    began_at: Mapped[Instant]
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    measured: Mapped[Json]
    evidence: Mapped[Json]
    pack: Mapped[str | None] = mapped_column(String(71))
    """The digest of the pack by which it was judged; null: nothing was judged, times were set right, or no pack was kept yet."""
    reports: Mapped[str | None] = mapped_column(Text)
    """How many reports of each agent had come in when it was judged (JSON); null: as above, or they weren't counted yet."""

    __table_args__ = (ForeignKeyConstraint(["institution_id", "finding_id"], ["finding.institution_id", "finding.id"]),)


class JournalRow(Base):
    """What the centre alone says, as it was written: each entry has the digest of the one before it.

    Reports are signed by those who sent them; a finding, a waiver, a decision or the times of a key are signed by nobody.
    Entries are never changed nor removed.
    """

    __tablename__ = "journal"

    institution_id: Mapped[str] = mapped_column(String(64), ForeignKey("institution.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    of_table: Mapped[Word]
    of_row: Mapped[Json]
    """The row's key."""
    body: Mapped[Json]
    """The row's columns as they became; of a long text its digest."""
    digest: Mapped[Digest]
    """Of all this, and of the digest of the entry before."""


class PackRow(Base):
    """A pack as it was when findings were judged by it: the installed one is another after an update."""

    __tablename__ = "pack"

    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    id: Mapped[Id]
    version: Mapped[int] = mapped_column(Integer)
    kept_at: Mapped[Instant]
    body: Mapped[Json]


class NoticeRow(Base):
    """A message that somebody is owed about a finding, and when it is tried next (null: sent, or given up on)."""

    __tablename__ = "notice"

    institution_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    finding_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    occasion: Mapped[str] = mapped_column(String(40), primary_key=True)
    created_at: Mapped[Instant]
    due_at: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    sent_at: Mapped[int | None] = mapped_column(BigInteger)
    taken_by: Mapped[str | None] = mapped_column(Text)
    """Marks of the addresses that have taken it, so that a retry reaches only the others."""

    __table_args__ = (
        ForeignKeyConstraint(["institution_id", "finding_id"], ["finding.institution_id", "finding.id"]),
        Index("ix_notice_due", due_at, sqlite_where=due_at.is_not(None), postgresql_where=due_at.is_not(None)),
    )


class UserRow(Base):
    """Somebody who may sign in."""

    __tablename__ = "user_account"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[Instant]


class UserSessionRow(Base):
    """A signed-in session; only the hash of its id is kept."""

    __tablename__ = "user_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_name: Mapped[str] = mapped_column(String(64), ForeignKey("user_account.name"), index=True)
    created_at: Mapped[Instant]
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class ApiTokenRow(Base):
    """A token with which a script reads; only its hash is kept."""

    __tablename__ = "api_token"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_name: Mapped[str] = mapped_column(String(64), ForeignKey("user_account.name"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[Instant]
    expires_at: Mapped[int | None] = mapped_column(BigInteger)


class ClockDisputeRow(Base):
    """A stretch of time in which the centre's clock and the median of its agents' disagreed."""

    __tablename__ = "clock_dispute"

    since_at: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    until_at: Mapped[Instant]


class ClockWaitRow(Base):
    """The stretch of time in which reports wait, because too few agents are heard to tell whose clock is right."""

    __tablename__ = "clock_wait"

    since_at: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    until_at: Mapped[Instant]


class ListeningRow(Base):
    """A stretch of time in which the collector could be reached; what lies between two is its own absence."""

    __tablename__ = "listening"

    since_at: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    until_at: Mapped[Instant]
    number: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Which stretch it was: one of a higher number was begun later, whatever the clock showed. 0: they were not numbered yet."""
