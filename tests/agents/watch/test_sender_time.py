"""Frames laid on our clock by the sender's: steady however late they are read, and never far from when they were read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.watch.sender_time import APART_SECONDS, SenderTime

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
