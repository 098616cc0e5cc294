"""Reports as they were received: each is kept once, by (institution, agent, boot, sequence)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, false, func, or_, select, tuple_
from sqlalchemy.orm import Session

from monitor.model.envelope import Envelope, Place
from monitor.model.report import Report
from monitor.model.span import Millis, to_millis
from monitor.store.given import NUMBER, TEXT, run_given
from monitor.store.tables import DisputedReportRow, ReportRow
from monitor.store.upsert import insert_new, insert_rows

_KNOWN = (
    "SELECT given.institution, given.agent, given.boot, given.sequence, (SELECT r.digest FROM report AS r WHERE"
    " r.institution_id = given.institution AND r.agent_id = given.agent AND r.boot = given.boot AND r.sequence = given.sequence)"
    " FROM {given}"
)
"""Not a join: a plan that PostgreSQL keeps from when the table was small would read all of it."""
_KEY = {"institution": TEXT, "agent": TEXT, "boot": TEXT, "sequence": NUMBER}

MAX_DISPUTED = 1000
"""So many disputed reports of one agent are kept: enough to show what happened."""

Position = tuple[str, int]
"""(boot, sequence): the place of a report among those of its agent."""


@dataclass(frozen=True)
class Received:
    """A report beside the envelope that it was read from."""

    report: Report
    envelope: Envelope
    nonce_at: Millis
    doubt: str | None = None
    """Why nothing of it counts; None for what does."""

    @property
    def digest(self) -> str:
        """The digest of the envelope's exact bytes."""
        return self.envelope.digest

    @property
    def position(self) -> Position:
        """The place of the report among those of its agent."""
        return self.report.boot, self.report.sequence


Key = tuple[str, str, str, int]
"""(institution, agent, boot, sequence)."""


def known_digests(session: Session, wanted: Iterable[Key]) -> dict[Key, str]:
    """Return the digests of those of these reports that are stored already."""
    rows = run_given(session, _KNOWN, _KEY, list(dict.fromkeys(wanted)))
    return {(row[0], row[1], row[2], row[3]): row[4] for row in rows if row[4] is not None}


def add_reports(session: Session, received: Sequence[tuple[Received, int]], received_at: Millis) -> None:
    """Keep reports that are not stored yet, each with its number among those of its agent that came in."""
    rows = [
        {
            "institution_id": item.report.institution,
            "agent_id": item.report.agent,
            "boot": item.report.boot,
            "sequence": item.report.sequence,
            "digest": item.digest,
            "envelope": item.envelope.data,
            "key_id": item.envelope.protected.kid,
            "nonce_at": item.nonce_at,
            "written_at": to_millis(item.report.written_at),
            # It came in after its nonce was given, though the clock may have been set back in between.
            "received_at": max(received_at, item.nonce_at),
            "doubt": item.doubt,
            "arrival": arrival,
        }
        for item, arrival in received
    ]
    insert_rows(session, ReportRow, rows, last=True)


def add_disputed(session: Session, received: Sequence[Received], received_at: Millis) -> list[Received]:
    """Keep other bytes for reports that are stored already; return those that are kept now: too many of one agent are not."""
    if not received:
        return []
    first = received[0].report
    here = (DisputedReportRow.institution_id == first.institution, DisputedReportRow.agent_id == first.agent)
    kept = session.execute(
        select(DisputedReportRow.boot, DisputedReportRow.sequence, DisputedReportRow.digest).where(*here)
    ).all()
    known = {tuple(row) for row in kept}
    fresh = {(*item.position, item.digest): item for item in received if (*item.position, item.digest) not in known}
    added = list(fresh.values())[: max(0, MAX_DISPUTED - len(known))]
    rows = [
        {
            "institution_id": first.institution,
            "agent_id": first.agent,
            "boot": item.report.boot,
            "sequence": item.report.sequence,
            "digest": item.digest,
            "envelope": item.envelope.data,
            "received_at": received_at,
        }
        for item in added
    ]
    insert_new(session, DisputedReportRow, rows)
    return added


@dataclass(frozen=True)
class DisputedReport:
    """Other bytes for a report that is stored already, as their row lies in the store."""

    position: Position
    digest: str
    envelope: bytes


def disputed_reports(session: Session, institution_id: str, agent_id: str) -> Iterator[DisputedReport]:
    """Give an agent's disputed reports."""
    row = DisputedReportRow
    query = select(row.boot, row.sequence, row.digest, row.envelope)
    here = (row.institution_id == institution_id, row.agent_id == agent_id)
    order = (row.boot, row.sequence, row.digest)
    for boot, sequence, digest, envelope in session.execute(query.where(*here).order_by(*order)):
        yield DisputedReport((boot, sequence), digest, envelope)


def reporting_agents(session: Session, institution_id: str) -> set[str]:
    """Return the agents of an institution of which reports are stored."""
    row = ReportRow
    return set(session.scalars(select(row.agent_id).where(row.institution_id == institution_id).distinct()))


@dataclass(frozen=True)
class StoredReport:
    """A row as it lies in the store. Instants are UTC milliseconds."""

    position: Position
    digest: str
    envelope: bytes
    key_id: str | None
    nonce_at: Millis | None
    written_at: Millis
    received_at: Millis
    doubt: str | None
    arrival: int
    """The how-many-eth of its agent's reports it was when it came in; 0: it came before they were numbered."""

    @property
    def turn(self) -> Turn:
        """When it came in, beside the others of its agent."""
        return self.arrival, self.received_at, *self.position


