"""A stream's rhythm: when its silence is a stall, and how much of it may wait in the socket."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp import Deadlines, FrameEvent, StreamError
from agents.rtsp.pace import GATHER_MOST_BYTES, KNOWN_SECONDS, SLOWEST_SECONDS, Pace
from monitor.model.observation import StreamCause
from support.rtsp_device import TICKS, Device, plain_frame, serve
from support.rtsp_opening import PATIENT, opened


def after(gaps: list[float], stall: float = 6.0) -> float:
    """Return the limit of a stream whose frames came at these distances."""
    pace, at = Pace(stall, 0.0), 0.0
    for gap in gaps:
        at += gap
        pace.moved(at)
    return pace.limit(at)


@pytest.mark.parametrize(
    ("gap", "limit"), [(1 / 15, 4.0), (0.5, 4.0), (1.0, 4.0), (2.0, 4.0), (2.5, 4.5), (3.0, 6.0), (5.3, 8.0)]
)
def test_a_lively_stream_is_stalled_sooner_than_one_with_long_pauses(gap: float, limit: float) -> None:
    assert after([gap] * round(30 / gap)) == pytest.approx(limit)


def test_a_stream_that_is_not_yet_known_has_the_deadline_as_it_stands() -> None:
    assert after([0.1] * 20) == 6.0


def test_a_long_pause_is_remembered_for_a_minute_and_forgotten_after_two() -> None:
    assert after([0.1] * 200 + [2.5] + [0.1] * 590) == pytest.approx(4.5)
    assert after([0.1] * 200 + [2.5] + [0.1] * 1300) == pytest.approx(4.0)


@pytest.mark.parametrize(("gap", "limit"), [(5.0, 8.0), (7.0, 10.5), (8.0, 12.0), (16.0, 24.0), (30.0, 40.0)])
def test_a_stream_all_of_whose_pauses_are_long_may_be_silent_for_longer(gap: float, limit: float) -> None:
    assert after([gap] * 20) == pytest.approx(limit)
    assert after([gap] * 20 + [0.1] * 1300) == pytest.approx(4.0)
    assert after([0.1] * 200 + [7.0, 7.0, 7.0]) == pytest.approx(8.0)


@given(st.lists(st.floats(0.001, 100), max_size=50), st.floats(0.1, 60))
def test_the_limit_stays_near_the_deadline_of_a_stream_with_a_short_pause(gaps: list[float], stall: float) -> None:
    assert stall * 2 / 3 <= after([*gaps, 0.01], stall) <= stall * 4 / 3
    assert after(gaps, stall) <= max(stall * 4 / 3, SLOWEST_SECONDS)


async def test_a_device_with_a_frame_in_many_seconds_is_no_stall() -> None:
    """Its second frame comes later than a lively stream's stall is known, and so do all others."""
    deadlines = Deadlines(first_frame=0.2, stall=0.24)
    async with serve(Device(interval=0.5)) as device, opened(device.url(), deadlines=deadlines) as stream:
        stream.wait_for_first(1.0)
        seen = [len(await stream.batch()) for _ in range(6)]
    assert seen == [1] * 6


async def test_a_device_that_sends_one_frame_has_stalled() -> None:
    deadlines = Deadlines(first_frame=0.2, stall=0.24)
    async with serve(Device(frames=1)) as device, opened(device.url(), deadlines=deadlines) as stream:
        stream.wait_for_first(0.5)
        assert len(await stream.batch()) == 1  # given out at the end, for nothing follows
        with pytest.raises(StreamError, match=r"no frame for 0\.5 s since PLAY"):
            await stream.batch()


def test_a_stream_gathers_once_it_is_known() -> None:
    pace = Pace(6.0, 100.0)
    assert [pace.may_gather(100.0 + at) for at in (0, KNOWN_SECONDS - 0.1, KNOWN_SECONDS, 1e6)] == [
        False,
        False,
        True,
        True,
    ]


