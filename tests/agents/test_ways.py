"""The ways to a stream: the best one that leads somewhere, remembered for a day."""

from __future__ import annotations

import contextlib
import gc
import weakref
from datetime import UTC, datetime
from typing import cast

import pytest

from agents.rtsp import Stream, StreamError
from agents.ways import TRY_AGAIN_SECONDS, Way, Ways
from monitor.model.clock import ManualClock
from monitor.model.observation import StreamCause

PLAYS = cast("Stream", object())
SUB, MAIN = Way("the maker's address", "rtsp://192.0.2.10/sub"), Way("the main stream", "rtsp://192.0.2.10/main")


class Device:
    """Has some streams, and counts who asks."""

    def __init__(self, **answers: StreamCause) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def open(self, way: Way) -> Stream:
        assert way.url is not None
        name = way.url.rpartition("/")[2]
        self.asked.append(name)
        if name in self.answers:
            raise StreamError(self.answers[name], "describe", f"no {name}")
        return PLAYS


def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 25, tzinfo=UTC))


async def test_the_best_way_that_leads_to_a_stream_is_taken() -> None:
    device, ways = Device(), Ways(clock())
    assert await ways.open([SUB, MAIN], device.open) is PLAYS
    assert device.asked == ["sub"]


@pytest.mark.parametrize("cause", [StreamCause.NOT_FOUND, StreamCause.NO_VIDEO])
async def test_a_stream_that_is_not_there_gives_way_to_the_next_and_is_tried_again_after_a_day(
    cause: StreamCause,
) -> None:
    time, device = clock(), Device(sub=cause)
    ways = Ways(time)
    for _ in range(3):
        assert await ways.open([SUB, MAIN], device.open) is PLAYS
    assert device.asked == ["sub", "main", "main", "main"]
    time.advance(TRY_AGAIN_SECONDS)
    device.asked.clear()
    assert await ways.open([SUB, MAIN], device.open) is PLAYS
    assert device.asked == ["sub", "main"]
    time.advance(TRY_AGAIN_SECONDS)
    device.answers.clear()
    device.asked.clear()
    for _ in range(2):
        assert await ways.open([SUB, MAIN], device.open) is PLAYS
    assert device.asked == ["sub", "sub"]


async def test_what_may_pass_is_no_reason_to_go_another_way() -> None:
    device, ways = Device(sub=StreamCause.RECORDER_FULL), Ways(clock())
    with pytest.raises(StreamError, match="no sub"):
        await ways.open([SUB, MAIN], device.open)
    assert device.asked == ["sub"]


async def test_a_camera_that_has_no_stream_at_all_is_asked_for_its_best_one_the_next_time() -> None:
    device, ways = Device(sub=StreamCause.NOT_FOUND, main=StreamCause.NOT_FOUND), Ways(clock())
    with pytest.raises(StreamError, match="no sub"):
        await ways.open([SUB, MAIN], device.open)
    assert device.asked == ["sub", "main"]
    del device.answers["sub"]
    assert await ways.open([SUB, MAIN], device.open) is PLAYS
    assert device.asked == ["sub", "main", "sub"]


async def test_a_lower_way_that_vanished_is_followed_by_the_best_one() -> None:
    device, ways = Device(sub=StreamCause.NOT_FOUND), Ways(clock())
    await ways.open([SUB, MAIN], device.open)
    device.answers = {"main": StreamCause.NOT_FOUND}
    with pytest.raises(StreamError, match="no main"):
        await ways.open([SUB, MAIN], device.open)
    assert await ways.open([SUB, MAIN], device.open) is PLAYS
    assert device.asked == ["sub", "main", "main", "sub"]


async def test_an_address_that_the_recorder_no_longer_gives_is_forgotten() -> None:
    device, ways = Device(sub=StreamCause.NOT_FOUND), Ways(clock())
    await ways.open([SUB, MAIN], device.open)
    moved = Way("the main stream", "rtsp://192.0.2.10/moved")
    assert await ways.open([SUB, moved], device.open) is PLAYS
    assert device.asked == ["sub", "main", "sub", "moved"]


@pytest.mark.parametrize("there", [True, False], ids=["the next way is taken", "there is none"])
async def test_a_way_that_leads_nowhere_leaves_nothing_behind(there: bool) -> None:
    attempts: list[weakref.ref[StreamError]] = []

    async def try_way(way: Way) -> Stream:
        if there and way is MAIN:
            return PLAYS
        error = StreamError(StreamCause.NOT_FOUND, "describe", "no such stream")
        attempts.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    gc.collect()
    gc.disable()  # a camera that is away is tried again and again, and the collector of cycles comes by seldom
    try:
        with contextlib.suppress(StreamError):
            await Ways(clock()).open([SUB, MAIN], try_way)
        assert [attempt() for attempt in attempts] == [None] * (1 if there else 2)
    finally:
        gc.enable()
