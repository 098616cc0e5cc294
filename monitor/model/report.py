"""A numbered batch of observations from one run (boot) of one agent, and what the collector answers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from monitor.model.inventory import Identifier, Strict
from monitor.model.observation import Observation, as_stored
from monitor.model.span import DAY, HOUR, Millis, to_millis

MAX_OBSERVATIONS = 20_000
MAX_REPORT_BYTES = 4 * 1024 * 1024

MAX_AHEAD: Millis = HOUR
"""What lies ahead of the centre's clock can't have been seen. So much may the agent's clock be ahead; more is no clock to go by."""
MAX_AHEAD_IN_DOUBT: Millis = DAY
"""The same where it is the centre's own clock that may be behind."""

MAX_BEHIND: Millis = HOUR
"""A report was written after its nonce was given. So much may the agent's clock be behind; more is no clock to go by."""

EARLIEST: Millis = 1_577_836_800_000
"""2020-01-01T00:00:00Z. A box without a clock starts in 1970: nothing was seen then, whatever it says."""

BootId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""Random, one for each start of the agent."""
Sequence = Annotated[int, Field(ge=1, le=2**53)]
"""Counts the reports of one boot from 1."""


class Report(Strict):
    """What one agent saw, in the order (boot, sequence)."""

    schema_: Literal["cradlewatch.report/1"] = Field("cradlewatch.report/1", alias="schema")
    institution: Identifier
    agent: Identifier
    boot: BootId
    sequence: Sequence
    written_at: AwareDatetime
    monotonic_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    version: Annotated[str, StringConstraints(max_length=40)]
    observations: Annotated[tuple[Observation, ...], Field(max_length=MAX_OBSERVATIONS)]

    def to_bytes(self) -> bytes:
        """Return the exact bytes that are signed, sent and stored: UTF-8 JSON."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True), ensure_ascii=False, separators=(",", ":")
        ).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Report:
        """Parse the bytes of a report that was taken in before, by whatever bounds its facts had then.

        Raises ValueError (pydantic's) on anything else.
        """
        return cls.model_validate_json(payload, context=as_stored(payload))

    @classmethod
    def from_sender(cls, payload: bytes) -> Report:
        """Parse the bytes of a report that comes in. Raises ValueError, also for facts that are out of today's bounds."""
        return cls.model_validate_json(payload)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """(institution, agent, boot, sequence): a report is accepted once by this."""
        return self.institution, self.agent, self.boot, self.sequence


class Receipt(Strict):
    """The collector's answer to one envelope, in the order they were sent."""

    status: Literal["stored", "already have it", "rejected"]
    digest: str
    error: str | None = None
    reason: str | None = None
    """Why it was rejected, in one word."""


class Receipts(Strict):
    """The answer to a batch."""

    receipts: tuple[Receipt, ...]
    """One for each envelope that was looked at and whose time can be told; what comes after one that nobody vouches for isn't looked at."""
    server_time: datetime
    nonce: str | None = None
    """To be carried by the reports that are written from now on."""

    def waiting(self, sent: int) -> int:
        """Return how many of the envelopes that were sent have to come again later: their time can't be told yet.

        None of them do where the answer broke off at a bad signature, or brings no nonce, which every answer to reports has.
        """
        broke_off = self.nonce is None or (bool(self.receipts) and self.receipts[-1].reason == "signature")
        return 0 if broke_off else max(0, sent - len(self.receipts))


def is_back_dated(written: Millis, nonce_at: Millis) -> bool:
    """Tell whether a report says that it was written before its nonce was given, or before there was anything to see."""
    return written < max(nonce_at - MAX_BEHIND, EARLIEST)


def is_misdated(report: Report, nonce_at: Millis, received_at: Millis) -> bool:
    """Tell whether a report that came in at an instant says any time that can't be."""
    written = to_millis(report.written_at)
    said = [written, *(at for item in report.observations for at in (item.start, item.end))]
    return is_back_dated(written, nonce_at) or min(said) < EARLIEST or max(said) > received_at + MAX_AHEAD
