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
SLOW_GAPS = 1.5
"""So many times the shortest pause in any case: some devices are set to a frame in 8 or 16 seconds."""
SLOWEST_SECONDS = 40.0
"""No silence is longer without being a stall."""


def until_check(now: float) -> float:
    """Return the seconds until the next check, at the same instants for all streams: one wake-up serves them all."""
    return CHECK_SECONDS - now % CHECK_SECONDS


class Pace:
    """One stream's rhythm. Instants are monotonic seconds."""

    def __init__(self, stall: float, now: float) -> None:
        """Know nothing but the deadline `stall`: two thirds of it for a lively stream, four for one with long pauses.

        It is longer for a stream all of whose pauses are long.
        """
        self._stall = stall
        self._began = self._moved_at = self._window_at = now
        self._longest = self._longest_before = 0.0
        self._shortest = self._shortest_before = float("inf")

    def moved(self, at: float) -> None:
        """Frames came. For so long as they may gather, the pause may have been ours."""
        pause, self._moved_at = at - self._moved_at, at
        self._longest = max(self._longest, pause - CHECK_SECONDS)
        self._shortest = min(self._shortest, pause)
        if at - self._window_at > GAP_SECONDS:
            self._longest_before, self._longest, self._window_at = self._longest, 0.0, at
            self._shortest_before, self._shortest = self._shortest, float("inf")

    def limit(self, now: float) -> float:
        """Return after how many seconds of silence the stream is stalled."""
        shortest = min(self._shortest, self._shortest_before)
        slow = 0.0 if shortest == float("inf") else min(SLOW_GAPS * shortest, SLOWEST_SECONDS)
        if now - self._began < KNOWN_SECONDS:
            return max(self._stall, slow)
        usual = GAPS * max(self._longest, self._longest_before)
        return max(min(max(usual, self._stall * 2 / 3), self._stall * 4 / 3), slow)

    def may_gather(self, now: float) -> bool:
        """Tell whether frames may wait for the next check: a young stream's are read as they come."""
        return now - self._began >= KNOWN_SECONDS
