"""From observations to numbered, signed and linked reports in the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version

import structlog
from pydantic import JsonValue, ValidationError

from agents.identity import Identity
from agents.news import News
from agents.outbox import Outbox, Slot
from agents.room import Gone, Worth
from monitor.model.clock import Clock
from monitor.model.envelope import Envelope, Header, Place, is_nonce
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.report import MAX_OBSERVATIONS, MAX_REPORT_BYTES, Report
from monitor.model.span import DAY, Millis, to_millis

REPORT_BYTES = 512 * 1024
"""What a report aims at: small enough for a slow line, and one lost packet costs little."""
_FRAME_BYTES = 4096 + 128 * 1024
"""More than everything in a report beside its observations, what is told of dropped reports included."""

log = structlog.get_logger()


class Reporter:
    """Writes one agent's reports of one boot."""

    def __init__(self, outbox: Outbox, clock: Clock, identity: Identity, boot: str) -> None:
        """Write into `outbox`, signed as `identity`; `boot` is this start's id."""
        self._outbox = outbox
        self._clock = clock
        self.identity = identity
        self._boot = boot
        self._version = version("cradlewatch")
        self._news = News()
        self._anew: set[int] = set()
        """Numbers of the reports of this boot that say anew what could not be taken."""
        self.oversized = 0
        """Observations too large for any report: they stay in the journal only."""

    def report(self, observations: Iterable[Observation], *, lasting: bool = False) -> list[int]:
        """Store the observations as one or more reports; return their numbers once all are durable.

        Where not all can be kept, those that say something new outlive the others; `lasting`: all of these do.
        Raises DatabaseError when they can't be stored. No observation makes an empty report: the agent lives.
        """
        batches = list(self._batches(observations)) or [()]
        return [self._put(batch, lasting=lasting) for batch in batches]

    def again(self, sealed: bytes) -> bool:
        """Report anew what a report says that the collector can't take, for it was sealed with another key or nonce.

        False when it isn't this agent's, or was reported anew already: what is refused twice is not tried for ever. Raises
        DatabaseError.
        """
        try:
            report = Report.from_sender(Envelope.read(sealed).payload)
        except ValueError:
            return False
        mine = (report.institution, report.agent) == (self.identity.institution, self.identity.agent)
        if not mine or (report.boot == self._boot and report.sequence in self._anew):
            return False
        # What it told of reports that are gone is told again by the outbox.
        seen = [item for item in report.observations if item.kind is not Kind.DROPPED]
        if seen:
            self._anew.update(self.report(seen, lasting=True))
        return True

    def _put(self, observations: tuple[Observation, ...], *, lasting: bool) -> int:
        at, monotonic = self._clock.now(), self._clock.monotonic()

        def write(slot: Slot) -> bytes:
            told = _told(slot.gone, self.identity.agent, to_millis(at))
            report = Report(
                schema_="cradlewatch.report/1",
                institution=self.identity.institution,
                agent=self.identity.agent,
                boot=self._boot,
                sequence=slot.sequence,
                written_at=at,
                monotonic_seconds=monotonic,
                version=self._version,
                observations=(*told, *observations),
            )
            header = Header(
                institution=self.identity.institution,
                agent=self.identity.agent,
                boot=self._boot,
                sequence=slot.sequence,
                after=_after(slot),
                nonce=slot.nonce if slot.nonce is not None and is_nonce(slot.nonce) else self.identity.nonce,
                written_at=to_millis(at),
                monotonic_seconds=monotonic,
            )
            return Envelope.seal(report.to_bytes(), self.identity.key, header)

        worth = Worth.LASTING if lasting or self._news.has(observations) else Worth.SAMPLE
        sequence = self._outbox.put(self._boot, write, worth=worth, at=to_millis(at))
        self._news.said(observations)
        return sequence

    def _batches(self, observations: Iterable[Observation]) -> Iterator[tuple[Observation, ...]]:
        batch: list[Observation] = []
        size = 0
        for item in observations:
            length = len(item.model_dump_json().encode()) + 64
            if length > MAX_REPORT_BYTES - _FRAME_BYTES:
                self.oversized += 1
                log.warning(
                    "observation too large for a report", subject=str(item.subject), kind=item.kind, bytes=length
                )
                continue
            if batch and (size + length > REPORT_BYTES or len(batch) == MAX_OBSERVATIONS):
                yield tuple(batch)
                batch, size = [], 0
            batch.append(item)
            size += length
        if batch:
            yield tuple(batch)


def _told(gone: Sequence[Gone], agent: str, at: Millis) -> tuple[Observation, ...]:
    """Return what says which reports had to go, so that nobody takes them for stolen."""
    if not gone:
        return ()
    ranges: list[JsonValue] = [
        {
            "boot": item.boot,
            "first": item.first,
            "last": item.last,
            "why": item.why,
            "digests": list(item.digests),
        }
        for item in gone
    ]
    said = Observation(
        subject=Subject(kind="agent", id=agent), kind=Kind.DROPPED, start=at, end=at, state="dropped",
        expires=at + 400 * DAY, facts={"ranges": ranges},
    )  # fmt: skip
    return (said,)


def _after(slot: Slot) -> Place | None:
    """Return what the report follows; after damage that SQLite does not see, the chain begins anew."""
    if slot.after is None:
        return None
    boot, sequence, digest = slot.after
    try:
        return Place(boot=boot, sequence=sequence, digest=digest)
    except ValidationError:
        return None
