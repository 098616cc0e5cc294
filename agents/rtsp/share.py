"""How much of this machine's time one connection may take: one that floods waits, and the others don't."""

from __future__ import annotations

RATIO = 0.1
"""A main stream of 8 Mb/s takes a hundredth of this."""
BURST_SECONDS = 0.25
"""So much may be taken at once by one that was quiet: also a machine that stood still for a moment looks so."""
LONGEST_SECONDS = 1.0
"""A pause is not to be taken for a stall."""


class Share:
    """What one connection has taken of its share. Seconds throughout."""

    def __init__(self) -> None:
        """Begin with all that may be taken at once."""
        self._left = BURST_SECONDS
        self._at = float("-inf")

    def pause(self, began: float, ended: float) -> float:
        """Take note of what was read between two monotonic instants; return for how long nothing more is to be read."""
        earned = (began - self._at) * RATIO
        self._left = min(BURST_SECONDS, self._left + max(0.0, earned)) - max(0.0, ended - began)
        self._at = ended
        if self._left >= 0:
            return 0.0
        self._left = max(self._left, -LONGEST_SECONDS * RATIO)
        return -self._left / RATIO
