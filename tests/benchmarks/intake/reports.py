"""What many agents send, made beforehand: signed and linked reports of fifteen cameras, as whole requests."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Engine

from monitor.collector.context import Context
from monitor.collector.nonce import new_nonce
from monitor.model.envelope import MEDIA_TYPE, Envelope, Header, Place, frame
from monitor.model.inventory import Institution
from monitor.model.span import DAY, MINUTE, Millis, isoformat
from monitor.model.suite import PrivateKey, digest_of_bytes
from monitor.store import agents, keys
from monitor.store.engine import writing
from monitor.store.registry import add_institution

REGULATION = "cn-nursery-wujiang-2021"
AGENT = "box"
CAMERAS = 15


@dataclass(frozen=True)
class Request:
    """A whole HTTP request, and which reports of whom are in it."""

    institution: str
    first: int
    last: int
    data: bytes


@dataclass
class Sender:
    """An enrolled agent that writes a report a minute, of the last ten days (a long run sends three thousand): each of its cameras was up."""

    institution: str
    key: PrivateKey
    nonce: str
    began_at: Millis
    boot: str = "b" * 32
    sequence: int = 0
    after: Place | None = field(default=None)

    def envelope(self) -> bytes:
        """Return the next report, signed and linked to the one before."""
        self.sequence += 1
        start = self.began_at + (self.sequence - 1) * MINUTE
        written = int(time.time() * 1000)
        payload = json.dumps(
            {
                "schema": "cradlewatch.report/1", "institution": self.institution, "agent": AGENT, "boot": self.boot,
                "sequence": self.sequence, "written_at": isoformat(written), "monotonic_seconds": float(self.sequence),
                "version": "0.1.0", "observations": [_seen(f"camera-{number}", start) for number in range(CAMERAS)],
            },
            separators=(",", ":"),
        ).encode()  # fmt: skip
        header = Header(
            self.institution, AGENT, self.boot, self.sequence, self.after, self.nonce, written, float(self.sequence)
        )
        data = Envelope.seal(payload, self.key, header)
        self.after = Place(boot=self.boot, sequence=self.sequence, digest=digest_of_bytes(data))
        return data

    def request(self, count: int) -> Request:
        """Return the next `count` reports as the agent's sender sends them."""
        first = self.sequence + 1
        body = gzip.compress(frame(self.envelope() for _ in range(count)), compresslevel=6, mtime=0)
        head = (
            "POST /api/v1/reports HTTP/1.1\r\nHost: centre\r\nContent-Encoding: gzip\r\n"
            f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return Request(self.institution, first, self.sequence, head.encode() + body)

    def requests(self, reports: int, count: int) -> Iterator[Request]:
        """Give requests of `count` reports each, `reports` in all."""
        for _ in range(reports // count):
            yield self.request(count)


def _seen(camera: str, start: Millis) -> dict[str, object]:
    return {
        "subject": {"kind": "camera", "id": camera}, "kind": "stream", "start": start, "end": start + MINUTE,
        "state": "up", "cause": None, "basis": "watched", "source": "probe", "expires": start + 4 * MINUTE,
        "detail": "", "facts": {},
    }  # fmt: skip


def enrol(engine: Engine, sites: int, prefix: str = "site") -> list[Sender]:
    """Enter institutions with an agent each, in one transaction: a code for each would take minutes."""
    context = Context(engine)
    now, secret = context.now(), context.keys().nonce
    senders = []
    with writing(engine) as session:
        for number in range(sites):
            name = f"{prefix}-{number:05}"
            key = PrivateKey.make()
            add_institution(session, Institution(id=name, name=name), REGULATION, now)
            agents.enrol(session, name, AGENT, now)
            keys.register_key(session, name, AGENT, key.public, now)
            senders.append(Sender(name, key, new_nonce(secret, name, AGENT, now), now - 10 * DAY))
    return senders
