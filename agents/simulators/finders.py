"""A Dahua's finders: search handles that are few, must be given back, and list a channel's files page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agents.simulators.footage import Segment
from agents.simulators.recorder import RecorderState
from agents.simulators.search import listed

Found = tuple[Segment, tuple[int, int]]
"""A segment, and its start and end by the recorder's wall clock, counted as if UTC."""


class NoHandle(Exception):
    """All handles are given out, or there is none of this name."""


@dataclass
class _Finder:
    files: list[Found] = field(default_factory=list)
    position: int = 0
    searched: bool = False
    used_at: float = 0.0
    is_orphan: bool = False


class Finders:
    """Gives out handles, runs one search in each, and counts what a polite client would not do."""

    def __init__(self, state: RecorderState, limits: Callable[[], tuple[int, float]]) -> None:
        """`limits` says how many handles there are, and after how many idle seconds one is taken back."""
        self._state, self._limits = state, limits
        self._open: dict[str, _Finder] = {}
        self._last = 3_039_757_639
        self._running = 0
        self.searches = 0
        self.concurrent_searches = 0
        self.peak_finders = 0
        self.refused_finders = 0
        self.unknown_handles = 0
        self.destroyed_unclosed = 0
        self.abandoned_finders = 0

    def create(self) -> str:
        """Give out a handle. Raises NoHandle."""
        self._take_back()
        if len(self._open) >= self._limits()[0]:
            self.refused_finders += 1
            raise NoHandle
        self._last += 1
        handle = str(self._last)
        self.concurrent_searches += any(not one.is_orphan for one in self._open.values())
        self._open[handle] = _Finder(used_at=self._state.now())
        self.peak_finders = max(self.peak_finders, len(self._open))
        return handle

    def find(self, handle: str, channel_id: int, start: int, end: int) -> int:
        """Start a search in wall clock digits, both ends included; return how much it found. Raises NoHandle."""
        finder = self._get(handle)
        self.searches += 1
        channels = [one for one in self._state.channels if one.id == channel_id]
        finder.files = sorted((found for one in channels for found in listed(self._state, one, start, end)), key=_order)
        finder.position, finder.searched = 0, True
        return len(finder.files)

    def page(self, handle: str, count: int) -> list[Found]:
        """Return the next files of a search. Raises NoHandle."""
        finder = self._get(handle)
        page = finder.files[finder.position : finder.position + count]
        finder.position += len(page)
        return page

    def close(self, handle: str) -> None:
        """End a search. Raises NoHandle."""
        finder = self._get(handle)
        finder.files, finder.searched = [], False

    def destroy(self, handle: str) -> None:
        """Take a handle back. Raises NoHandle."""
        self.destroyed_unclosed += self._get(handle).searched
        del self._open[handle]

    def orphan(self) -> int:
        """Whoever opened the finders is gone; return how many were left open now."""
        left = [finder for finder in self._open.values() if not finder.is_orphan]
        for finder in left:
            finder.is_orphan = True
        return len(left)

    def begin(self) -> None:
        """A request about a search has come in."""
        self.concurrent_searches += self._running > 0
        self._running += 1

    def finish(self) -> None:
        """It has been answered."""
        self._running -= 1

    def stats(self) -> dict[str, int]:
        """Return the counters, and how many finders are open now."""
        self._take_back()
        return {
            "searches": self.searches,
            "concurrent_searches": self.concurrent_searches,
            "open_finders": sum(not one.is_orphan for one in self._open.values()),
            "orphaned_finders": sum(one.is_orphan for one in self._open.values()),
            "abandoned_finders": self.abandoned_finders,
            "peak_finders": self.peak_finders,
            "refused_finders": self.refused_finders,
            "unknown_handles": self.unknown_handles,
            "destroyed_unclosed": self.destroyed_unclosed,
        }

    def _take_back(self) -> None:
        most_idle = self._state.now() - self._limits()[1]
        idle = [handle for handle, finder in self._open.items() if finder.used_at < most_idle]
        for handle in idle:
            self.abandoned_finders += not self._open.pop(handle).is_orphan

    def _get(self, handle: str) -> _Finder:
        self._take_back()
        if handle not in self._open:
            self.unknown_handles += 1
            raise NoHandle
        finder = self._open[handle]
        finder.used_at = self._state.now()
        return finder


def _order(found: Found) -> tuple[tuple[int, int], bool]:
    return found[1], found[0].locked


def digits(text: str) -> int:
    """Return the wall clock digits of "2026-07-02 19:09:25", counted as if UTC. Raises ValueError."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())


def wall_text(at: int) -> str:
    """Return wall clock digits as the recorder writes them."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
