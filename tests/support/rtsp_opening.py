"""Opens streams in tests: short deadlines, loopback only, and why an opening failed."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agents.rtsp import AddressBook, Deadlines, Login, Stream, StreamError, StreamRequest, open_stream
from monitor.model.clock import SystemClock

LOOPBACK = AddressBook([ipaddress.ip_network("127.0.0.0/8")])
SHORT = Deadlines(connect=0.4, answer=0.4, total=1.5, first_frame=0.4, stall=0.4, teardown=0.3)
"""For what must run into a deadline."""
PATIENT = Deadlines(connect=10, answer=10, total=20, first_frame=10, stall=10, teardown=5)
"""For what must not, on however busy a machine."""
STALLING = replace(PATIENT, first_frame=0.4, stall=0.4)
"""For what opens, and then stalls."""
LOGIN = Login("viewer", "s3cret")


@asynccontextmanager
async def opened(
    url: str, login: Login | None = None, deadlines: Deadlines = PATIENT, **more: object
) -> AsyncIterator[Stream]:
    request = StreamRequest(url, login, more.pop("tls_fingerprint", None))  # type: ignore[arg-type]
    stream = await open_stream(request, LOOPBACK, deadlines, clock=SystemClock(), **more)  # type: ignore[arg-type]
    try:
        yield stream
    finally:
        await stream.close()


async def read_to_the_end(url: str, login: Login | None, deadlines: Deadlines) -> None:
    async with opened(url, login, deadlines) as stream:
        async for _ in stream.frames():
            pass


async def cause_of(
    url: str, login: Login | None = None, deadlines: Deadlines = SHORT, within: float = 2.5
) -> StreamError:
    """Open and read until it fails; return why, and see that it didn't take longer than allowed."""
    before = time.monotonic()
    with pytest.raises(StreamError) as caught:
        await read_to_the_end(url, login, deadlines)
    assert time.monotonic() - before < within
    assert "s3cret" not in str(caught.value)
    return caught.value


@asynccontextmanager
async def raw_server(talk: object) -> AsyncIterator[str]:
    """Run a server that does whatever `talk(reader, writer)` does."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)  # type: ignore[operator]
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()
