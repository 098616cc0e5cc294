"""When frames were sent, by the sender's clock laid on ours: how late they are read wavers, a recording's pace doesn't."""

from __future__ import annotations

APART_SECONDS = 3.0
"""Further apart than this the sender's clock is laid on ours anew: it was set, runs wrong, or has drifted for days."""

_HALF = 1 << 31
_WORD = 1 << 32


class SenderTime:
    """One connection's frames, each given seconds on our steady clock."""

    def __init__(self, clock_rate: int) -> None:
        """Take the ticks a second of the stream's timestamps."""
        self._clock_rate = clock_rate
        self._base: tuple[float, int] | None = None

    def at(self, received_at: float, timestamp: int) -> float:
        """Return when a frame was sent: seconds on our clock, `APART_SECONDS` from when it was read at the most."""
        if self._base is not None:
            at, before = self._base
            ticks = (timestamp - before + _HALF) % _WORD - _HALF
            at += ticks / self._clock_rate
            if abs(at - received_at) <= APART_SECONDS:
                self._base = at, timestamp
                return at
        self._base = received_at, timestamp
        return received_at
