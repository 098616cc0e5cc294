"""A numbered batch of observations from one run (boot) of one agent, and what the collector answers."""

from __future__ import annotations

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
        """Parse the bytes of a report. Raises ValueError (pydantic's) on anything else."""
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
    """One for each envelope that was looked at; what comes after one that nobody vouches for isn't."""
    server_time: datetime
    nonce: str | None = None
    """To be carried by the reports that are written from now on."""
