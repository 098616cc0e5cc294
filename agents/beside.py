"""Work beside the event loop: what waits for the disk, or reckons for long, and must not keep anybody from watching."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger()


class Beside:
    """A thread of its own for one sort of work: one piece after the other, in the order in which they were asked for.

    Whoever is cancelled while a piece runs doesn't end it: it is done to its end, and the next one begins after it.
    """

    def __init__(self, name: str) -> None:
        """Begin nothing yet."""
        self._name = name
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.closed = False
        """Whether nothing more is begun."""

    async def do(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises, while the event loop goes on."""
        return await asyncio.wrap_future(self.begin(work))

    def begin(self, work: Callable[[], T]) -> Future[T]:
        """Begin `work` after what was asked for before, and return what tells how it ended."""
        return self._thread.submit(work)

    def later(self, work: Callable[[], object]) -> None:
        """Begin `work` after what was asked for before; nobody waits for it, and after the end nothing is begun."""
        if not self.closed:
            self.begin(work).add_done_callback(self._tell)

    def wait_for(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises: for another thread, which waits."""
        return self.begin(work).result()

    def close(self) -> None:
        """Begin nothing more, and don't wait for what is under way."""
        self.closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)

    def finish(self) -> None:
        """Begin nothing more, and wait until what was asked for is done."""
        self.closed = True
        self._thread.shutdown(wait=True)

    def _tell(self, done: Future[Any]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("work that nobody waits for has failed", work=self._name, exc_info=error)
