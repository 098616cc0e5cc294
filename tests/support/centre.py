"""A centre for tests: a context over a database, an enrolled agent, and the reports that it sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from monitor.collector.context import Context
from monitor.collector.ingest import ingest
from monitor.collector.packs import Packs
from monitor.collector.settings import Settings
from monitor.model.clock import ManualClock
from monitor.model.inventory import Institution
from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.regulation import Regulation
from monitor.model.report import Receipt, Report
from monitor.model.span import HOUR, MINUTE, Basis, Millis, to_millis
from monitor.store.engine import writing
from monitor.store.registry import add_institution
from support.packs import pack
from support.signing import SigningAgent

START = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
"""Noon in Shanghai."""
NOW: Millis = to_millis(START)
BOOT = "0123456789abcdef" * 2

INVENTORY: dict[str, Any] = {
    "institution": {"id": "wj-0001", "name": "示范托育园"},
    "zones": [{"id": "gate", "room": "entrance"}, {"id": "room1", "room": "play"}],
    "cameras": [
        {"id": "gate", "zones": ["gate"], "recorder": "nvr", "channel": "1"},
        {"id": "room1", "zones": ["room1"], "recorder": "nvr", "channel": "2"},
    ],
    "recorders": [{"id": "nvr", "driver": "hikvision"}],
}


@dataclass
class Centre:
    """A centre with institutions, each with one enrolled agent."""

    context: Context
    clock: ManualClock
    agents: dict[str, SigningAgent] = field(default_factory=dict)
    """Each institution's agent `box`."""
    sequences: Counter[str] = field(default_factory=Counter)
    """The number of each institution's newest report."""

    def add(self, institution: str = "wj-0001", regulation: str = "test-pack") -> SigningAgent:
        """Enter an institution and enrol its agent; return it."""
        with writing(self.context.engine) as session:
            add_institution(session, Institution(id=institution, name=institution), regulation, self.context.now())
        self.agents[institution] = SigningAgent.enrolled(self.context, institution)
        return self.agents[institution]

    def report(self, *observations: Observation, institution: str = "wj-0001", boot: str = BOOT) -> Report:
        """Return the agent's next report."""
        self.sequences[institution] += 1
        return Report(
            institution=institution,
            agent="box",
            boot=boot,
            sequence=self.sequences[institution],
            written_at=self.clock.now(),
            monotonic_seconds=1.0,
            version="0.1.0",
            observations=observations,
        )

    def send(self, *reports: Report, institution: str = "wj-0001") -> list[Receipt]:
        """Give reports in; return the receipts."""
        return self.give([report.to_bytes() for report in reports], institution)

    def give(self, payloads: Sequence[bytes], institution: str = "wj-0001") -> list[Receipt]:
        """Give bytes in as if they were reports, signed; a report that was sealed before is the same envelope again."""
        agent = self.agents[institution]
        receipts = ingest(self.context, [agent.envelope(payload) for payload in payloads])
        agent.hear(receipts)
        return list(receipts.receipts)

    def see(self, *observations: Observation, institution: str = "wj-0001") -> None:
        """Report observations; all of them are stored."""
        receipts = self.send(self.report(*observations, institution=institution), institution=institution)
        assert [receipt.status for receipt in receipts] == ["stored"], receipts


def make_centre(engine: Engine, *packs: Regulation, settings: Settings | None = None) -> Centre:
    """Return an empty centre over a migrated database, at noon."""
    clock = ManualClock(START)
    context = Context(engine, clock, settings or Settings(), Packs.of(*(packs or (pack(),))))
    return Centre(context, clock)


def subject(text: str) -> Subject:
    """Return the subject written as KIND/ID."""
    return Subject.parse(text)


def span(who: str, state: str, start: Millis, end: Millis, *, kind: Kind = Kind.STREAM, **more: Any) -> Observation:
    """Return a watched span on `who` (KIND/ID), which expires a minute after its end."""
    values = {"basis": Basis.WATCHED, "expires": end + MINUTE, **more}
    return Observation(subject=subject(who), kind=kind, start=start, end=end, state=state, **values)


def instant(who: str, kind: Kind, at: Millis, facts: dict[str, Any], **more: Any) -> Observation:
    """Return a reading of the recorder, which expires after six hours."""
    values = {"state": "read", "source": Source.RECORDER, "expires": at + 6 * HOUR, **more}
    return Observation(subject=subject(who), kind=kind, start=at, end=at, facts=facts, **values)


def declared(at: Millis, inventory: dict[str, Any] | None = None) -> Observation:
    """Return the declaration of an inventory."""
    facts = INVENTORY if inventory is None else inventory
    who = f"institution/{facts['institution']['id']}"
    return instant(who, Kind.INVENTORY, at, facts, state="declared", source=Source.PERSON, expires=at + 365 * 24 * HOUR)


def index(camera: str, at: Millis, days: float, *, holes: Iterable[tuple[Millis, Millis]] = ()) -> Observation:
    """Return a reading of a camera's whole index: `days` of footage up to `at`, less `holes`."""
    edges = [at - int(days * 24 * HOUR), *(edge for hole in holes for edge in hole), at]
    spans = [[a, b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
    facts = {"window": [at - 400 * 24 * HOUR, at], "spans": spans, "locked": []}
    return instant(f"camera/{camera}", Kind.RECORDINGS, at, facts)
