"""Which minute is proved, when, and whose turn it is."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.scan.minute import AFTER, BEFORE, far_minute, inside, is_quiet, newer_minute, stamped
from agents.scan.proof import Outcome
from agents.scan.proof_round import MOST_TRIES, Round, read_round
from agents.site_file import QuietHours
from monitor.model.clock_offsets import Offset, clock_offsets, correct
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, Millis, Spans

NOW = 1_795_000_000_000
DAY_SECONDS = 86400.0


def held(days: float, *holes: tuple[Millis, Millis]) -> Spans:
    return Spans.window(NOW - round(days * DAY), NOW).subtract(Spans.of(list(holes)))


def test_the_minute_that_far_back_as_is_required() -> None:
    assert far_minute(held(100), NOW - 100 * DAY, NOW, 90) == NOW - 90 * DAY


def test_where_less_is_held_an_hour_inside_the_far_edge() -> None:
    assert far_minute(held(35), NOW - 35 * DAY, NOW, 90) == NOW - 35 * DAY + HOUR
    clip = Spans.window(NOW - 90 * DAY, NOW - 90 * DAY + 10 * MINUTE)
    assert far_minute(held(82).union(clip), NOW - 82 * DAY, NOW, 90) == NOW - 82 * DAY + HOUR, "one clip is no far edge"


def test_never_what_is_about_to_be_overwritten() -> None:
    assert far_minute(held(90), NOW - 90 * DAY, NOW, 90) == NOW - 90 * DAY + HOUR
    assert far_minute(held(90.02), None, NOW, 90) == NOW - round(90.02 * DAY) + HOUR


def test_nothing_held_nothing_proved() -> None:
    assert far_minute(Spans.empty(), None, NOW, 90) is None
    assert far_minute(Spans.window(NOW - MINUTE, NOW), None, NOW, 90) is None
    assert newer_minute(Spans.empty(), NOW, NOW - DAY) is None


@given(
    st.lists(st.tuples(st.integers(0, 100 * 24 * 60), st.integers(1, 5000)), min_size=1, max_size=20),
    st.integers(1, 95),
    st.one_of(st.none(), st.integers(0, 100 * 24 * 60)),
)
def test_what_is_played_lies_within_footage_and_is_never_the_oldest(
    parts: list[tuple[int, int]], days: int, edge: int | None
) -> None:
    footage = Spans.of([(NOW - 100 * DAY + a * MINUTE, NOW - 100 * DAY + (a + n) * MINUTE) for a, n in parts])
    footage = footage.clip(0, NOW)
    found = far_minute(footage, None if edge is None else NOW - 100 * DAY + edge * MINUTE, NOW, days)
    if found is None:
        return
    assert footage.start is not None
    assert footage.clip(found - BEFORE, found + AFTER).total() == BEFORE + AFTER
    assert found >= max(footage.start + HOUR, NOW - days * DAY)
    newer = newer_minute(footage, NOW, found)
    assert newer is None or (newer > found and inside(footage).clip(newer, newer + 1))


@given(st.lists(st.integers(-7200, 7200), min_size=1, max_size=4), st.integers(0, 40 * 24))
def test_a_minute_is_asked_for_by_the_clock_that_stamped_it(offsets: list[int], hours: int) -> None:
    clocks = [
        Observation(
            subject=Subject(kind="recorder", id="nvr"), kind=Kind.CLOCK, start=at, end=at, state="read", expires=at + DAY,
            facts={"offset_seconds": seconds},
        )
        for number, seconds in enumerate(offsets)
        if (at := NOW - (len(offsets) - number) * 10 * DAY)
    ]  # fmt: skip
    steps = clock_offsets(clocks)
    at = NOW - 40 * DAY + hours * HOUR
    asked = stamped(at, steps)
    assert correct(Spans.window(asked, asked + SECOND), steps).clip(at, at + SECOND), (
        "what is stamped so is corrected back"
    )


def test_without_a_known_offset_the_clock_is_taken_as_right() -> None:
    assert stamped(NOW, []) == NOW
    assert stamped(NOW - 99 * DAY, [Offset(0, NOW - DAY, 5000)]) == NOW - 99 * DAY + 5000, (
        "before contact the first one"
    )


@pytest.mark.parametrize("later", [0, 5 * MINUTE])
def test_a_clock_that_was_lost_at_first_contact_stamped_nothing_before_it(later: Millis) -> None:
    """Else the minute would be asked for in the year 1914, and its absence taken for overwritten footage."""
    lost = Offset(0, NOW - DAY, -NOW)
    steps = [lost, Offset(NOW - HOUR, NOW - HOUR, later)] if later else [lost]
    at = NOW - 90 * DAY
    assert stamped(at, steps) == at + later
    assert correct(Spans.window(at + later, at + later + SECOND), steps) == Spans.window(at, at + SECOND)


@pytest.mark.parametrize(
    ("hours", "at", "quiet"),
    [
        ((), "03:00", True),
        ((), "00:59", False),
        ((), "05:00", False),
        (("12:00", "13:00"), "12:30", True),
        (("12:00", "13:00"), "03:00", False),
        (("22:00", "02:00"), "23:30", True),
        (("22:00", "02:00"), "01:59", True),
        (("22:00", "02:00"), "02:00", False),
    ],
)
def test_playback_is_asked_in_quiet_hours_else_at_night(
    hours: tuple[str, str] | tuple[()], at: str, quiet: bool
) -> None:
    given_hours = [QuietHours(start=time.fromisoformat(hours[0]), end=time.fromisoformat(hours[1]))] if hours else []
    local = datetime.combine(datetime(2026, 11, 28), time.fromisoformat(at))
    assert is_quiet(local, given_hours) is quiet


PLAYED, FAILED = Outcome("played"), Outcome("failed", "not_found")
BUSY, NO_RIGHT = Outcome("not_proved", "recorder_full"), Outcome("not_proved", "unauthorized")


def nights(outcome: Outcome, cameras: list[str], days: int, *, restart: bool = False) -> list[tuple[int, str]]:
    """Poll once a minute from 01:00 to 05:00 for so many nights; return (minute, camera) of each turn."""
    kept, turns = Round(), []
    for night in range(days):
        for minute in range(240):
            now = NOW + night * DAY + minute * MINUTE
            if restart:
                kept = read_round(kept.to_json())
            camera = kept.next(cameras, now, DAY_SECONDS)
            if camera is not None:
                turns.append((night * 1440 + minute, camera))
                kept = kept.after(camera, outcome, now + 20 * SECOND)
    return turns


@pytest.mark.parametrize("outcome", [PLAYED, FAILED], ids=["played", "failed"])
def test_each_camera_has_one_turn_a_night_over_restarts_too(outcome: Outcome) -> None:
    cameras = [f"c{n}" for n in range(64)]
    turns = nights(outcome, cameras, 3)
    assert [name for _, name in turns] == cameras * 3
    assert [minute for minute, _ in turns] == [night * 1440 + n for night in range(3) for n in range(64)]
    assert nights(outcome, cameras, 3, restart=True) == turns


def test_a_busy_recorder_is_tried_again_an_hour_later_and_then_left_for_the_night() -> None:
    minutes = [minute for minute, _ in nights(BUSY, ["gate"], 2)]
    assert minutes[:MOST_TRIES] == [0, 61, 122]
    assert [minute for minute in minutes if minute < 1440] == [0, 61, 122]
    assert minutes[MOST_TRIES] == 1440


def test_a_missing_right_is_asked_for_once_a_day_whatever_the_camera() -> None:
    turns = nights(NO_RIGHT, ["gate", "room", "hall"], 3)
    assert [minute for minute, _ in turns] == [0, 1440, 2880]
    assert len({name for _, name in turns}) == 3, "another camera's turn each night: the right may be one channel's"


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    kept = Round().after("gate", PLAYED, NOW + 300 * DAY)
    assert kept.next(["gate"], NOW, DAY_SECONDS) == "gate"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda item: st.lists(item) | st.dictionaries(st.text(), item),
    )
)
def test_whatever_the_state_holds_can_be_read(value: Any) -> None:
    for kept in (value, {"turns": value}, {"turns": {"gate": value}, "refused_at": value}):
        found = read_round(kept)
        assert read_round(found.to_json()) == found
        found.next(["gate"], NOW, DAY_SECONDS)


def test_a_short_rhythm_is_kept_too() -> None:
    kept = Round().after("gate", PLAYED, NOW)
    assert kept.next(["gate"], NOW + 5 * SECOND, 8.0) is None
    assert kept.next(["gate"], NOW + 7 * SECOND, 8.0) == "gate"
