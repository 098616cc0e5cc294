"""Sessions of GStreamer's server as they went over the wire, damaged in every way: no crash, no hang, bounded memory."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.rtsp import StreamError
from agents.rtsp.errors import MalformedError
from agents.rtsp.message import Message, interleaved_of, session_of
from agents.rtsp.nal import MAX_KEYFRAME_BYTES
from agents.rtsp.rtp import AccessUnits
from agents.rtsp.sdp import parse_description
from agents.rtsp.wire import Parser
from support.cost import costing_less_than
from support.gstreamer import gst_server
from support.parts import require

MOUNTS = {
    "h264": {"test": "h264"},
    "h265": {"test": "h265"},
    "mjpeg": {"test": "mjpeg"},
    "refresh": {"test": "refresh"},
}
CAPTURE_BYTES = 50_000
"""Some seconds: the descriptions, keyframes, frames between them, sender reports."""


async def capture(port: int, path: str) -> bytes:
    """Play a stream by hand and return all that the server sent, until it is enough."""
    url = f"rtsp://127.0.0.1:{port}/{path}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = (
        f"OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
        f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n"
        f"SETUP {url}/stream=0 RTSP/1.0\r\nCSeq: 3\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    )
    sent = b""
    async with asyncio.timeout(30):
        writer.write(asked.encode())
        while b"Session: " not in sent or not sent.endswith(b"\r\n\r\n"):
            sent += await reader.read(65536)
        session = sent.split(b"Session: ")[1].split(b";")[0].split(b"\r\n")[0].decode()
        writer.write(f"PLAY {url} RTSP/1.0\r\nCSeq: 4\r\nSession: {session}\r\n\r\n".encode())
        while len(sent) < CAPTURE_BYTES:
            sent += await reader.read(65536)
    writer.close()
    return sent


@pytest.fixture(scope="session")
def captures() -> dict[str, bytes]:
    require("gstreamer")

    async def all_of_them(port: int) -> list[bytes]:
        return await asyncio.gather(*(capture(port, path) for path in MOUNTS))

    with gst_server({f"/{path}": mount for path, mount in MOUNTS.items()}) as port:
        return dict(zip(MOUNTS, asyncio.run(all_of_them(port)), strict=True))


class Client:
    """The parsers in a row, as the connection puts them, without a socket."""

    def __init__(self) -> None:
        self.units: AccessUnits | None = None
        self.channel = 0
        self.frames = 0
        self.pictures: list[bytes] = []
        self.parser = Parser(self)

    def on_bytes(self) -> None:
        pass

    def on_packet(self, channel: int, data: bytearray, start: int, end: int) -> None:
        if self.units is not None and channel == self.channel:
            self.units.want(patient=False)
            self.units.packet(data, start, end, 0.0)
            self._take(self.units)

    def on_plain(self, data: bytearray, start: int, end: int) -> int:
        if self.units is None:
            return start
        self.units.want(patient=False)
        taken = self.units.plain(data, start, end, self.channel, 0.0)
        self._take(self.units)
        return taken

    def on_message(self, message: Message) -> None:
        if message.body:
            video = parse_description(message.body, "rtsp://192.0.2.10/live/", "rtsp://192.0.2.10/live")
            self.units = AccessUnits(video.codec, video.clock_rate, video.parameter_sets, video.size)
        for name, read in (("Session", session_of), ("Transport", interleaved_of)):
            text = message.header(name)
            if text is not None:
                found = read(text)
                self.channel = found if isinstance(found, int) else self.channel

    def on_read(self) -> None:
        pass

    def on_closed(self, error: Exception | None) -> None:
        pass

    def _take(self, units: AccessUnits) -> None:
        for event in units.events:
            self.frames += 1
            assert event.bytes > 0
            assert event.lost >= 0
            if event.keyframe_data is not None:
                assert len(event.keyframe_data) <= 2 * MAX_KEYFRAME_BYTES
                self.pictures.append(event.keyframe_data)
        units.events.clear()


def played(data: bytes, chunk: int = 4096) -> Client:
    """Feed a session; what it may end with is what the protocol's errors are."""
    client = Client()
    with suppress(MalformedError, StreamError):
        for at in range(0, len(data), chunk):
            client.parser.feed(data[at : at + chunk])
    return client


