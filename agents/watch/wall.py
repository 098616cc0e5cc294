"""The wall clock watched beside monotonic time: when it is set, what held ends on the old clock and goes on on the new one."""

from __future__ import annotations

from collections.abc import Callable

from monitor.model.clock import Clock
from monitor.model.span import SECOND, Millis, to_millis

STEP: Millis = 2 * SECOND
"""What a clock may drift between two looks at it; more was a step, or the machine slept."""

Stepped = Callable[[Millis, Millis], None]
"""Told what the old clock would show now, and what the new one shows."""


class Wall:
    """Tells the wall time in UTC milliseconds, and that it was set."""

    def __init__(self, clock: Clock, stepped: Stepped) -> None:
        """Look at both clocks; `stepped` is called inside `now`."""
        self._clock = clock
        self._stepped = stepped
        self._ahead = to_millis(clock.now()) - self._monotonic()
        """How far the wall clock is ahead of the monotonic one."""

    def now(self) -> Millis:
        """Return the wall time."""
        now, before = to_millis(self._clock.now()), self._ahead
        ahead = self._ahead = now - self._monotonic()
        if abs(ahead - before) > STEP:
            self._stepped(now - (ahead - before), now)
        return now

    def _monotonic(self) -> Millis:
        return round(self._clock.monotonic() * SECOND)
