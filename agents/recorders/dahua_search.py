"""Searching a Dahua's recordings: search handles are few, and are given back whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from agents.recorders import dahua_parse as parse
from agents.recorders.base import RecorderError
from agents.recorders.dahua_cgi import BAD_REQUEST, FINDER, OK, PLAYBACK, Cgi
from agents.recorders.http import Answer
from agents.recorders.windows import Window, halves
from monitor.model.observation import StreamCause

PAGE_SIZE = 100
"""The most that a page may hold by the interface's description."""

SURELY_SHORT = 20
"""No firmware holds its pages below so many files: a shorter one is the last."""

MOST_PAGES = 400
"""A window with more pages than this is not moving on."""

_GONE = frozenset({StreamCause.REFUSED, StreamCause.NO_CONNECTION})
_SHORTEST_WINDOW = timedelta(minutes=1)


@dataclass
class _Finder:
    """A search handle. One that the recorder doesn't know is answered as one that finds nothing, or no more."""

    handle: str
    refused: bool = False
    """The recorder ended the list by an error."""
    was_there: bool = False
    """The recorder took the handle back at the end."""


class Search:
    """The search of one recorder: `running` is held by whoever searches, for there must never be two at once."""

    def __init__(self, cgi: Cgi, page_size: int, file_type: str) -> None:
        """Ask nothing yet."""
        self._cgi, self._page_size, self._file_type = cgi, page_size, file_type
        self.running = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for handles that are still being given back."""
        await asyncio.gather(*self._closing)

    async def files(self, number: int, window: Window) -> list[parse.Segment]:
        """Return all files of a window; a search that fails is tried once more in two halves."""
        try:
            return await self.pages(number, window)
        except RecorderError as error:
            splittable = {StreamCause.RECORDER, StreamCause.RECORDER_FULL, StreamCause.TIMEOUT}
            if error.cause not in splittable or window[1] - window[0] < _SHORTEST_WINDOW:
                raise
        return [one for half in halves(window) for one in await self.pages(number, half)]

    async def pages(self, number: int, window: Window, *, first: bool = False) -> list[parse.Segment]:
        """Read a window page by page until the recorder has no more, or its `first` file alone.

        A page that is shorter than asked for is no sign of the end, since firmware may hold them so; a very short one is.
        Raises RecorderError when the pages do not move on, and when the end was told by an error to a finder that wasn't
        there.
        """
        async with self._finder() as finder:
            segments = await self._listed(finder, number, window, first=first)
        if finder.refused and not finder.was_there:
            detail = "The recorder lost its own search handle: what it found is not known, and it is asked again later."
            raise RecorderError(StreamCause.RECORDER, detail, f"GET {FINDER}findFile ({_note(number, window)})")
        return segments

    async def _listed(self, finder: _Finder, number: int, window: Window, *, first: bool) -> list[parse.Segment]:
        if not await self._begin(finder, number, window):
            return []
        segments: list[parse.Segment] = []
        previous: parse.Page | None = None
        for _ in range(MOST_PAGES):
            page = await self._page(finder, number, size=1 if first else self._page_size)
            if page is not None:
                segments += page.segments
            if page is None or not page.files or (first and segments):
                return segments
            if not first and page.files < min(SURELY_SHORT, self._page_size):
                return segments
            if page == previous and page.segments:
                break
            previous = page
        detail = "The recorder repeats the same page of its search: note its model and firmware and report it."
        raise RecorderError(StreamCause.RECORDER, detail, f"GET {FINDER}findNextFile ({_note(number, window)})")

    async def _begin(self, finder: _Finder, number: int, window: Window) -> bool:
        """Start a search; False when the recorder says by an error of the request that there is nothing to find."""
        start, end = (quote(moment.isoformat(" ", "seconds")) for moment in window)
        path = (
            f"{FINDER}findFile&object={finder.handle}&condition.Channel={number}&condition.StartTime={start}"
            f"&condition.EndTime={end}&condition.Types[0]={self._file_type}&condition.VideoStream=Main"
        )
        answer = await _whole(self._cgi.http.fetch("GET", path, note=_note(number, window)))
        if answer.status == BAD_REQUEST:
            finder.refused = True
            return False
        self._cgi.check(answer, f"GET {path} ({_note(number, window)})", PLAYBACK)
        if answer.body.strip() != b"OK":
            raise RecorderError(
                StreamCause.RECORDER,
                f"{self._cgi.http.host} answered a search neither with OK nor with an error.",
                path,
            )
        return True

    async def _page(self, finder: _Finder, number: int, *, size: int) -> parse.Page | None:
        """Return the next page; None when the recorder says by an error of the request that there is no more."""
        path = f"{FINDER}findNextFile&object={finder.handle}&count={size}"
        answer = await _whole(self._cgi.http.fetch("GET", path, note=f"channel {number}"))
        if answer.status == BAD_REQUEST:
            finder.refused = True
            return None
        self._cgi.check(answer, f"GET {path}", PLAYBACK)
        return self._cgi.read(lambda body: parse.found_files(body, number - 1), answer, f"GET {path}")

    @asynccontextmanager
    async def _finder(self) -> AsyncIterator[_Finder]:
        """Open a finder, and close and destroy it whatever happens, a cancelled scan included: they are few."""
        opening = asyncio.create_task(self._open_finder())
        try:
            yield await asyncio.shield(opening)
        finally:
            closing = asyncio.create_task(self._close_finder(opening))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.shield(closing)

    async def _open_finder(self) -> _Finder:
        path = f"{FINDER}factory.create"
        answer = await self._cgi.http.fetch("GET", path)
        if answer.status == OK and parse.says_no_handle(answer.body):
            detail = f"{self._cgi.http.host} gives no search handle: others may hold them all; it is asked again later."
            raise RecorderError(StreamCause.RECORDER_FULL, detail, f"GET {path}")
        self._cgi.check(answer, f"GET {path}", PLAYBACK)
        return _Finder(self._cgi.read(parse.handle, answer, f"GET {path}"))

    async def _close_finder(self, opening: asyncio.Task[_Finder]) -> None:
        with suppress(RecorderError):
            finder = await opening
            for action in ("close", "destroy"):
                try:
                    answer = await self._cgi.http.fetch("GET", f"{FINDER}{action}&object={finder.handle}")
                except RecorderError as error:
                    if error.cause in _GONE:
                        raise  # nobody is there to be told
                else:
                    finder.was_there = answer.status == OK and not parse.says_error(answer.body)


async def _whole(request: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for the answer even when given up meanwhile: the recorder searches on, and must not be asked twice at once."""
    task = asyncio.create_task(request)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _note(number: int, window: Window) -> str:
    start, end = (moment.isoformat(timespec="seconds") for moment in window)
    return f"channel {number}, {start} to {end} recorder time"
