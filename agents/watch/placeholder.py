"""A recorder's placeholder: frames that arrive, and are nobody's picture, while the recorder lists the channel off line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from monitor.model.clock import Clock

SIGNAL_LOST: Final = "signal_lost"
PLAYS_PLACEHOLDER: Final = "the recorder lists the channel off line and plays its placeholder"

Offline = Callable[[float | None], Awaitable[bool]]
"""Tells whether the recorder lists the channel off line: None asks it, a number goes by what it said within so many seconds."""


async def nobody_says(_seconds: float | None) -> bool:
    """Tell nothing: no recorder stands before the camera."""
    return False


class Placeholder:
    """Whether one camera's frames are its recorder's placeholder."""

    def __init__(self, offline: Offline, clock: Clock) -> None:
        """Begin with a camera's own frames."""
        self._offline = offline
        self._clock = clock
        self._asked_at: float | None = None
        """The monotonic second at which the recorder was asked, while the signal is lost."""
        self.plays = False

    async def confirmed(self, state: str) -> bool:
        """Take note of what the camera is confirmed to show; return whether its frames are a placeholder.

        The recorder is asked once, when a lost signal is confirmed; recorders go on listing a camera that has just gone
        for a while, so what it says later counts as well, whoever asks.
        """
        if state != SIGNAL_LOST:
            self._asked_at, self.plays = None, False
        elif self._asked_at is None:
            self._asked_at = self._clock.monotonic()
            self.plays = await self._offline(None)
        elif not self.plays:
            self.plays = await self._offline(self._clock.monotonic() - self._asked_at)
        return self.plays
