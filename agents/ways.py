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
    url: str


Open = Callable[[Way], Awaitable[Stream]]


class Ways:
    """One camera's ways, and which of them led to a stream."""

    def __init__(self, ways: Sequence[Way], clock: Clock) -> None:
        """Take the ways, best first; one at least."""
        self.ways = tuple(ways)
        self._clock = clock
        self._taken = 0
        self._since = 0.0

    @property
    def taken(self) -> Way:
        """The way that would be tried first now."""
        return self.ways[self._first()]

    async def open(self, try_way: Open) -> Stream:
        """Return the stream at the first way that has one. Raises the StreamError of the best one when none has."""
        refused: StreamError | None = None
        first = self._first()
        for number, way in enumerate(self.ways[first:], start=first):
            try:
                stream = await try_way(way)
            except StreamError as error:
                if error.cause not in NOT_THERE:
                    raise
                refused = refused or error
                continue
            if number != self._taken:
                self._taken, self._since = number, self._clock.monotonic()
            return stream
        self._taken = 0
        assert refused is not None  # noqa: S101  (there is one way at least)
        raise refused

    def _first(self) -> int:
        expired = self._taken and self._clock.monotonic() - self._since >= TRY_AGAIN_SECONDS
        return 0 if expired else self._taken
