"""A line before a PostgreSQL server that can stall: nothing passes any more, and neither end is told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from support.databases import PostgresServer


class StallingLine:
    """Listens on loopback and passes on; the systems at both ends go on saying that they got what was sent."""

    def __init__(self, server: PostgresServer, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing listens yet."""
        self._server, self._loop = server, loop
        self._passes = asyncio.Event()
        self._passes.set()
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0

    def url(self, database: str) -> str:
        """Return the URL of a database behind the line."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def stall(self) -> None:
        """Let nothing through; who connects now waits, too."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    def resume(self) -> None:
        """Let everything through again."""
        self._loop.call_soon_threadsafe(self._passes.set)

    async def listen(self) -> asyncio.Server:
        """Begin."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def end(self) -> None:
        """Cut all connections."""
        for task in self._talks:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._passes.wait()
                there, back = await asyncio.open_unix_connection(self._server.directory / ".s.PGSQL.5432")
                try:
                    await self._both(reader, writer, there, back)
                finally:
                    back.close()
        finally:
            writer.close()
            self._talks.discard(task)

    async def _both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        ways = [asyncio.create_task(self._copy(*way)) for way in ((reader, back), (there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._passes.wait()
                target.write(data)
                await target.drain()


@contextmanager
def stalling(server: PostgresServer) -> Iterator[StallingLine]:
    """Let a line to a server listen on a free port, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    line = StallingLine(server, loop)
    listening = asyncio.run_coroutine_threadsafe(line.listen(), loop).result(10)
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(line.end)
        asyncio.run_coroutine_threadsafe(_others_are_done(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _others_are_done() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
