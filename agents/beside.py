"""Work beside the event loop: what waits for the disk, or reckons for long, and must not keep anybody from watching."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Beside:
    """A thread of its own for one sort of work: one piece after the other, in the order in which they were asked for.

    Whoever is cancelled while a piece runs doesn't end it: it is done to its end, and the next one begins after it.
    """

    def __init__(self, name: str) -> None:
        """Begin nothing yet."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def do(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises, while the event loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Begin nothing more, and don't wait for what is under way."""
        self._thread.shutdown(wait=False, cancel_futures=True)
