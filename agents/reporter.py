"""From observations to numbered reports in the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version

import structlog

from agents.outbox import Outbox
from monitor.model.clock import Clock
from monitor.model.observation import Observation
from monitor.model.report import MAX_OBSERVATIONS, MAX_REPORT_BYTES, Report

REPORT_BYTES = 512 * 1024
"""What a report aims at: small enough for a slow line, and one lost packet costs little."""
_FRAME_BYTES = 4096
"""More than everything in a report beside its observations."""

log = structlog.get_logger()


class Reporter:
    """Writes one agent's reports of one boot."""

    def __init__(self, outbox: Outbox, clock: Clock, *, institution: str, agent: str, boot: str) -> None:
        """Write into `outbox` as `agent` of `institution`; `boot` is this start's id."""
        self._outbox = outbox
        self._clock = clock
        self._institution = institution
        self._agent = agent
        self._boot = boot
        self._version = version("cradlewatch")
        self.oversized = 0
        """Observations too large for any report: they stay in the journal only."""

    def report(self, observations: Iterable[Observation]) -> list[int]:
        """Store the observations as one or more reports; return their numbers once all are durable.

        Raises DatabaseError when they can't be stored. No observation makes an empty report: the agent lives.
        """
        batches = list(self._batches(observations)) or [()]
        return [self._put(batch) for batch in batches]

    def _put(self, observations: tuple[Observation, ...]) -> int:
        def write(sequence: int) -> bytes:
            return Report(
                schema_="cradlewatch.report/1",
                institution=self._institution,
                agent=self._agent,
                boot=self._boot,
                sequence=sequence,
                written_at=self._clock.now(),
                monotonic_seconds=self._clock.monotonic(),
                version=self._version,
                observations=observations,
            ).to_bytes()

        return self._outbox.put(self._boot, write)

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
