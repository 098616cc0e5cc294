"""A line before an RTSP server that loses packets: a proxy that leaves RTP packets out of the interleaved stream."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)


@dataclass
class Line:
    """What is lost, and what was."""

    loses: Callable[[int, bytes], bool]
    """Asked of each video packet: its sequence number, its payload. May be changed at any time."""
    port: int = 0
    passed: int = 0
    lost: int = 0

    def url(self, path: str) -> str:
        """Return the address of a stream behind this line."""
        return f"rtsp://127.0.0.1:{self.port}/{path}"

    async def deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what a server says until it has nothing more to say: RTSP as it is, packets but for the lost ones."""
        while first := await reader.read(1):
            if first != b"$":
                message = first + await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(message)
                writer.write(message + await reader.readexactly(int(length[1]) if length else 0))
                continue
            channel, size = struct.unpack(">BH", await reader.readexactly(3))
            packet = await reader.readexactly(size)
            if channel == 0 and self.loses(int.from_bytes(packet[2:4], "big"), packet[12:]):
                self.lost += 1
                continue
            self.passed += channel == 0
            writer.write(b"$" + struct.pack(">BH", channel, size) + packet)
            await writer.drain()


@asynccontextmanager
async def lossy(server_port: int, loses: Callable[[int, bytes], bool]) -> AsyncIterator[Line]:
    """Let a line to a server on loopback listen on a free port."""
    line, talks = Line(loses), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", server_port)
        asking = asyncio.create_task(_copy(reader, to_server))
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await line.deliver(from_server, writer)
        finally:
            asking.cancel()
            talks.discard(task)
            for end in (writer, to_server):
                end.transport.abort()

    proxy = await asyncio.start_server(connected, "127.0.0.1", 0)
    line.port = proxy.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        proxy.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await proxy.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while said := await reader.read(4096):
            writer.write(said)
            await writer.drain()
