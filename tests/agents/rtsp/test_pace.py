"""A stream's rhythm: when its silence is a stall, and how much of it may wait in the socket."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp.pace import GATHER_MOST_BYTES, GATHER_SECONDS, KNOWN_SECONDS, Pace
from support.rtsp_device import Device, serve
from support.rtsp_opening import PATIENT, opened


def after(gaps: list[float], stall: float = 6.0) -> float:
    """Return the limit of a stream whose frames came at these distances."""
    pace, at = Pace(stall, 0.0), 0.0
    for gap in gaps:
        at += gap
        pace.moved(at)
    return pace.limit(at)


@pytest.mark.parametrize(
    ("gap", "limit"), [(1 / 15, 4.0), (0.5, 4.0), (1.0, 4.0), (2.0, 4.0), (2.5, 5.25), (3.0, 6.75), (5.9, 8.0)]
)
def test_a_lively_stream_is_stalled_sooner_than_one_with_long_pauses(gap: float, limit: float) -> None:
    assert after([gap] * round(30 / gap)) == pytest.approx(limit)


def test_a_stream_that_is_not_yet_known_has_the_deadline_as_it_stands() -> None:
    assert after([0.1] * 20) == 6.0


def test_a_long_pause_is_remembered_for_a_minute_and_forgotten_after_two() -> None:
    assert after([0.1] * 200 + [2.5] + [0.1] * 590) == pytest.approx(5.25)
    assert after([0.1] * 200 + [2.5] + [0.1] * 1300) == pytest.approx(4.0)


@given(st.lists(st.floats(0.001, 100), max_size=50), st.floats(0.1, 60))
def test_the_limit_stays_near_the_deadline(gaps: list[float], stall: float) -> None:
    assert stall * 2 / 3 <= after(gaps, stall) <= stall * 4 / 3


def test_three_quarters_of_a_second_of_a_steady_stream_gathers_once_it_is_known() -> None:
    pace = Pace(6.0, 0.0)
    found = [pace.gather(64_000 * at, float(at)) for at in range(1, 16)]
    assert found[: int(KNOWN_SECONDS) - 1] == [1] * (int(KNOWN_SECONDS) - 1)
    assert found[-1] == round(64_000 * GATHER_SECONDS)


def test_the_leanest_of_three_seconds_decides_and_silence_reads_everything() -> None:
    pace = Pace(6.0, 0.0)
    received = 0
    found = []
    for at, rate in enumerate([40_000] * 12 + [10_000, 60_000, 60_000, 60_000, 0], 1):
        received += rate
        found.append(pace.gather(received, float(at)))
    assert found[-6:] == [30_000, 7_500, 7_500, 7_500, 45_000, 1]


@given(st.lists(st.tuples(st.integers(0, 10**8), st.floats(0.0, 5.0)), max_size=60))
def test_what_gathers_always_fits_into_the_buffer(steps: list[tuple[int, float]]) -> None:
    pace, received, now = Pace(6.0, 0.0), 0, 0.0
    for size, seconds in steps:
        received, now = received + size, now + seconds
        assert 1 <= pace.gather(received, now) <= GATHER_MOST_BYTES


async def test_frames_that_gather_are_read_together_and_none_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.rtsp.pace.KNOWN_SECONDS", 0.0)
    async with serve(Device(interval=0.02, frames=150)) as device, opened(device.url()) as stream:
        sizes: list[int] = []
        while sum(sizes) < 149:  # the last one has no successor that ends it
            sizes.append(len(await stream.batch()))
    assert max(sizes) >= 10, "most of a second of frames came at once"


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
