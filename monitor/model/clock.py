"""Time as a parameter: the only module that reads the machine's clocks."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall, monotonic and processor time, kept apart, and waiting."""

    def now(self) -> datetime:
        """Return the wall clock: an aware UTC instant."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never step back; their zero has no meaning."""
        ...

    def worked(self) -> float:
        """Return the seconds of a processor's time that the calling thread has taken; their zero has no meaning."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of monotonic time."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Return the wall clock: an aware UTC instant."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def worked(self) -> float:
        """Return what the system accounts to the calling thread."""
        return time.thread_time()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` on the event loop."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to: for tests and for replaying history."""

    def __init__(self, now: datetime, monotonic: float = 0.0) -> None:
        """Start at `now` (aware) and at `monotonic` seconds."""
        self._now = now.astimezone(UTC)
        self._monotonic = monotonic
        self._worked = 0.0

    def now(self) -> datetime:
        """Return the instant that was set."""
        return self._now

    def monotonic(self) -> float:
        """Return the monotonic seconds that were set."""
        return self._monotonic

    def worked(self) -> float:
        """Return the seconds of work that were told."""
        return self._worked

    async def sleep(self, seconds: float) -> None:
        """Move both clocks on by `seconds` and let other tasks run."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move both clocks on by `seconds`."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def work(self, seconds: float) -> None:
        """Move all clocks on by `seconds` in which the processor was never idle."""
        self.advance(seconds)
        self._worked += seconds

    def step(self, seconds: float) -> None:
        """Step the wall clock alone, as NTP or a person does."""
        self._now += timedelta(seconds=seconds)
