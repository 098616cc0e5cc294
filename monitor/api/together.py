"""Takes requests with reports that wait at the same time in together: one transaction, one sync of the disk for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from fastapi.concurrency import run_in_threadpool

from monitor.model.report import Receipts

AT_ONCE = {"sqlite": 1, "postgresql": 2}
"""So many groups are in the works, by the database: SQLite has one writer; on PostgreSQL one is read while the other is stored."""
ENOUGH = 24
"""So many have to wait before another group is begun beside one: the larger a group, the less each of it costs. (At 12, with 16
connections to each of two workers, a report cost 3.1 ms of the collector's CPU and 1.3 of PostgreSQL's; so 2.8 and 1.1.)"""
GATHER_SECONDS = 0.002
"""So long the next group waits for those who were answered a moment ago and send again: else the first of them would be a group by itself,
and pay for a transaction alone. Who comes alone again and again waits for nobody."""
MOST_REQUESTS = 32
MOST_BYTES = 8 * 1024 * 1024
"""Of a group, unless one request alone has more."""

Bodies = Sequence[bytes]
Take = Callable[[Sequence[Bodies]], Sequence[Receipts | Exception]]
"""Stores the reports of requests and tells what becomes of each."""


class Together:
    """Hands over all that waits whenever there is room. Used by one event loop alone: nothing is locked."""

    def __init__(self, take: Take, at_once: int) -> None:
        """Begin with nothing waiting."""
        self._take = take
        self._room = at_once
        self._waiting: deque[tuple[Bodies, asyncio.Future[Receipts]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._expected = 0
        """So many are the next group, unless they take too long to come."""
        self._gathering: asyncio.TimerHandle | None = None

    async def give(self, bodies: Bodies) -> Receipts:
        """Return the receipts of a request's reports once they are stored. Raises what kept them from it."""
        found: asyncio.Future[Receipts] = asyncio.get_running_loop().create_future()
        self._waiting.append((bodies, found))
        self._begin()
        return await found

    def _begin(self) -> None:
        while self._waiting and len(self._tasks) < self._room and len(self._waiting) >= self._worth:
            if self._gathering is not None:
                self._gathering.cancel()
                self._gathering = None
            group = self._next()
            task = asyncio.create_task(self._group(group))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, len(group)))
        if self._waiting and not self._tasks and self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._gathered)

    @property
    def _worth(self) -> int:
        """How many are a group: beside one a large one, else as many as are expected."""
        return ENOUGH if self._tasks else self._expected

    def _gathered(self) -> None:
        """Wait no longer."""
        self._gathering, self._expected = None, 0
        self._begin()

    def _next(self) -> list[tuple[Bodies, asyncio.Future[Receipts]]]:
        group, size = [self._waiting.popleft()], 0
        size = sum(map(len, group[0][0]))
        while self._waiting and len(group) < MOST_REQUESTS:
            size += sum(map(len, self._waiting[0][0]))
            if size > MOST_BYTES:
                break
            group.append(self._waiting.popleft())
        return group

    def _ended(self, count: int, task: asyncio.Task[None]) -> None:
        """Wait for those who were answered as well as for those who came meanwhile: else two halves would take turns for ever."""
        self._tasks.discard(task)
        self._expected = min(MOST_REQUESTS, count + len(self._waiting))
        self._begin()

    async def _group(self, group: list[tuple[Bodies, asyncio.Future[Receipts]]]) -> None:
        outcomes: Sequence[Receipts | Exception]
        try:
            outcomes = await run_in_threadpool(self._take, [bodies for bodies, _ in group])
        except Exception as error:  # noqa: BLE001  (who waits is told, whatever it is)
            outcomes = [error] * len(group)
        for (_, found), outcome in zip(group, outcomes, strict=True):
            if found.done():  # who asked has gone
                continue
            if isinstance(outcome, Exception):
                found.set_exception(outcome)
            else:
                found.set_result(outcome)