Turn = tuple[int, Millis, str, int]
"""The order in which reports of an agent came in."""

_COLUMNS = (
    ReportRow.boot, ReportRow.sequence, ReportRow.digest, ReportRow.envelope, ReportRow.key_id, ReportRow.nonce_at,
    ReportRow.written_at, ReportRow.received_at, ReportRow.doubt, ReportRow.arrival,
)  # fmt: skip
_TURN = (ReportRow.arrival, ReportRow.received_at, ReportRow.boot, ReportRow.sequence)


def in_turn(session: Session, institution_id: str, agent_id: str, after: Turn | None) -> Iterator[StoredReport]:
    """Give an agent's rows in the order in which they came in, those alone after `after`.

    Their order is told by what is short of them: sorted with their envelopes they would be copied as a whole.
    """
    here = (ReportRow.institution_id == institution_id, ReportRow.agent_id == agent_id)
    later = () if after is None else (tuple_(*_TURN) > after,)
    turns = select(*_TURN).where(*here, *later).order_by(*_TURN).execution_options(yield_per=100)
    for page in session.execute(turns).partitions():
        positions = [(boot, sequence) for _, _, boot, sequence in page]
        rows = session.execute(
            select(*_COLUMNS).where(*here, tuple_(ReportRow.boot, ReportRow.sequence).in_(positions))
        )
        found = {(boot, sequence): StoredReport((boot, sequence), *rest) for boot, sequence, *rest in rows}
        yield from (found[position] for position in positions if position in found)


def moments_beside(
    session: Session, institution_id: str, agent_id: str, position: Position, after: Place | None
) -> tuple[list[Millis], list[Millis]]:
    """Return the moments of the nonces of what an agent wrote just before a report and just after it, as far as that is stored.

    Within a boot its numbers tell; in another one the report that it follows.
    """
    row, (boot, sequence) = ReportRow, position
    here = (row.institution_id == institution_id, row.agent_id == agent_id, row.nonce_at.is_not(None))
    earlier, later = (row.boot == boot, row.sequence < sequence), (row.boot == boot, row.sequence > sequence)
    moment = select(row.nonce_at).where(*here)
    before = [*session.scalars(moment.where(*earlier).order_by(row.sequence.desc()).limit(1))]
    behind = [*session.scalars(moment.where(*later).order_by(row.sequence).limit(1))]
    if after is not None:
        followed = (row.boot == after.boot, row.sequence == after.sequence, row.digest == after.digest)
        before += session.scalars(moment.where(*followed))
    return [at for at in before if at is not None], [at for at in behind if at is not None]


def came_before(session: Session, institution_id: str, agent_id: str, position: Position, turn: Turn) -> str | None:
    """Return the digest of a report of an agent; None where it isn't there, or came in no sooner than this turn."""
    row = ReportRow
    here = (row.institution_id == institution_id, row.agent_id == agent_id, row.boot == position[0])
    query = select(row.digest).where(*here, row.sequence == position[1], tuple_(*_TURN) < turn)
    return session.scalars(query).one_or_none()


def stored_reports(session: Session, institution_id: str, agent_id: str) -> Iterator[StoredReport]:
    """Give an agent's rows in the order in which they came."""
    here = (ReportRow.institution_id == institution_id, ReportRow.agent_id == agent_id)
    query = select(*_COLUMNS).where(*here).order_by(ReportRow.received_at, ReportRow.boot, ReportRow.sequence)
    for boot, sequence, *rest in session.execute(query.execution_options(yield_per=100)):
        yield StoredReport((boot, sequence), *rest)


def arrivals(session: Session, institution_id: str, agent_id: str) -> Iterator[tuple[int, Position]]:
    """Give the numbers that an agent's reports had when they came in, in order; 0 is none."""
    row = ReportRow
    here = (row.institution_id == institution_id, row.agent_id == agent_id)
    query = select(row.arrival, row.boot, row.sequence).where(*here).order_by(row.arrival, row.boot, row.sequence)
    for arrival, boot, sequence in session.execute(query.execution_options(yield_per=100)):
        yield arrival, (boot, sequence)


def payload_of(envelope: bytes, key_id: str | None) -> bytes:
    """Return the report's bytes of a stored row; before there were signatures, they stood there alone."""
    return envelope if key_id is None else envelope.partition(b"\n")[2]


def payloads(session: Session, institution_id: str, *, received_until: Millis | None = None) -> Iterator[bytes]:
    """Give the bytes of an institution's reports in the order in which they came."""
    query = select(ReportRow.envelope, ReportRow.key_id).where(ReportRow.institution_id == institution_id)
    if received_until is not None:
        query = query.where(ReportRow.received_at <= received_until)
    order = (ReportRow.received_at, ReportRow.agent_id, ReportRow.boot, ReportRow.sequence)
    for envelope, key_id in session.execute(query.order_by(*order).execution_options(yield_per=100)):
        yield payload_of(envelope, key_id)


def last_reports(
    session: Session, institution_id: str, until: Millis, had: Mapping[str, int] | None = None
) -> dict[str, Millis]:
    """Return, for each agent, when its newest report came in: of those up to `until`, or of so many that came in first (`had`), where that is known."""
    row = ReportRow
    came_in = row.received_at <= until
    if had is not None:
        came_in = or_(false(), *(and_(row.agent_id == agent, row.arrival <= count) for agent, count in had.items()))
    rows = session.execute(
        select(row.agent_id, func.max(row.received_at))
        .where(row.institution_id == institution_id, came_in)
        .group_by(row.agent_id)
    )
    return dict(rows.all())
