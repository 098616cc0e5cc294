"""Reports that the collector took and that count for nothing there, and whose index is read anew once they count again."""

from __future__ import annotations

from collections.abc import Iterable

from agents.state import State
from monitor.model.span import HOUR, Millis

AGAIN: Millis = 6 * HOUR
"""An hour ahead is the most that counts: by a clock that is just that, one report counts and the next doesn't, and recorders are not asked for all each time."""

_KEY = "uncounted"
_TOLD_AT = "uncounted_told_at"


class Uncounted:
    """Remembers over restarts that reports didn't count: a clock is often set by starting the machine again."""

    def __init__(self, state: State) -> None:
        """Keep it in the state."""
        self._state = state

    def hear(self, recorders: Iterable[str], *, counts: bool, now: Millis) -> bool:
        """Hear of a report that came in whether it counts; tell whether it is the first that does after others didn't.

        What is told so soon after the last time is told later. From then on the index of each of these recorders is to be read anew.
        """
        kept = self._state.get(_KEY)
        if not counts and kept is not True:
            self._state.put(_KEY, value=True)
        elif counts and kept is True and not self._is_soon(now):
            self._state.put(_KEY, list(recorders))
            self._state.put(_TOLD_AT, now)
            return True
        return False

    def take(self, recorder: str) -> bool:
        """Tell, once, whether a recorder's index is to be read anew."""
        kept = self._state.get(_KEY)
        if not isinstance(kept, list) or recorder not in kept:
            return False
        self._state.put(_KEY, [name for name in kept if name != recorder] or None)
        return True

    def _is_soon(self, now: Millis) -> bool:
        told = self._state.get(_TOLD_AT)
        return isinstance(told, int) and 0 <= now - told < AGAIN
