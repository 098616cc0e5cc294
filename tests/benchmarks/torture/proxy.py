"""A line between two ends that fails as lines do: down, cut in the middle, half open on either way, lossy, a few bytes at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
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
    MUTE = "half open on the way down"
    """What is asked arrives; the answer doesn't, and nobody says so."""
    LOSSY = "lossy"
    """Packets are lost, now and then and all of them for a while: bytes come late, also when nobody waits for them any more,
    or the connection is reset."""
    CUT_UP = "cut on the way up"
    """Cut after some bytes of what is asked."""
    CUT_DOWN = "cut on the way down"
    """What was asked arrives whole; the answer breaks off after some bytes."""
    SLICED = "sliced"
    """A few bytes at a time."""


PACKET_BYTES = 1460
LOST = 0.1
"""So many packets are lost by themselves, and before so many the line fails for a while."""
LONGEST_FAILURE_SECONDS = 0.6
AGAIN_SECONDS = 0.01
"""A packet is sent again after so long, and then after twice as long each time."""
GIVEN_UP_SECONDS = (0.1, 0.5)
"""Who has sent one again for so long resets the connection: one of them sooner than who waits for the answer gives up, one later."""


@dataclass
class Proxy:
    """Listens on loopback and passes on to `port`."""

    port: int
    line: Line = Line.GOOD
    limit: int = 100
    """After how many bytes a cut comes."""
    url: str = ""
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    """Which packets are lost."""
    _fails_until: float = 0.0
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

    async def quiet(self) -> None:
        """Wait until all connections have ended, and what was on its way has arrived."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = self.line
        if line is Line.DOWN:
            return
        if line is Line.HALF_OPEN:
            await _swallow(reader)
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        if line is Line.LOSSY:
            await self._lose_some(reader, back, there, writer)
            return
        limits = {Line.CUT_UP: (self.limit, None), Line.CUT_DOWN: (None, self.limit)}.get(line, (None, None))
        piece = 7 if line is Line.SLICED else 65536
        ways = [
            asyncio.create_task(_copy(reader, back, limits[0], 65536)),
            asyncio.create_task(_swallow(there) if line is Line.MUTE else _copy(there, writer, limits[1], piece)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            back.close()

    async def _lose_some(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Let both ways come to their ends, whoever hangs up: what was sent before that still arrives, or is reset."""
        patience = self.chance.choice(GIVEN_UP_SECONDS)
        pairs = ((reader, back), (there, writer))
        ways = [asyncio.create_task(self._late(source, target, patience)) for source, target in pairs]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
            if any(way.exception() is not None for way in done):
                _reset(back)
                _reset(writer)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.close()

    async def _late(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, patience: float) -> None:
        while data := await source.read(PACKET_BYTES):
            await self._get_through(patience)
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()

    async def _get_through(self, patience: float) -> None:
        """Wait as long as a packet takes that is sent until it isn't lost. Raises ConnectionResetError."""
        now, waited, pause = asyncio.get_running_loop().time, 0.0, AGAIN_SECONDS
        if self.chance.random() < LOST:
            self._fails_until = now() + self.chance.uniform(0.0, LONGEST_FAILURE_SECONDS)
        while now() < self._fails_until or self.chance.random() < LOST:
            if waited > patience:
                raise ConnectionResetError
            await asyncio.sleep(pause)
            waited += pause
            pause *= 2


def _reset(end: asyncio.StreamWriter) -> None:
    """Close a connection as who gives it up does: the other side gets a reset, not an end."""
    with contextlib.suppress(OSError):  # it has ended by itself
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()


async def _swallow(source: asyncio.StreamReader) -> None:
    while await source.read(65536):
        pass


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
