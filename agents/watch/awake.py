"""Whether this process ran: for as long as it stood still nobody watched anything, whatever comes out of the sockets afterwards."""

from __future__ import annotations

from monitor.model.clock import Clock

BEAT_SECONDS = 1.0
STILL_SECONDS = 10.0
"""A machine under load may be late by seconds, and its sockets hold what came meanwhile; later than this it was stopped, or had no disk."""


class Awake:
    """Notices by monotonic time that the process stood still. One for all that is watched."""

    def __init__(self, clock: Clock) -> None:
        """Begin now; while `run` runs the process shows signs of life."""
        self._clock = clock
        self._beat = clock.monotonic()
        self._slept: tuple[float, float] | None = None

    async def run(self) -> None:
        """Show signs of life, from now on; ends only when cancelled."""
        while True:
            await self._clock.sleep(BEAT_SECONDS)
            self.slept()

    def begin(self) -> None:
        """Begin now: what was waited for before there was anything to watch is no standstill."""
        self._beat = self._clock.monotonic()

    def slept(self) -> tuple[float, float] | None:
        """Return from when to when the process stood still the last time, in monotonic seconds; None when it never did.

        To be asked by whoever takes what had come meanwhile: sockets are read before timers are.
        """
        before, self._beat = self._beat, self._clock.monotonic()
        if self._beat - before > STILL_SECONDS:
            self._slept = before, self._beat
        return self._slept
