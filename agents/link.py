"""The way to the collector as it is now: an enrolment counts at once, a renewed one too."""

from __future__ import annotations

from agents.collector import Collector, CollectorError, Pinned
from agents.identity import Identity
from agents.state import Enrolment, State, StateError
from monitor.model.suite import PublicKey


def collector_of(enrolment: Enrolment, identity: Identity | None) -> Collector:
    """Return the collector of an enrolment, to which `identity` signs."""
    pinned = Pinned(enrolment.ca, PublicKey.of(enrolment.collector_key), enrolment.client)
    return Collector(enrolment.collector, identity, pinned)


class Link:
    """Gives the collector of the current enrolment."""

    def __init__(self, state: State) -> None:
        """Read the enrolment from `state`, each time anew."""
        self._state = state
        self._enrolment: Enrolment | None = None
        self._collector: Collector | None = None
        self._left: list[Collector] = []

    def __call__(self) -> Collector | None:
        """Return the collector; None when not enrolled. Raises CollectorError when the enrolment can't be read."""
        try:
            enrolment = self._state.enrolment()
            if enrolment != self._enrolment:
                identity = self._state.identity()
                if self._collector is not None:
                    self._left.append(self._collector)
                self._collector = None if enrolment is None else collector_of(enrolment, identity)
                self._enrolment = enrolment
        except StateError as error:
            raise CollectorError(str(error)) from None
        return self._collector

    async def close(self) -> None:
        """Close all connections."""
        for collector in [*self._left, *([self._collector] if self._collector else [])]:
            await collector.close()
