"""What waits in a socket is read when it is asked for, without the loop's being woken: as the loop would have read it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agents.rtsp.message import Message
from agents.rtsp.pace import GATHER_MOST_BYTES
from agents.rtsp.wire import Wire
from support.thread import until

PACKET = b"$\x00\x00\x03abc"


class Told:
    """Keeps what a wire tells."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.ends: list[Exception | None] = []

    def on_bytes(self) -> None:
        pass

    def on_packet(self, channel: int, data: bytearray, start: int, end: int) -> None:
        self.packets.append(bytes(data[start:end]))

    def on_plain(self, data: bytearray, start: int, end: int) -> int:
        return start

    def on_message(self, message: Message) -> None:
        raise AssertionError(message)

    def on_read(self) -> None:
        pass

    def on_closed(self, error: Exception | None) -> None:
        self.ends.append(error)


@asynccontextmanager
async def wired() -> AsyncIterator[tuple[Wire, Told, socket.socket]]:
    """Yield a wire, who is told, and the other end; what comes gathers until it is taken."""
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    transport, wire = await asyncio.get_running_loop().create_connection(lambda: Wire(told), sock=ours)
    try:
        theirs.sendall(PACKET)
        wire.take(then=GATHER_MOST_BYTES)
        await until(lambda: bool(told.packets), "the first packet is read", 5)
        yield wire, told, theirs
    finally:
        theirs.close()
        transport.close()
        await wire.closed


async def test_what_waits_is_read_at_once_and_all_of_it() -> None:
    async with wired() as (wire, told, theirs):
        for read in (2, 4, 6):
            theirs.sendall(PACKET[:3])
            wire.take(then=GATHER_MOST_BYTES)
            theirs.sendall(PACKET[3:] + PACKET)
            wire.take(then=GATHER_MOST_BYTES)
            assert len(told.packets) == 1 + read, "nothing was awaited"
        assert wire.bytes_received == 7 * len(PACKET)


async def test_where_nothing_waits_the_next_bytes_are_read_as_they_come() -> None:
    async with wired() as (wire, told, theirs):
        wire.take(then=GATHER_MOST_BYTES)
        theirs.sendall(PACKET)
        await until(lambda: len(told.packets) == 2, "the next packet is read", 5)


async def test_a_connection_that_pauses_is_not_read() -> None:
    async with wired() as (wire, told, theirs):
        wire.pause(30)
        theirs.sendall(PACKET)
        wire.take(then=GATHER_MOST_BYTES)
        assert len(told.packets) == 1
        wire.resume()
        wire.take(then=GATHER_MOST_BYTES)
        assert len(told.packets) == 2


@pytest.mark.parametrize("reset", [False, True])
async def test_how_a_connection_ended_is_told_as_the_loop_tells_it(reset: bool) -> None:
    async with wired() as (wire, told, theirs):
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))
        theirs.close()
        wire.take(then=GATHER_MOST_BYTES)
        await until(lambda: bool(told.ends), "the end is told", 5)
    assert [type(error) for error in told.ends[:1]] == [ConnectionResetError if reset else type(None)]


async def test_a_wire_that_was_closed_reads_nothing_more() -> None:
    async with wired() as (wire, told, theirs):
        theirs.sendall(PACKET)
        wire.abort()
        wire.take(then=GATHER_MOST_BYTES)
        assert len(told.packets) == 1
