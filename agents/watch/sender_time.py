"""When frames were sent, by the sender's clock laid on ours: how late they are read wavers, a recording's pace doesn't."""

from __future__ import annotations

import math

APART_SECONDS = 3.0
"""Further apart than this the sender's clock is laid on ours anew: it was set, runs wrong, or has drifted for days."""

WINDOW_SECONDS = 60.0
"""So long, and once more, the promptest frame is remembered: clocks drift by milliseconds in that time."""
LATEST_SECONDS = 1.5
"""Reads are a second apart. What seems to be later than that by more was not on the way: a clock may be wrong."""

_HALF = 1 << 31
_WORD = 1 << 32


class SenderTime:
    """One connection's frames, each given seconds on our steady clock."""

    def __init__(self, clock_rate: int) -> None:
        """Take the ticks a second of the stream's timestamps."""
        self._clock_rate = clock_rate
        self._base: tuple[float, int] | None = None
        self.laid = 0
        """So many times the sender's clock was laid on ours: what was reckoned by one of them doesn't hold by the next."""

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
        self.laid += 1
        return received_at

    def of(self, timestamp: int) -> float | None:
        """Return when a frame near the last one was or will be sent, None before the first one."""
        if self._base is None:
            return None
        at, before = self._base
        return at + ((timestamp - before + _HALF) % _WORD - _HALF) / self._clock_rate

    def timestamp(self, at: float) -> int | None:
        """Return the timestamp of a frame that is sent at some second, None before the first one."""
        if self._base is None:
            return None
        then, before = self._base
        return (before + round((at - then) * self._clock_rate)) % _WORD


class Lateness:
    """How late one connection's frames are read: by how much later than the promptest of the last minute or two.

    Several are taken together, once a second: what a picture shows was so before it was read.
    """

    def __init__(self, clock_rate: int) -> None:
        """Take the ticks a second of the stream's timestamps."""
        self._clock_rate = clock_rate
        self._last: tuple[int, float] | None = None
        """The last frame's timestamp, and its seconds since the first one by the sender's clock."""
        self._since = 0.0
        self._least: tuple[float, float] = (math.inf, math.inf)
        """Of reading less sending, in the minute before and in this one."""

    def of(self, received_at: float, timestamp: int) -> float:
        """Return a frame's lateness, 0 to `LATEST_SECONDS`. Raises nothing: where the sender's clock was set, all begins anew."""
        before, sent = self._last or (timestamp, 0.0)
        sent += ((timestamp - before + _HALF) % _WORD - _HALF) / self._clock_rate
        self._last = timestamp, sent
        delay, least = received_at - sent, min(self._least)
        if abs(delay - least) > APART_SECONDS:  # also at first
            self._since, self._least = received_at, (delay, delay)
        elif received_at - self._since > WINDOW_SECONDS:
            self._since, self._least = received_at, (self._least[1], delay)
        else:
            self._least = self._least[0], min(self._least[1], delay)
        return min(delay - min(self._least), LATEST_SECONDS)
