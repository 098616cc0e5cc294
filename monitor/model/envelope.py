"""The envelope that a report travels and is kept in: its exact bytes, signed, and linked to the one before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from monitor.model import jws
from monitor.model.inventory import Identifier, Strict
from monitor.model.jws import MAX_HEADER_BYTES, SignatureError, Signed
from monitor.model.observation import At
from monitor.model.report import MAX_REPORT_BYTES, BootId, Sequence
from monitor.model.suite import PrivateKey, PublicKey, Suite, digest_of_bytes, suite_of

TYPE: Literal["cradlewatch-report"] = "cradlewatch-report"
MEDIA_TYPE = "application/vnd.cradlewatch.envelopes"
MAX_ENVELOPE_BYTES = MAX_REPORT_BYTES + MAX_HEADER_BYTES + 256
MAX_ENVELOPES = 64
"""So many in one request."""

KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""An RFC 7638 thumbprint (SHA-256)."""
_NONCE = re.compile(r"[A-Za-z0-9_-]{22,128}")
Nonce = Annotated[str, StringConstraints(pattern=rf"^{_NONCE.pattern}$")]
DigestText = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,16}:[0-9a-f]{64,128}$")]


def is_nonce(text: str) -> bool:
    """Tell whether a text has a nonce's form."""
    return _NONCE.fullmatch(text) is not None


class Place(Strict):
    """One envelope among those of its agent: where it stands, and what it is."""

    boot: BootId
    sequence: Sequence
    digest: DigestText


class Protected(Strict):
    """The signed header: who, where in the chain, and between which moments."""

    alg: str
    dig: str
    b64: Literal[False]
    crit: list[str]
    typ: Literal["cradlewatch-report"]
    kid: KeyId
    institution: Identifier
    agent: Identifier
    boot: BootId
    sequence: Sequence
    after: Place | None
    """The envelope that this agent wrote before this one, in whichever boot; null where the chain begins."""
    nonce: Nonce
    """The last that the collector gave: this was written after it was given."""
    written_at: At
    monotonic_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Envelope:
    """What was read: HEADER..SIGNATURE, a newline, the payload. Nothing is proved before `verify`."""

    data: bytes
    protected: Protected
    payload: bytes
    signed: Signed

    @classmethod
    def read(cls, data: bytes) -> Envelope:
        """Read an envelope's bytes; the payload stays unread. Raises SignatureError."""
        if len(data) > MAX_ENVELOPE_BYTES:
            raise SignatureError("size", f"the envelope has {len(data)} bytes; {MAX_ENVELOPE_BYTES} are allowed")
        end = data.find(b"\n", 0, MAX_HEADER_BYTES + 256)
        if end < 0:
            raise SignatureError("form", "the envelope has no line of header and signature before its payload")
        payload = data[end + 1 :]
        signed = jws.read(data[:end], payload)
        try:
            protected = Protected.model_validate(signed.header)
        except ValidationError as error:
            where = error.errors(include_url=False, include_input=False)[0]["loc"]
            raise SignatureError(
                "form", f"the envelope's header can't be read: {'.'.join(map(str, where))[:80]}"
            ) from None
        return cls(data, protected, payload, signed)

    @classmethod
    def seal(cls, payload: bytes, key: PrivateKey, header: Header) -> bytes:
        """Return the envelope's bytes around a report's."""
        fields = {
            "typ": TYPE,
            "kid": key.public.id,
            "institution": header.institution,
            "agent": header.agent,
            "boot": header.boot,
            "sequence": header.sequence,
            "after": None if header.after is None else header.after.model_dump(),
            "nonce": header.nonce,
            "written_at": header.written_at,
            "monotonic_seconds": header.monotonic_seconds,
        }
        return jws.sign(fields, payload, key) + b"\n" + payload

    def verify(self, key: PublicKey) -> None:
        """Raises SignatureError unless this key signed these bytes."""
        self.signed.verify(key)

    @property
    def suite(self) -> Suite:
        """What the header names."""
        return suite_of(self.protected.alg, self.protected.dig)

    @cached_property
    def digest(self) -> str:
        """The digest of the exact bytes, by the algorithm that the header names."""
        return digest_of_bytes(self.data, self.suite)

    @property
    def place(self) -> Place:
        """Where it stands, and its digest."""
        return Place(boot=self.protected.boot, sequence=self.protected.sequence, digest=self.digest)


@dataclass(frozen=True)
class Header:
    """What the writer of an envelope says in its header, beside the key."""

    institution: str
    agent: str
    boot: str
    sequence: int
    after: Place | None
    nonce: str
    written_at: int
    """UTC milliseconds by the agent's wall clock."""
    monotonic_seconds: float


def name_of(data: bytes) -> str:
    """Return the digest by which bytes are named: by the algorithm that their header names, by SHA-256 where it can't be read."""
    try:
        return Envelope.read(data).digest
    except SignatureError:
        return digest_of_bytes(data)


def frame(envelopes: Iterable[bytes]) -> bytes:
    """Put envelopes one after the other as netstrings (LENGTH:BYTES,): for a request, a file, a stick."""
    return b"".join(b"%d:%b," % (len(item), item) for item in envelopes)


def unframe(data: bytes, most: int = MAX_ENVELOPES) -> list[bytes]:
    """Take netstrings apart. Raises SignatureError: not of that form, none, more than `most`, or one too large."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        begin, end = where_framed(data, at)
        if len(found) == most:
            raise SignatureError("count", f"the body holds more than {most} envelopes")
        if data[end : end + 1] != b",":
            raise SignatureError("form", "the body is no sequence of netstrings")
        found.append(data[begin:end])
        at = end + 1
    if not found:
        raise SignatureError("form", "the body holds no envelope")
    return found


def where_framed(data: bytes, at: int = 0) -> tuple[int, int]:
    """Return where the envelope begins and ends whose netstring begins at a place, by the length that it gives; its bytes may be to come.

    Raises SignatureError: there is no netstring, or it is too large.
    """
    colon = data.find(b":", at, at + 9)
    digits = data[at:colon]
    if colon < 0 or not digits.isdigit() or (digits[0] == 0x30 and len(digits) > 1):
        raise SignatureError("form", "the body is no sequence of netstrings")
    if int(digits) > MAX_ENVELOPE_BYTES:
        raise SignatureError("size", f"an envelope has more than {MAX_ENVELOPE_BYTES} bytes")
    return colon + 1, colon + 1 + int(digits)
