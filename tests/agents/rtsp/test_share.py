"""What one connection may take of this machine's time: one that floods waits, and a good one never does."""

from __future__ import annotations

import asyncio

import pytest

from agents.rtsp.connection import Connection
from agents.rtsp.share import BURST_SECONDS, LONGEST_SECONDS, RATIO, Share
from monitor.model.clock import SystemClock


def test_a_good_stream_is_never_paused() -> None:
    share = Share()
    assert not any(share.pause(second, second + 0.01) for second in range(600))


def test_one_that_floods_gets_its_share_and_no_more() -> None:
    share, now, taken = Share(), 0.0, 0.0
    while now < 100.0:
        pause = share.pause(now, now + 0.02)
        taken += 0.02
        now += 0.02 + pause
    assert taken <= RATIO * 100.0 + BURST_SECONDS + 0.1


def test_a_machine_that_stood_still_costs_a_stream_no_more_than_a_moment() -> None:
    share = Share()
    assert share.pause(0.0, 30.0) == LONGEST_SECONDS
    assert share.pause(33.0, 33.001) == 0.0


class Dear(SystemClock):
    """A clock by which each read costs a fifth of a second."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 0.2
        return self.seconds


class Reading(asyncio.Transport):
    """A transport that knows whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.resumed = asyncio.Event()
        self.resumed.set()

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.resumed.clear()

    def resume_reading(self) -> None:
        self.resumed.set()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def abort(self) -> None:
        self.resumed.set()


@pytest.mark.timeout(20)
async def test_a_connection_whose_reads_are_dear_is_read_again_after_a_pause() -> None:
    connection, transport = Connection(Dear()), Reading()
    wire = connection.wire
    wire.connection_made(transport)
    for _ in range(2):
        wire.get_buffer(-1)[:2] = b"\r\n"
        wire.buffer_updated(2)
    assert not transport.resumed.is_set()
    await transport.resumed.wait()
    wire.get_buffer(-1)[:2] = b"\r\n"
    wire.buffer_updated(2)
    assert not transport.resumed.is_set()
    wire.resume()
    assert transport.resumed.is_set()
    wire.connection_lost(None)
