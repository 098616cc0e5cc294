"""The wall clock watched beside monotonic time: what held ends where it was set, or where the process stood still."""

from __future__ import annotations

from collections.abc import Callable

from agents.watch.awake import Awake
from monitor.model.clock import Clock
from monitor.model.span import SECOND, Millis, to_millis

STEP: Millis = 2 * SECOND
"""What a clock may drift between two looks at it; more was a step, or the machine slept."""

Stepped = Callable[[Millis, Millis], None]
"""Told what the old clock would show now, and what the new one shows."""
Stood = Callable[[Millis, Millis], None]
"""Told from when to when the process stood still."""


class Wall:
    """Tells the wall time in UTC milliseconds, that it was set, and that it went on while nobody watched."""

    def __init__(
        self, clock: Clock, stepped: Stepped, awake: Awake | None = None, stood: Stood = lambda _from, _to: None
    ) -> None:
        """Look at both clocks; `stepped` and `stood` are called inside `now`."""
        self._clock = clock
        self._stepped = stepped
        self._awake = awake
        self._stood = stood
        self._slept = None if awake is None else awake.slept()
        self._ahead = to_millis(clock.now()) - self._monotonic()
        """How far the wall clock is ahead of the monotonic one."""

    def now(self) -> Millis:
        """Return the wall time."""
        slept = None if self._awake is None else self._awake.slept()
        now, before = to_millis(self._clock.now()), self._ahead
        ahead = self._ahead = now - self._monotonic()
        if slept is not None and slept != self._slept:
            self._slept = slept
            self._stood(*(before + round(at * SECOND) for at in slept))
        if abs(ahead - before) > STEP:
            self._stepped(now - (ahead - before), now)
        return now

    def _monotonic(self) -> Millis:
        return round(self._clock.monotonic() * SECOND)
