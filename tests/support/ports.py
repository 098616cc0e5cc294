"""TCP ports that refuse, that never answer, and that answer wrongly: what stands where a camera should be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def closed_port(host: str = "127.0.0.1") -> int:
    """Return a port of `host` at which nothing listens."""
    with closing(socket.socket()) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@contextmanager
def full_backlog(host: str = "127.0.0.1") -> Iterator[int]:
    """Give a port whose listener never accepts and whose backlog is full: handshakes are dropped."""
    with closing(socket.socket()) as listener:
        listener.bind((host, 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(8):
                client = socket.socket()
                client.setblocking(False)
                with suppress(BlockingIOError):
                    client.connect(listener.getsockname())
                waiting.append(client)
            yield int(listener.getsockname()[1])
        finally:
            for client in waiting:
                client.close()


@asynccontextmanager
async def talking(talk: Talk, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Run a server that does whatever `talk(reader, writer)` does, and give its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Listen for ever."""
    while await reader.read(4096):
        pass


async def one_byte_a_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request rightly, and as slowly as nobody can wait for."""
    await reader.readuntil(b"\r\n\r\n")
    for byte in b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1.0)


async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server does that was asked in RTSP."""
    await reader.readuntil(b"\r\n\r\n")
    body = b"<html>Bad Request</html>"
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    await writer.drain()
