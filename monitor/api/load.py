"""How much of agents' reports is in the works at once: bounded in number and bytes, whatever comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus

from prometheus_client import Counter, Gauge

from monitor.api.problems import Problem

MOST_REQUESTS = 64
"""So many wait for the database or are at it."""
MOST_BYTES = 96 * 1024 * 1024
"""So much is held of requests, as sent and expanded, those that are still coming in included."""
LITTLE_BYTES = 64 * 1024
"""A body of at most so much that is thrown away costs less than another connection does."""
MOST_SECONDS = 120.0
"""A body that is not there after so long is waited for no more: agents give up earlier themselves."""
PATIENCE_SECONDS = 10.0
"""After so long a body that is still coming gives its room up to others who need it: it may be held on purpose."""
RETRY_SECONDS = (5, 60)
"""Agents that all come back at once are told to return at moments of their own."""

_FULL = "too much comes in at once; nothing of this request was stored, send it again later"
_SLOW = "the body took too long to come in; nothing of this request was stored, send it again later"


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
        self._coming: list[Held] = []

    @contextmanager
    def request(self) -> Iterator[Held]:
        """Give what counts a request's bytes; they are let go at the end."""
        held = Held(self)
        try:
            yield held
        finally:
            self.bytes -= held.bytes

    def ask(self, size: int | None = None) -> None:
        """Look whether there is a place, before anything of a body of so many bytes is read. Raises Problem (503) when all are taken."""
        if self.is_full():
            raise self.full(size=size)

    def is_full(self) -> bool:
        """Tell whether all places are taken."""
        return self.requests >= self._most_requests

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
            self._make_room(size)
        if self.bytes + size > self._most_bytes:
            raise self.full()
        self.bytes += size

    def _make_room(self, size: int) -> None:
        """Cut off bodies that have been coming for long, the largest first: else a dozen that never end keep all others out."""
        for held in sorted(self._coming, key=lambda held: held.bytes, reverse=True):
            if held.is_slow() and self.bytes + size > self._most_bytes:
                held.cut()

    @contextmanager
    def coming(self, held: Held) -> Iterator[None]:
        """Count a request among those whose body is still coming."""
        self._coming.append(held)
        try:
            yield
        finally:
            self._coming.remove(held)

    def has_place(self, coming: int) -> bool:
        """Tell whether there is a place for one more beside `coming`, who have one or will ask for one next."""
        return max(self.requests, coming) < self._most_requests

    def turn_away(self) -> int:
        """Count somebody who is turned away; return in how many seconds to come back, each at a moment of their own."""
        if self._turned_away is not None:
            self._turned_away.inc()
        return self._spread.randint(*RETRY_SECONDS)

    def full(self, detail: str = _FULL, size: int | None = None) -> Problem:
        """Return the refusal, with a moment at which to come back; `size` of the body, None where it isn't known."""
        return refusal(self.turn_away(), detail, close=size is None or size > LITTLE_BYTES)


def refusal(seconds: int, detail: str = _FULL, *, close: bool) -> Problem:
    """Return that there is no place, and after how many seconds to come back; `close` where the rest of the body isn't read."""
    headers = {"Retry-After": str(seconds)}
    if close:
        headers["Connection"] = "close"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers)


class Held:
    """What one request holds."""

    def __init__(self, load: Load) -> None:
        """Hold nothing yet."""
        self._load = load
        self._patience: asyncio.Timeout | None = None
        self._slow_at = 0.0
        self.bytes = 0

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        """Read the body meanwhile. Raises Problem (503) when that takes too long, or long and others need the room."""
        now = asyncio.get_running_loop().time()
        self._slow_at = now + PATIENCE_SECONDS
        try:
            with self._load.coming(self):
                async with asyncio.timeout_at(now + MOST_SECONDS) as self._patience:
                    yield
        except TimeoutError:
            raise self._load.full(_SLOW) from None

    def is_slow(self) -> bool:
        """Tell whether the body has been coming for long."""
        return asyncio.get_running_loop().time() >= self._slow_at

    def cut(self) -> None:
        """Let all bytes go and end the reading of the body."""
        self._load.bytes -= self.bytes
        self.bytes = 0
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(0)

    def take(self, size: int) -> None:
        """Count more bytes of it. Raises Problem (503)."""
        self._load.hold(size)
        self.bytes += size
