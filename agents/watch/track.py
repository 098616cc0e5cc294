"""Turns states that hold over time into observations, cut wherever a report is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from pydantic import JsonValue

from monitor.model.observation import Kind, Observation, Source, Subject
from monitor.model.span import Basis, Millis

log = structlog.get_logger()

Sink = Callable[[Observation], None]

Facts = Callable[[], dict[str, JsonValue]]
"""Returns the figures of a state that holds: made when they are handed on, for most are followed by newer ones before that."""


@dataclass
class _Holding:
    since: Millis
    state: str
    cause: str | None
    detail: str
    basis: Basis | None
    source: Source
    facts: Facts


class Track:
    """The state of one subject over time, handed to the sink as spans [since, until) without holes or overlaps."""

    def __init__(self, subject: Subject, kind: Kind, sink: Sink, holds_for: Millis) -> None:
        """Begin with nothing known. `holds_for` is how long the last state may be presumed after it was told."""
        self.subject = subject
        self.kind = kind
        self._sink = sink
        self.holds_for = holds_for
        self._holding: _Holding | None = None
        self._told: Millis | None = None
        """Up to when something was handed on: late news never overlaps it."""

    @property
    def state(self) -> str | None:
        """The state that holds, None before the first."""
        return self._holding.state if self._holding else None

    @property
    def cause(self) -> str | None:
        """The cause of the state that holds."""
        return self._holding.cause if self._holding else None

    def set(
        self,
        at: Millis,
        state: str,
        cause: str | None = None,
        *,
        detail: str = "",
        basis: Basis | None = Basis.WATCHED,
        source: Source = Source.PROBE,
        facts: Facts | None = None,
    ) -> None:
        """From `at` on another state holds; the same state only takes the newer figures. `at` may lie in the past."""
        holding = self._holding
        if holding is not None and (holding.state, holding.cause, holding.basis) == (state, cause, basis):
            holding.facts = facts or holding.facts
            holding.detail = detail or holding.detail
            return
        self.flush(at)
        since = at if self._told is None else max(at, self._told)
        if self._holding is not None:
            since = max(since, self._holding.since)
        self._holding = _Holding(since, state, cause, detail, basis, source, facts or dict)

    def note(self, facts: Facts) -> None:
        """Take newer figures of the state that holds."""
        if self._holding is not None:
            self._holding.facts = facts

    def flush(self, until: Millis) -> None:
        """Hand on what held up to `until`, and go on holding from there."""
        holding = self._holding
        if holding is None or until <= holding.since:
            return
        self._sink(
            Observation(
                subject=self.subject,
                kind=self.kind,
                start=holding.since,
                end=until,
                state=holding.state,
                cause=holding.cause,
                basis=holding.basis,
                source=holding.source,
                expires=until + self.holds_for,
                detail=holding.detail,
                facts=self._made(holding.facts),
            )
        )
        holding.since = self._told = until

    def _made(self, facts: Facts) -> dict[str, JsonValue]:
        """Return the figures; none where they can't be made, for what is told without them is told."""
        try:
            return facts()
        except Exception:
            log.exception(
                "figures could not be made: their span is told without them", subject=self.subject.id, kind=self.kind
            )
            return {}

    def forget(self, at: Millis) -> None:
        """Nothing is known from `at` on."""
        self.flush(at)
        self._holding = None

    def restart(self, at: Millis) -> None:
        """The wall clock was set: what holds goes on from `at` on the new clock."""
        self._told = None
        if self._holding is not None:
            self._holding.since = at
