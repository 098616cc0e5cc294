"""A week's schedule: what a channel records, and when it records nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.base import RecordingMode
from agents.recorders.schedule import DAY_MINUTES, WEEK_MINUTES, Entry, minute_of_week, recording_mode

ALWAYS: Entry = (0, WEEK_MINUTES, "continuous")


def test_a_whole_week_has_no_hole() -> None:
    days: list[Entry] = [(day * DAY_MINUTES, (day + 1) * DAY_MINUTES, "continuous") for day in range(7)]
    assert recording_mode(days) == RecordingMode("continuous", ())


def test_motion_only_and_a_mixture_are_told_apart() -> None:
    night: Entry = (0, 6 * 60, "event")
    assert recording_mode([night]).name == "motion"
    assert recording_mode([night, (6 * 60, WEEK_MINUTES, "continuous")]) == RecordingMode("mixed")
    assert recording_mode([night, ALWAYS]) == RecordingMode("continuous")


def test_nothing_set_is_one_hole() -> None:
    assert recording_mode([]) == RecordingMode("none", ((0, WEEK_MINUTES),))


def test_an_entry_may_reach_over_the_end_of_the_week() -> None:
    sunday_night: Entry = (WEEK_MINUTES - 60, WEEK_MINUTES + 60, "continuous")
    assert recording_mode([sunday_night]).holes == ((60, WEEK_MINUTES - 60),)


@pytest.mark.parametrize("entry", [(-1, 5, "event"), (WEEK_MINUTES, WEEK_MINUTES + 1, "event"), (5, 4, "event")])
def test_an_entry_outside_the_week_is_refused(entry: Entry) -> None:
    with pytest.raises(ValueError, match="of the week"):
        recording_mode([entry])


def test_minutes_of_the_week() -> None:
    assert minute_of_week(0, "00:00:00") == 0
    assert minute_of_week(6, "24:00:00") == WEEK_MINUTES
    assert minute_of_week(1, "08:30") == DAY_MINUTES + 510
    assert minute_of_week(0, "23:59:59", up=True) == DAY_MINUTES
    assert minute_of_week(0, "23:59:59") == DAY_MINUTES - 1


@pytest.mark.parametrize("clock", ["", "8", "25:00:00", "24:00:01", "12:60:00", "١٢:00:00", "1:2:3:4", "-1:00:00"])
def test_what_is_no_time_of_a_day_is_refused(clock: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        minute_of_week(0, clock)


minutes = st.integers(0, WEEK_MINUTES - 1)


@given(st.lists(st.tuples(minutes, st.integers(0, 600), st.sampled_from(["continuous", "event"])), max_size=4))
def test_holes_are_what_no_entry_covers(drawn: list[tuple[int, int, str]]) -> None:
    entries = [(start, start + length, when) for start, length, when in drawn]
    mode = recording_mode(entries)  # type: ignore[arg-type]  # drawn from the two words
    covered = {minute % WEEK_MINUTES for start, end, _ in entries for minute in range(start, end)}
    missing = {minute for start, end in mode.holes for minute in range(start, end)}
    assert covered | missing == set(range(WEEK_MINUTES))
    assert not covered & missing
