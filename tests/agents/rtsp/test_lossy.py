"""RTP packets that are lost on the way: what is counted, and which keyframes may be looked at."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp.rtp import AccessUnits
from agents.rtsp.stream import Stream
from support.rtsp_device import Device, fragment, plain_frame, rtp, serve
from support.rtsp_opening import opened

SEQUENCE_AT = 4 + 2
"""Of a packet on the connection: behind `$`, channel and length, and two bytes of its header."""


def sequence(packet: bytes) -> int:
    return int.from_bytes(packet[SEQUENCE_AT : SEQUENCE_AT + 2], "big")


def dropping(lost: Callable[[int], bool]) -> Callable[[int], list[bytes]]:
    """Return plain frames without the RTP packets whose sequence numbers are lost."""
    return lambda number: [packet for packet in plain_frame(number) if packet[1] != 0 or not lost(sequence(packet))]


async def frames(stream: Stream, count: int) -> list[tuple[int, int]]:
    """Return the timestamps and losses of so many frames."""
    found: list[tuple[int, int]] = []
    async for event in stream.frames():
        found.append((event.rtp_timestamp, event.lost))
        if len(found) == count:
            break
    return found


async def test_a_stream_that_loses_a_tenth_of_its_packets_is_up_and_says_so() -> None:
    lost = {number for number in range(400) if random.Random(number).random() < 0.1}
    async with (
        serve(Device(packets=dropping(lost.__contains__), interval=0.005)) as device,
        opened(device.url()) as stream,
    ):
        seen = await frames(stream, 120)
    stamps = [stamp for stamp, _ in seen]
    assert stamps == sorted(set(stamps))
    until = 2 * stamps[-1] // 6000
    assert abs(sum(count for _, count in seen) - len([number for number in lost if number < until])) <= 2


async def test_a_keyframe_with_a_hole_is_never_looked_at() -> None:
    """Each second keyframe lacks its second half; those that are given out are whole."""
    async with (
        serve(Device(packets=dropping(lambda number: number % 40 == 1), interval=0.005)) as device,
        opened(device.url()) as stream,
    ):
        found = [await stream.next_keyframe(10.0) for _ in range(4)]
    for data in found:
        assert data is not None
        number = data[-1]
        assert number % 20 == 10
        assert data.endswith(b"\x65\x88" + bytes([number]) * 2000)


async def test_where_no_keyframe_comes_whole_the_stream_is_up_and_nothing_is_looked_at() -> None:
    async with (
        serve(Device(packets=dropping(lambda number: number % 20 == 1), interval=0.005)) as device,
        opened(device.url()) as stream,
    ):
        assert await stream.next_keyframe(0.3) is None
        assert len(await frames(stream, 20)) == 20


@given(st.sets(st.integers(0, 399)), st.integers(0, 65535))
def test_whatever_is_lost_only_whole_keyframes_come_out(lost: set[int], first: int) -> None:
    units = AccessUnits(
        "h264", 90000, (bytes.fromhex("6742c01eda0280f6840000030004000003007a3c58ba80"), bytes.fromhex("68ce3c80"))
    )
    units.want()
    for number in range(200):
        key = number % 10 == 0
        nal = (b"\x65\x88" if key else b"\x41\x9a") + bytes([number]) * 40
        for part in (0, 1):
            packet = rtp(first + 2 * number + part, number * 6000, fragment(nal, start=part == 0), marker=part == 1)
            if 2 * number + part not in lost:
                units.packet(packet, 0, len(packet), 0.0)
        for event in units.events:
            if event.keyframe_data is not None:
                shown = event.keyframe_data[-1]
                assert event.keyframe_data.endswith(b"\x65\x88" + bytes([shown]) * 40)
                units.want()
        units.events.clear()
