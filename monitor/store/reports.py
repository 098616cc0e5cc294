"""Reports as they were received: each is kept once, by (institution, agent, boot, sequence)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from monitor.model.report import Report
from monitor.model.span import Millis, to_millis
from monitor.store.tables import ReportRow

Position = tuple[str, int]
"""(boot, sequence): the place of a report among those of its agent."""


@dataclass(frozen=True)
class Received:
    """A report beside the exact bytes that it was read from."""

    report: Report
    payload: bytes
    digest: str

    @property
    def position(self) -> Position:
        """The place of the report among those of its agent."""
        return self.report.boot, self.report.sequence


def known_digests(
    session: Session, institution_id: str, agent_id: str, positions: Iterable[Position]
) -> dict[Position, str]:
    """Return the digests of the agent's reports that are stored already, of those asked for."""
    by_boot: dict[str, list[int]] = {}
    for boot, sequence in positions:
        by_boot.setdefault(boot, []).append(sequence)
    found: dict[Position, str] = {}
    for boot, sequences in by_boot.items():
        rows = session.execute(
            select(ReportRow.sequence, ReportRow.digest).where(
                ReportRow.institution_id == institution_id,
                ReportRow.agent_id == agent_id,
                ReportRow.boot == boot,
                ReportRow.sequence.in_(sequences),
            )
        )
        found.update({(boot, sequence): digest for sequence, digest in rows})
    return found


def add_reports(session: Session, received: Sequence[Received], received_at: Millis) -> None:
    """Keep reports that are not stored yet."""
    if received:
        session.execute(
            insert(ReportRow),
            [
                {
                    "institution_id": item.report.institution,
                    "agent_id": item.report.agent,
                    "boot": item.report.boot,
                    "sequence": item.report.sequence,
                    "digest": item.digest,
                    "payload": item.payload,
                    "written_at": to_millis(item.report.written_at),
                    "received_at": received_at,
                }
                for item in received
            ],
        )


def payloads(session: Session, institution_id: str, *, received_until: Millis | None = None) -> Iterator[bytes]:
    """Give the bytes of an institution's reports in the order in which they came."""
    query = select(ReportRow.payload).where(ReportRow.institution_id == institution_id)
    if received_until is not None:
        query = query.where(ReportRow.received_at <= received_until)
    order = (ReportRow.received_at, ReportRow.agent_id, ReportRow.boot, ReportRow.sequence)
    yield from session.scalars(query.order_by(*order).execution_options(yield_per=100))


def last_reports(session: Session, institution_id: str, until: Millis) -> dict[str, Millis]:
    """Return, for each agent, when its newest report came in, as of `until`."""
    rows = session.execute(
        select(ReportRow.agent_id, func.max(ReportRow.received_at))
        .where(ReportRow.institution_id == institution_id, ReportRow.received_at <= until)
        .group_by(ReportRow.agent_id)
    )
    return dict(rows.all())
