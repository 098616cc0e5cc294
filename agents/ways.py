"""The ways to a camera's stream, best first: one that isn't there gives way to the next, and is tried again once a day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from agents.rtsp.errors import StreamError
from agents.rtsp.stream import Stream
from monitor.model.clock import Clock
from monitor.model.observation import StreamCause

TRY_AGAIN_SECONDS = 24 * 3600.0
NOT_THERE = frozenset({StreamCause.NOT_FOUND, StreamCause.NO_VIDEO})
"""What a device says of a stream that it doesn't have; everything else may pass."""


@dataclass(frozen=True)
class Way:
    """One address at which a camera's stream may be."""

    name: str
    """For people: where the address comes from."""
    url: str | None
    """None where it has to be asked for, which is done when its turn comes."""


Open = Callable[[Way], Awaitable[Stream]]


class Ways:
    """Which of one camera's ways led to a stream."""

    def __init__(self, clock: Clock) -> None:
        """Know nothing."""
        self._clock = clock
        self._taken: Way | None = None
        """The way that was gone down to; None while the best one is good."""
        self._since = 0.0

    async def open(self, ways: Sequence[Way], try_way: Open) -> Stream:
        """Return the stream at the first of the ways, best first, that has one; one at least is given.

        Raises the StreamError of the first one that was tried when none has.
        """
        refused: StreamError | None = None
        try:
            for way in ways[self._first(ways) :]:
                try:
                    stream = await try_way(way)
                except StreamError as error:
                    if error.cause not in NOT_THERE:
                        raise
                    refused = refused or error
                    continue
                self._take(way if way is not ways[0] else None)
                return stream
            self._taken = None
            if refused is None:
                raise ValueError("no way was given")
            raise refused
        finally:
            del refused  # its traceback holds this frame, and with it all that was made for the attempt

    def _take(self, way: Way | None) -> None:
        if way != self._taken:
            self._taken, self._since = way, self._clock.monotonic()

    def _first(self, ways: Sequence[Way]) -> int:
        """Return where to begin: at the way that was gone down to, for a day; at the best one when that has vanished."""
        if self._taken is None or self._clock.monotonic() - self._since >= TRY_AGAIN_SECONDS:
            return 0
        return next((number for number, way in enumerate(ways) if way == self._taken), 0)
