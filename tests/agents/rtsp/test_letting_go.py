"""A connection that has ended is gone at once, with its buffers: cameras that are away are tried for weeks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Iterator

import pytest

from agents.rtsp import StreamError
from agents.rtsp.wire import Parser, Receiver
from support.rtsp_device import Asked, Device, serve
from support.rtsp_opening import SHORT, STALLING, opened, read_to_the_end
from support.thread import until

Parsers = weakref.WeakSet[Parser]


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parsers]:
    """Return every parser that is alive, while nothing but the count of references frees any."""
    alive: Parsers = weakref.WeakSet()
    plain = Parser.__init__

    def noted(self: Parser, receiver: Receiver) -> None:
        plain(self, receiver)
        alive.add(self)

    monkeypatch.setattr(Parser, "__init__", noted)
    gc.collect()
    gc.disable()
    try:
        yield alive
    finally:
        gc.enable()


async def gone(parsers: Parsers) -> None:
    await until(lambda: not parsers, "every parser is freed", 5)


async def test_a_stream_that_was_closed_here(parsers: Parsers) -> None:
    async with serve(Device()) as device:
        async with opened(device.url()) as stream:
            assert await stream.batch()
            assert len(parsers) == 1
            waiting = asyncio.create_task(stream.next_keyframe(30))
            await asyncio.sleep(0)
        await asyncio.wait({waiting})
        del stream, waiting
        await gone(parsers)


async def hang_up(_device: Device, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    if asked.method == "PLAY":
        writer.transport.abort()
    return asked.method != "PLAY"


async def say_nothing(_device: Device, asked: Asked, _writer: asyncio.StreamWriter) -> bool:
    return asked.method == "OPTIONS"


@pytest.mark.parametrize(
    "device",
    [
        Device(frames=5),
        Device(statuses={"DESCRIBE": 404}),
        Device("viewer", "s3cret"),
        Device(override=hang_up),
        Device(override=say_nothing),
    ],
    ids=["stalls", "no such stream", "no login", "hangs up", "no answer"],
)
async def test_a_device_that_fails(parsers: Parsers, device: Device) -> None:
    async with serve(device):
        with contextlib.suppress(StreamError):
            await read_to_the_end(device.url(), None, SHORT if device.override is say_nothing else STALLING)
        assert device.asked
        await gone(parsers)


async def test_nobody_there(parsers: Parsers) -> None:
    async with serve(Device()) as device:
        pass
    with contextlib.suppress(StreamError):
        await read_to_the_end(device.url(), None, SHORT)
    await gone(parsers)
