"""A numbered batch of observations from one run (boot) of one agent, and the envelope it travels in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from monitor.model.inventory import Identifier, Strict
from monitor.model.observation import Observation

MAX_OBSERVATIONS = 20_000
MAX_REPORT_BYTES = 4 * 1024 * 1024

BootId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""Random, one for each start of the agent."""


class Report(Strict):
    """What one agent saw, in the order (boot, sequence)."""

    schema_: Literal["cradlewatch.report/1"] = Field("cradlewatch.report/1", alias="schema")
    institution: Identifier
    agent: Identifier
    boot: BootId
    sequence: Annotated[int, Field(ge=1, le=2**53)]
    written_at: AwareDatetime
    monotonic_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    version: Annotated[str, StringConstraints(max_length=40)]
    observations: Annotated[tuple[Observation, ...], Field(max_length=MAX_OBSERVATIONS)]

    def to_bytes(self) -> bytes:
        """Return the exact bytes that are stored, sent and (later) signed: UTF-8 JSON."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True), ensure_ascii=False, separators=(",", ":")
        ).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Report:
        """Parse the bytes of a report. Raises ValueError (pydantic's) on anything else."""
        return cls.model_validate_json(payload)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """(institution, agent, boot, sequence): a report is accepted once by this."""
        return self.institution, self.agent, self.boot, self.sequence


class Envelope(Strict):
    """A report's exact bytes in portable form: base64url without padding, and their digest."""

    payload: Annotated[str, StringConstraints(max_length=2 * MAX_REPORT_BYTES)]
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

    @classmethod
    def seal(cls, payload: bytes) -> Envelope:
        """Wrap the bytes of a report."""
        text = base64.urlsafe_b64encode(payload).rstrip(b"=").decode("ascii")
        return cls(payload=text, digest="sha256:" + hashlib.sha256(payload).hexdigest())

    def open(self) -> bytes:
        """Return the bytes. Raises ValueError when they are not base64url or don't match their digest."""
        try:
            data = base64.b64decode(self.payload + "=" * (-len(self.payload) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            msg = "the payload is not base64url"
            raise ValueError(msg) from error
        if "sha256:" + hashlib.sha256(data).hexdigest() != self.digest:
            msg = "the payload does not match its digest"
            raise ValueError(msg)
        return data


class Batch(Strict):
    """The body of POST /api/v1/reports: one or more envelopes, stored and answered one by one."""

    envelopes: Annotated[tuple[Envelope, ...], Field(min_length=1, max_length=64)]


class Receipt(Strict):
    """The collector's answer to one envelope, in the order they were sent."""

    status: Literal["stored", "already have it", "rejected"]
    digest: str
    error: str | None = None


class Receipts(Strict):
    """The answer to a batch."""

    receipts: tuple[Receipt, ...]
    server_time: datetime
