"""The way to the collector as it is now: an enrolment counts at once, a renewed one too."""

from __future__ import annotations

from agents.collector import Collector, CollectorError
from agents.state import Enrolment, State, StateError


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
        except StateError as error:
            raise CollectorError(str(error)) from None
        if enrolment != self._enrolment:
            if self._collector is not None:
                self._left.append(self._collector)
            self._enrolment = enrolment
            self._collector = Collector(enrolment.collector, enrolment.token) if enrolment is not None else None
        return self._collector

    async def close(self) -> None:
        """Close all connections."""
        for collector in [*self._left, *([self._collector] if self._collector else [])]:
            await collector.close()
