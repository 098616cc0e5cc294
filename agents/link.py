"""The way to the collector as it is now: an enrolment counts at once, a renewed one too."""

from __future__ import annotations

from threading import Lock

import structlog

from agents.collector import Collector, CollectorError, Pinned
from agents.database import DatabaseError
from agents.identity import Identity
from agents.state import Enrolment, State, StateError
from monitor.model.suite import PublicKey

log = structlog.get_logger()


def collector_of(state: State, enrolment: Enrolment, identity: Identity | None) -> Collector:
    """Return the collector of an enrolment, to which `identity` signs; a key that it hands over to is kept in `state`."""
    pinned = Pinned(enrolment.ca, PublicKey.of(enrolment.collector_key), enrolment.client)
    before = enrolment.collector_key
    return Collector(enrolment.collector, identity, pinned, keep_key=lambda key: _keep(state, before, key))


def _keep(state: State, before: dict[str, str], key: PublicKey) -> None:
    """Pin the collector's next key, unless the agent was enrolled anew meanwhile."""
    log.info("the collector's key was replaced, by its own word", key=key.id)
    try:
        enrolment = state.enrolment()
        if enrolment is not None and enrolment.collector_key == before:
            state.save_enrolment(enrolment.model_copy(update={"collector_key": key.jwk}))
    except (StateError, OSError, DatabaseError) as error:  # after the next start the hand-over is followed again
        log.warning("the collector's next key can't be kept", reason=str(error))


class Link:
    """Gives the collector of the current enrolment. It is read from the disk each time: to be asked in a thread."""

    def __init__(self, state: State) -> None:
        """Read the enrolment from `state`, each time anew."""
        self._state = state
        self._enrolment: Enrolment | None = None
        self._collector: Collector | None = None
        self._left: list[Collector] = []
        self._lock = Lock()

    def __call__(self) -> Collector | None:
        """Return the collector; None when not enrolled. Raises CollectorError when the enrolment can't be read."""
        with self._lock:
            try:
                enrolment = self._state.enrolment()
                if enrolment != self._enrolment:
                    identity = self._state.identity()
                    if self._collector is not None:
                        self._left.append(self._collector)
                    self._collector = None if enrolment is None else collector_of(self._state, enrolment, identity)
                    self._enrolment = enrolment
            except StateError as error:
                raise CollectorError(str(error)) from None
            return self._collector

    async def close(self) -> None:
        """Close all connections."""
        for collector in [*self._left, *([self._collector] if self._collector else [])]:
            await collector.close()
