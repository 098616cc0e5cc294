"""Reports that the collector took and that count for nothing there, and whose index is read anew once they count again."""

from __future__ import annotations

from collections.abc import Iterable

from agents.state import State

_KEY = "uncounted"


class Uncounted:
    """Remembers over restarts that reports didn't count: a clock is often set by starting the machine again."""

    def __init__(self, state: State) -> None:
        """Keep it in the state."""
        self._state = state

    def hear(self, recorders: Iterable[str], *, counts: bool) -> bool:
        """Hear of a report that came in whether it counts; tell whether it is the first that does after others didn't.

        From then on the index of each of these recorders is to be read anew.
        """
        kept = self._state.get(_KEY)
        if not counts and kept is not True:
            self._state.put(_KEY, value=True)
        elif counts and kept is True:
            self._state.put(_KEY, list(recorders))
            return True
        return False

    def take(self, recorder: str) -> bool:
        """Tell, once, whether a recorder's index is to be read anew."""
        kept = self._state.get(_KEY)
        if not isinstance(kept, list) or recorder not in kept:
            return False
        self._state.put(_KEY, [name for name in kept if name != recorder] or None)
        return True
