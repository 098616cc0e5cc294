"""Frames laid on our clock by the sender's: steady however late they are read, and never far from when they were read."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.watch.sender_time import APART_SECONDS, LATEST_SECONDS, Lateness, SenderTime

CLOCK = 90_000
LATE = st.lists(st.floats(0, APART_SECONDS - 0.1), min_size=2, max_size=60)


@given(LATE, st.integers(0, 2**32 - 1), st.sampled_from([5, 15, 25]))
def test_however_late_frames_are_read_their_distances_are_the_senders(late: list[float], first: int, fps: int) -> None:
    sender = SenderTime(CLOCK)
    found = [sender.at(1000 + n / fps + by, (first + n * CLOCK // fps) % 2**32) for n, by in enumerate(late)]
    assert [b - a for a, b in itertools.pairwise(found)] == pytest.approx([1 / fps] * (len(late) - 1), abs=1e-6)


@given(LATE, st.lists(st.integers(0, 2**32 - 1), min_size=60, max_size=60))
def test_whatever_a_sender_says_the_time_is_near_when_the_frame_was_read(late: list[float], stamps: list[int]) -> None:
    sender = SenderTime(CLOCK)
    for n, by in enumerate(late):
        assert abs(sender.at(1000 + n / 15 + by, stamps[n]) - (1000 + n / 15 + by)) <= APART_SECONDS


@given(st.floats(0, 0.999), st.integers(0, 2**32 - 1), st.floats(-1e-4, 1e-4))
def test_frames_that_are_read_once_a_second_are_as_late_as_they_waited(phase: float, first: int, drift: float) -> None:
    lateness = Lateness(CLOCK)
    for n in range(5 * 600):
        sent = 1000 + phase + n / 5 * (1 + drift)
        read = float(math.ceil(sent))
        found = lateness.of(read, (first + n * CLOCK // 5) % 2**32)
        if n > 5:
            assert read - sent - 0.2 - 0.02 <= found <= read - sent + 0.02


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 2**32 - 1)), min_size=1, max_size=60))
def test_whatever_a_sender_says_nothing_waited_long_or_came_before_its_time(frames: list[tuple[float, int]]) -> None:
    lateness = Lateness(CLOCK)
    for at, stamp in frames:
        assert 0 <= lateness.of(at, stamp) <= LATEST_SECONDS


def test_a_sender_whose_clock_was_set_is_begun_anew() -> None:
    lateness = Lateness(CLOCK)
    assert lateness.of(1000.0, 0) == 0
    assert lateness.of(1001.5, CLOCK) == pytest.approx(0.5)
    assert lateness.of(1002.0, 3600 * CLOCK) == 0
    assert lateness.of(1003.4, 3601 * CLOCK) == pytest.approx(0.4)
