"""How a stream runs, by what came so far: how long a silence is a stall, and whether its frames may wait to be read."""

from __future__ import annotations

CHECK_SECONDS = 1.0
"""How often a stream is looked at by the clock, and what has gathered in its socket is read: reads for each packet, or for each
stream at moments of its own, are what watching costs most."""
GATHER_MOST_BYTES = 96 * 1024
"""More than this is read before that; leaves a quarter of the buffer that is read into."""
KNOWN_SECONDS = 10.0
"""A stream younger than this is read as it comes, and judged by the stall deadline as it stands."""
GAP_SECONDS = 60.0
"""A pause between frames is remembered for one to two of these."""
GAPS = 3
"""A silence of so many times the longest pause is a stall."""


def until_check(now: float) -> float:
    """Return the seconds until the next check, at the same instants for all streams: one wake-up serves them all."""
    return CHECK_SECONDS - now % CHECK_SECONDS


class Pace:
    """One stream's rhythm. Instants are monotonic seconds."""

    def __init__(self, stall: float, now: float) -> None:
        """Know nothing but the deadline `stall`: two thirds of it for a lively stream, four for one with long pauses."""
        self._stall = stall
        self._began = self._moved_at = self._window_at = now
        self._longest = self._longest_before = 0.0

    def moved(self, at: float) -> None:
        """Frames came. For so long as they may gather, the pause may have been ours."""
        self._longest = max(self._longest, at - self._moved_at - CHECK_SECONDS)
        self._moved_at = at
        if at - self._window_at > GAP_SECONDS:
            self._longest_before, self._longest, self._window_at = self._longest, 0.0, at

    def limit(self, now: float) -> float:
        """Return after how many seconds of silence the stream is stalled."""
        if now - self._began < KNOWN_SECONDS:
            return self._stall
        usual = GAPS * max(self._longest, self._longest_before)
        return min(max(usual, self._stall * 2 / 3), self._stall * 4 / 3)

    def may_gather(self, now: float) -> bool:
        """Tell whether frames may wait for the next check: a young stream's are read as they come."""
        return now - self._began >= KNOWN_SECONDS