async def test_all_that_gathered_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Part of a packet is left over by each read, and the buffer still has room for what may gather."""
    monkeypatch.setattr("agents.rtsp.pace.KNOWN_SECONDS", 0.0)
    monkeypatch.setattr("agents.rtsp.pace.CHECK_SECONDS", 0.1)
    async with serve(Device(interval=0.02)) as device, opened(device.url()) as stream:
        rooms: list[int] = []
        while len(rooms) < 5:
            await stream.batch()
            rooms.append(len(stream._connection.wire.parser.room()))
    assert min(rooms) >= GATHER_MOST_BYTES


async def test_a_slow_clock_of_the_sender_makes_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timestamps go on by a tenth of the time that passes: what was read has come since the time before, all the same."""
    monkeypatch.setattr("agents.rtsp.pace.KNOWN_SECONDS", 0.0)
    monkeypatch.setattr("agents.rtsp.pace.CHECK_SECONDS", 0.05)
    deadlines = replace(PATIENT, stall=0.6)
    async with serve(Device(interval=0.02, ticks=180)) as device, opened(device.url(), deadlines=deadlines) as stream:
        seen = 0
        while seen < 100:
            seen += len(await stream.batch())


async def test_frames_that_gather_are_read_together_and_none_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.rtsp.pace.KNOWN_SECONDS", 0.0)
    async with serve(Device(interval=0.02, frames=150)) as device, opened(device.url()) as stream:
        sizes: list[int] = []
        while sum(sizes) < 149:  # the last one has no successor that ends it
            sizes.append(len(await stream.batch()))
    assert max(sizes) >= 10, "a second of frames, or most of it, came at once"


async def test_a_machine_that_stood_still_takes_what_waits_before_it_speaks_of_a_stall(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents.rtsp.pace.KNOWN_SECONDS", 0.0)
    deadlines = replace(PATIENT, stall=1.5)
    async with serve(Device(interval=0.05)) as device, opened(device.url(), deadlines=deadlines) as stream:
        seen = 0
        while seen < 60:
            seen += len(await stream.batch())
        time.sleep(2.0)  # noqa: ASYNC251  (the machine stands still: device and agent alike)
        while seen < 120:
            seen += len(await stream.batch())


def test_a_rate_that_changes_makes_no_stall_and_hides_none() -> None:
    """25, then 2, then 15 frames a second, each for a minute, then two in five seconds, as of a camera that saves on a still room."""
    pace, at, limits = Pace(6.0, 0.0), 0.0, []
    for rate, seconds in ((25, 60), (2, 60), (15, 60), (0.4, 60), (15, 200)):
        for _ in range(round(rate * seconds)):
            at += 1 / rate
            assert pace.limit(at) > 1 / rate, "the next frame comes in time"
            pace.moved(at)
        limits.append(pace.limit(at))
    assert limits == pytest.approx([4.0, 4.0, 4.0, 4.5, 4.0])


async def test_a_stream_whose_rate_changes_is_read_on_and_its_end_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as fast as in life, stall and checks as well: 25, 2 and 15 frames a second, then none."""
    monkeypatch.setattr("agents.rtsp.pace.KNOWN_SECONDS", 0.3)
    monkeypatch.setattr("agents.rtsp.pace.CHECK_SECONDS", 0.1)
    device, intervals = Device(frames=45), {0: 0.004, 25: 0.05, 30: 0.007}

    def paced(number: int) -> list[bytes]:
        device.interval = intervals.get(number, device.interval)
        return plain_frame(number)

    device.packets = paced
    seen: list[FrameEvent] = []
    async with serve(device), opened(device.url(), deadlines=replace(PATIENT, stall=3.0)) as stream:

        async def read_on() -> None:
            while events := await stream.batch():
                seen.extend(events)

        with pytest.raises(StreamError) as caught:
            await read_on()
    assert caught.value.cause == StreamCause.STALLED
    assert [event.rtp_timestamp for event in seen[:44]] == [number * TICKS for number in range(44)]
    assert sum(event.lost for event in seen) == 0
