"""How much of agents' reports is in the works at once: bounded in number and bytes, whatever comes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from prometheus_client import Counter, Gauge

from monitor.api.problems import Problem

MOST_REQUESTS = 64
"""So many wait for the database or are at it."""
MOST_BYTES = 96 * 1024 * 1024
"""So much is held of requests, as sent and expanded, those that are still coming in included."""
RETRY_SECONDS = (5, 60)
"""Agents that all come back at once are told to return at moments of their own."""


class Load:
    """Counts what is in the works in this process. Used by one event loop alone: nothing is locked."""

    def __init__(
        self,
        most_requests: int = MOST_REQUESTS,
        most_bytes: int = MOST_BYTES,
        at_work: Gauge | None = None,
        turned_away: Counter | None = None,
    ) -> None:
        """Begin with nothing; the metrics, where there are any, show it."""
        self._most_requests, self._most_bytes = most_requests, most_bytes
        self._at_work, self._turned_away = at_work, turned_away
        self._spread = random.Random()  # noqa: S311  (spreads load, no secret)
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def request(self) -> Iterator[Held]:
        """Give what counts a request's bytes; they are let go at the end."""
        held = Held(self)
        try:
            yield held
        finally:
            self.bytes -= held.bytes

    def ask(self) -> None:
        """Look whether there is a place, before anything of the body is read. Raises Problem (503) when all are taken."""
        if self.requests >= self._most_requests:
            raise self.full()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Take a place among those that are worked on. Raises Problem (503) when all are taken."""
        self.ask()
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.requests += change
        if self._at_work is not None:
            self._at_work.inc(change)

    def hold(self, size: int) -> None:
        """Count bytes. Raises Problem (503) when they are more than may be held."""
        if self.bytes + size > self._most_bytes:
            raise self.full()
        self.bytes += size

    def full(self) -> Problem:
        """Return the refusal, with a moment at which to come back."""
        if self._turned_away is not None:
            self._turned_away.inc()
        # What is still coming of the body is not read: the connection can't be used again.
        headers = {"Retry-After": str(self._spread.randint(*RETRY_SECONDS)), "Connection": "close"}
        detail = "too many reports come in at once; nothing of this request was stored, send it again later"
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers)


class Held:
    """What one request holds."""

    def __init__(self, load: Load) -> None:
        """Hold nothing yet."""
        self._load = load
        self.bytes = 0

    def take(self, size: int) -> None:
        """Count more bytes of it. Raises Problem (503)."""
        self._load.hold(size)
        self.bytes += size