@pytest.mark.parametrize("path", MOUNTS)
@pytest.mark.parametrize("chunk", [1, 1448, 65536])
def test_a_session_as_it_came_gives_frames_and_pictures(captures: dict[str, bytes], path: str, chunk: int) -> None:
    client = played(captures[path], chunk)
    assert client.frames >= 10
    assert client.pictures
    assert client.units is not None
    assert client.units.size == (320, 240)
    assert client.units.malformed == 0


def flip(data: bytearray, seeded: random.Random) -> None:
    for _ in range(seeded.choice([1, 10, 1000])):
        data[seeded.randrange(len(data))] ^= 1 << seeded.randrange(8)


def cut_out(data: bytearray, seeded: random.Random) -> None:
    for _ in range(seeded.randint(1, 5)):
        at = seeded.randrange(len(data))
        del data[at : at + seeded.choice([1, 2, 100, 5000])]


def put_in(data: bytearray, seeded: random.Random) -> None:
    at = seeded.randrange(len(data))
    data[at:at] = seeded.choice(
        [seeded.randbytes(seeded.choice([1, 200, 20_000])), bytes(5000), b"$" * 500, b"\r\n" * 500]
    )


def repeat(data: bytearray, seeded: random.Random) -> None:
    at, length = seeded.randrange(len(data)), seeded.choice([16, 1500, 30_000])
    data[at:at] = data[at : at + length] * seeded.randint(1, 4)


def overwrite_numbers(data: bytearray, seeded: random.Random) -> None:
    """Change lengths, types and offsets: the byte behind a dollar, and those near the beginning of a packet."""
    dollars = [at for at in range(len(data) - 40) if data[at] == 0x24 and data[at + 1] < 2]
    for at in seeded.choices(dollars, k=20) if dollars else ():
        data[at + seeded.randrange(2, 30)] = seeded.choice([0, 1, 0x7F, 0x80, 0xFF, seeded.randrange(256)])


def swap_halves(data: bytearray, seeded: random.Random) -> None:
    at = seeded.randrange(len(data))
    data[:] = data[at:] + data[:at]


DAMAGES: list[Callable[[bytearray, random.Random], None]] = [
    flip, cut_out, put_in, repeat, overwrite_numbers, swap_halves,
]  # fmt: skip


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.sampled_from(sorted(MOUNTS)),
    st.lists(st.sampled_from(DAMAGES), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.sampled_from([100, 1448, 65536]),
)
def test_no_damage_breaks_or_holds_up_the_client(
    captures: dict[str, bytes],
    path: str,
    damages: list[Callable[[bytearray, random.Random], None]],
    seed: int,
    chunk: int,
) -> None:
    data, seeded = bytearray(captures[path]), random.Random(seed)
    for damage in damages:
        damage(data, seeded)
    with costing_less_than(5.0):  # what takes a fraction of a second undamaged
        played(bytes(data), chunk)


def test_frames_go_on_after_a_damaged_stretch(captures: dict[str, bytes]) -> None:
    """Bytes that are lost in mid-stream cost what they were part of; seldom, what looks like a length costs up to 64 KiB."""
    data, poor = captures["h264"], 0
    whole = played(data).frames
    for seed in range(100):
        seeded = random.Random(seed)
        at = seeded.randrange(len(data) // 4, len(data) // 3)
        client = played(data[:at] + data[at + seeded.randrange(1, 3000) :])
        poor += client.frames < whole * 0.6
    assert poor <= 5


def test_a_damaged_session_that_never_ends_keeps_its_memory(captures: dict[str, bytes]) -> None:
    """Megabytes of frames whose ends never come: what is held is bounded by a keyframe."""
    data = captures["h264"]
    start = data.index(b"$\x00", data.index(b"RTSP/1.0 200 OK\r\nCSeq: 4"))
    client = Client()
    client.parser.feed(data[:start])
    body = data[start:]
    tracemalloc.start()
    try:
        for number in range(60):
            seeded = random.Random(number)
            piece = bytearray(body)
            flip(piece, seeded)
            with suppress(MalformedError):
                client.parser.feed(bytes(piece))
            client.parser.forgive()
            client.pictures.clear()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * MAX_KEYFRAME_BYTES
