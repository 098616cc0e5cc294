"""What a stream carries: figures of made frames, however they arrive."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rtsp.rtp import FrameEvent
from agents.rtsp.stream import StreamInfo
from agents.watch.gauge import LONGEST_SECONDS, Gauge, facts_of

CLOCK = 90_000
KEY, DELTA = 20_000, 2_000
INFO = StreamInfo("h264", 704, 576, CLOCK, None, None)


def frames(
    seconds: float, *, rate: int = 15, gop: int = 30, begin: int = 0, jitter: float = 0.0, clock: int = CLOCK
) -> list[FrameEvent]:
    """Return frames of a steady camera; `begin` is where in its group of pictures the stream is joined."""
    seeded = random.Random(1)
    made = []
    for number in range(begin, begin + round(seconds * rate)):
        key = number % gop == 0
        at = number / rate + seeded.random() * jitter
        made.append(FrameEvent(at, (number * clock // rate) & 0xFFFFFFFF, KEY if key else DELTA, key, 0))
    return made


def rates_of(made: list[FrameEvent], at_least: float = LONGEST_SECONDS) -> tuple[float, float, float | None] | None:
    gauge = Gauge(CLOCK)
    gauge.frames(made)
    rates = gauge.take(made[-1] if made else None, at_least)
    return None if rates is None else (rates.frame_rate, rates.bit_rate, rates.keyframe_seconds)


BIT_RATE = 8 * (KEY + 29 * DELTA) / 2
"""Of the camera above: two seconds between keyframes."""


@given(st.floats(6.5, 60), st.integers(0, 29), st.floats(0, 0.3))
def test_between_keyframes_the_rates_are_exact_wherever_the_stream_was_joined(
    seconds: float, begin: int, jitter: float
) -> None:
    rates = rates_of(frames(seconds, begin=begin, jitter=jitter))
    assert rates is not None
    # The sender's clock is taken, unless what arrives is so short and jittery that it can't be believed.
    assert rates == pytest.approx((15.0, BIT_RATE, 2.0), rel=0.001 if jitter < 0.1 else 0.2)


def test_the_distance_of_keyframes_is_known_from_the_second_one_on_and_taking_the_rates_begins_anew() -> None:
    gauge, made = Gauge(CLOCK), frames(9)
    assert gauge.keyframe_seconds is None
    gauge.frames(made[:30])
    assert gauge.keyframe_seconds is None
    gauge.frames(made[30:])
    assert gauge.keyframe_seconds == pytest.approx(2.0)
    assert gauge.take(made[-1]) is not None
    assert gauge.keyframe_seconds is None
    gauge.frames(frames(9, gop=60)[-61:])
    assert gauge.keyframe_seconds is not None


def test_a_sender_whose_clock_runs_wrong_is_measured_by_ours() -> None:
    assert rates_of(frames(30, clock=45_000)) == pytest.approx((15.0, BIT_RATE, 2.0), rel=0.01)


def test_timestamps_wrap_around() -> None:
    made = [event._replace(rtp_timestamp=(event.rtp_timestamp - 100_000) & 0xFFFFFFFF) for event in frames(10)]
    assert rates_of(made) == pytest.approx((15.0, BIT_RATE, 2.0), rel=0.001)


def test_what_is_taken_twice_is_counted_once_and_nothing_is_left_out() -> None:
    made, gauge, seen = frames(60), Gauge(CLOCK), []
    for number, event in enumerate(made):
        gauge.frame(event)
        if number % 100 == 99 and (rates := gauge.take(event)) is not None:
            seen.append(rates.frame_rate)
    assert seen == pytest.approx([15.0] * len(seen))
    assert len(seen) >= 7


@pytest.mark.parametrize("made", [frames(1), frames(20, gop=10_000, begin=1), []])
def test_too_little_is_no_rate(made: list[FrameEvent]) -> None:
    assert rates_of(made) is None


def test_without_keyframes_the_rates_are_those_of_all_frames_after_a_while() -> None:
    rates = rates_of(frames(20, gop=10_000, begin=1), at_least=5.0)
    assert rates is not None
    assert rates[:2] == pytest.approx((15.0, 8 * 15 * DELTA), rel=0.001)
    assert rates[2] is None


def test_a_camera_of_one_frame_a_second_with_keyframes_far_apart() -> None:
    assert rates_of(frames(100, rate=1, gop=20)) == pytest.approx((1.0, 8 * (KEY + 19 * DELTA) / 20, 20.0), rel=0.001)


def test_every_frame_of_mjpeg_is_a_keyframe() -> None:
    rates = rates_of(frames(10, gop=1))
    assert rates == pytest.approx((15.0, 8 * 15 * KEY, 1 / 15), rel=0.01)


def test_what_is_not_known_is_null_in_the_facts() -> None:
    gauge = Gauge(CLOCK)
    for event in frames(10):
        gauge.frame(event)
    whole = {
        "codec": "h264",
        "width": 704,
        "height": 576,
        "frame_rate": 15.0,
        "bit_rate": 312_000,
        "keyframe_seconds": 2.0,
    }
    assert facts_of(INFO, gauge.take(None)) == whole
    assert facts_of(INFO, None) == whole | {"frame_rate": None, "bit_rate": None, "keyframe_seconds": None}


def test_a_rate_that_changes_is_measured_anew_from_keyframe_to_keyframe() -> None:
    """25, then 2, then 15 frames a second, a keyframe each ten seconds; the rates are taken each minute."""
    gauge, at, found = Gauge(CLOCK), 0.0, []
    for rate in (25, 2, 15):
        for number in range(60 * rate):
            newest = FrameEvent(at, round(at * CLOCK), DELTA, number % (10 * rate) == 0, 0)
            gauge.frames([newest])
            at += 1 / rate
        rates = gauge.take(newest)
        assert rates is not None
        found.append((rates.frame_rate, rates.keyframe_seconds))
    # What is between the last keyframe at one rate and the first at the next is counted with the next.
    expected = [(25.0, 10.0), ((10 * 25 + 50 * 2) / 60, 10.0), ((10 * 2 + 50 * 15) / 60, 10.0)]
    assert found == [pytest.approx(item) for item in expected]


def test_a_keyframe_is_as_late_as_it_waited_to_be_read() -> None:
    gauge = Gauge(CLOCK)
    for second in range(1, 30):
        frames = [
            FrameEvent(1000.0 + second, round((second - 1 + n / 5) * CLOCK), KEY if n == 1 else DELTA, n == 1, 0)
            for n in range(1, 6)
        ]
        gauge.frames(frames)
        assert gauge.keyframe_sent_at is None  # none of them was asked for
    asked = [event._replace(keyframe_data=b"x") if event.keyframe else event for event in frames]
    gauge.frames([event._replace(received_at=1030.0, rtp_timestamp=event.rtp_timestamp + CLOCK) for event in asked])
    assert gauge.keyframe_sent_at == pytest.approx(1030 - 0.8)


def test_a_keyframe_that_ends_a_read_was_sent_before_it_though_it_is_known_to_be_whole_a_second_later() -> None:
    """A frame is complete when the next one begins: the last one of a read comes with those of the next."""
    gauge, before = Gauge(CLOCK), list[FrameEvent]()
    for second in range(1, 30):
        frames = [
            FrameEvent(1000.0 + second, round((second - 1 + n / 5) * CLOCK), KEY if n == 5 else DELTA, n == 5, 0)
            for n in range(1, 6)
        ]
        frames[-1] = frames[-1]._replace(keyframe_data=b"x")
        gauge.frames([*before, *frames[:-1]])
        before = frames[-1:]
        if second > 1:
            assert gauge.keyframe_sent_at == pytest.approx(1000 + second - 1)


def test_a_run_of_frames_that_stands_for_a_keyframe_was_sent_when_its_last_one_was() -> None:
    """A camera that refreshes its picture part by part sends one keyframe, and hardly another one ever after."""
    gauge = Gauge(CLOCK)
    gauge.frames([FrameEvent(1000.0, 0, KEY, keyframe=True, lost=0, keyframe_data=b"x")])
    for second in range(1, 30):
        run = FrameEvent(1000.0 + second, second * CLOCK, DELTA, keyframe=False, lost=0, keyframe_data=b"run")
        gauge.frames([run, FrameEvent(1000.2 + second, second * CLOCK + CLOCK // 5, DELTA, keyframe=False, lost=0)])
        assert gauge.keyframe_sent_at == pytest.approx(1000 + second)
