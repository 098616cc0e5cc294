"""An agent for tests that signs what it sends: it keeps its chain and its nonce in memory."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from monitor.collector.context import Context
from monitor.collector.enrolment import Offer, create_code, enrol
from monitor.model.enrolment import plain_code, prove_possession
from monitor.model.envelope import Envelope, Header, Place, name_of
from monitor.model.report import Receipts, Report
from monitor.model.signed import request_text, sign_request
from monitor.model.span import to_millis
from monitor.model.suite import PrivateKey
from support import raw_jws
from support.planted import plant, plant_key

SOME_TIME = 1_795_406_400_000
"""2026-11-23T04:00:00Z, for what says no time of its own."""


def offer(key: PrivateKey, code: str) -> Offer:
    """Return what an agent offers with a code."""
    return Offer(key.public.jwk, prove_possession(key, plain_code(code)))


@dataclass
class SigningAgent:
    """An enrolled agent."""

    institution: str
    agent: str
    key: PrivateKey
    nonce: str
    after: Place | None = None
    sealed: dict[bytes, bytes] = field(default_factory=dict)
    """The envelopes made so far, by payload."""
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def enrolled(cls, context: Context, institution: str, agent: str = "box") -> SigningAgent:
        """Enrol an agent by a code, the real way."""
        key, code = PrivateKey.make(), plant(create_code(context, institution))
        plant_key(key.pem())
        granted = enrol(context, code, agent, offer(key, code))
        return cls(granted.institution, granted.agent, key, granted.nonce)

    def header(self, payload: bytes, **changes: Any) -> Header:
        """Return the header for a payload; number and time are those of the payload where it can be read."""
        values: dict[str, Any] = {"boot": "f" * 32, "sequence": 1, "monotonic_seconds": 1.0, "written_at": SOME_TIME}
        with contextlib.suppress(ValueError, OverflowError):
            said = Report.from_bytes(payload)
            values["written_at"] = to_millis(said.written_at)
            values |= {name: getattr(said, name) for name in ("boot", "sequence", "monotonic_seconds")}
        who = {"institution": self.institution, "agent": self.agent, "after": self.after, "nonce": self.nonce}
        return Header(**{**who, **values, **changes})

    def envelope(self, payload: bytes, **changes: Any) -> bytes:
        """Return the envelope of a payload, the same one each time; it follows the one before."""
        if changes:
            return self._seal(payload, **changes)
        with self._lock:
            if payload not in self.sealed:
                self.sealed[payload] = self._seal(payload)
                self.after = Envelope.read(self.sealed[payload]).place
            return self.sealed[payload]

    def _seal(self, payload: bytes, **changes: Any) -> bytes:
        header = self.header(payload, **changes)
        try:
            return Envelope.seal(payload, self.key, header)
        except UnicodeDecodeError:  # the library signs text alone; who has a key needs no library
            fields = raw_jws.header_of(Envelope.seal(b"{}", self.key, header))
            return raw_jws.envelope(fields, payload, self.raw)

    @property
    def raw(self) -> Ed25519PrivateKey:
        """The private key, for what is written by hand."""
        key = load_pem_private_key(self.key.pem(), None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    def hear(self, receipts: Receipts) -> None:
        """Take the nonce of an answer."""
        assert receipts.nonce is not None
        self.nonce = receipts.nonce

    def authorization(self, method: str, path: str, body: bytes = b"", nonce: str | None = None) -> dict[str, str]:
        """Return the header of a signed request."""
        text = request_text(method, path, body)
        return {"Authorization": sign_request(self.key, self.institution, self.agent, nonce or self.nonce, text)}


def digest(data: bytes) -> str:
    """Return the digest by which receipts name an envelope."""
    return name_of(data)
