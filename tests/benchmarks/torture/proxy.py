"""A line between two ends that fails as lines do: down, cut in the middle, half open, slow, a byte at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum


class Line(StrEnum):
    """How the line is."""

    GOOD = "good"
    DOWN = "down"
    """Connections are cut at once."""
    HALF_OPEN = "half open"
    """What is sent arrives nowhere, and nobody says so."""
    CUT_UP = "cut on the way up"
    """Cut after some bytes of what is asked."""
    CUT_DOWN = "cut on the way down"
    """What was asked arrives whole; the answer breaks off after some bytes."""
    SLICED = "sliced"
    """A few bytes at a time."""


@dataclass
class Proxy:
    """Listens on loopback and passes on to `port`."""

    port: int
    line: Line = Line.GOOD
    limit: int = 100
    """After how many bytes a cut comes."""
    url: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator[Proxy]:
        """Stand before a server on loopback."""
        proxy = cls(int(url.rpartition(":")[2]))
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield proxy
        finally:
            server.close()
            for task in proxy._tasks:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self._pass_on(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = self.line
        if line is Line.DOWN:
            return
        if line is Line.HALF_OPEN:
            while await reader.read(65536):
                pass
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        limits = {Line.CUT_UP: (self.limit, None), Line.CUT_DOWN: (None, self.limit)}.get(line, (None, None))
        piece = 7 if line is Line.SLICED else 65536
        ways = [
            asyncio.create_task(_copy(reader, back, limits[0], 65536)),
            asyncio.create_task(_copy(there, writer, limits[1], piece)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            back.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: int | None, piece: int) -> None:
    """Copy up to `limit` bytes."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(piece if limit is None else min(piece, limit)):
            target.write(data)
            await target.drain()
            if limit is not None:
                limit -= len(data)
                if limit <= 0:
                    return
