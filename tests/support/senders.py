"""Agents that send report after report, each in a thread, and remember which were answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from monitor.collector.context import Context
from monitor.collector.ingest import ingest
from monitor.model.envelope import MEDIA_TYPE, frame
from monitor.model.inventory import Institution
from monitor.model.observation import Kind
from monitor.model.report import Receipts, Report
from monitor.model.span import SECOND, from_millis
from monitor.store.engine import writing
from monitor.store.registry import add_institution
from support import seeded
from support.signing import SigningAgent


@dataclass
class Sender:
    """An agent that sends until it gets no answer."""

    agent: SigningAgent
    began: int
    """UTC milliseconds."""
    made: list[bytes] = field(default_factory=list)
    """The payloads of its reports, oldest first; the first has the number 1."""
    answered: list[str] = field(default_factory=list)
    """What became of the first ones."""

    @classmethod
    def enrolled(cls, context: Context, institution: str) -> Sender:
        """Enter an institution and enrol its agent."""
        with writing(context.engine) as session:
            add_institution(session, Institution(id=institution), seeded.PACK, context.now())
        return cls(SigningAgent.enrolled(context, institution), context.now())

    def run(self, address: str) -> None:
        """Send reports until one is refused or gets no answer."""
        with httpx2.Client(base_url=address, timeout=40, headers={"Content-Type": MEDIA_TYPE}) as client:
            while True:
                self.made.append(self._report())
                try:
                    answer = client.post("/api/v1/reports", content=frame([self.agent.envelope(self.made[-1])]))
                except httpx2.TransportError:
                    return
                if answer.status_code != 200:
                    assert answer.status_code == 503, answer.text
                    return
                receipts = Receipts.model_validate_json(answer.content)
                self.agent.hear(receipts)
                self.answered += [receipt.status for receipt in receipts.receipts]

    def send_rest(self, context: Context) -> list[str]:
        """Give in what was not answered, to the database itself; return what became of it."""
        envelopes = [self.agent.envelope(payload) for payload in self.made[len(self.answered) :]]
        return [receipt.status for receipt in ingest(context, envelopes).receipts]

    def _report(self) -> bytes:
        number = len(self.made) + 1
        begin = self.began - 1000 * SECOND + number * SECOND
        seen = seeded.span(seeded.camera("gate"), Kind.STREAM, begin, begin + SECOND, "up")
        return Report(
            institution=self.agent.institution,
            agent=self.agent.agent,
            boot=seeded.BOOT,
            sequence=number,
            written_at=from_millis(self.began),
            monotonic_seconds=float(number),
            version="0.1.0",
            observations=(seen,),
        ).to_bytes()


@contextmanager
def sending(senders: Sequence[Sender], address: str) -> Iterator[None]:
    """Let all of them send; at the end each of them got no answer any more."""
    threads = [threading.Thread(target=sender.run, args=(address,), daemon=True) for sender in senders]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
