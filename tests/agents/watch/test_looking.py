"""When a camera's next look is due, whatever its looks before brought."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.watch.looking import COSTLY_MOST_SECONDS, FORGIVEN, MOST_SECONDS, Rhythm


def after(*outcomes: str) -> Rhythm:
    rhythm = Rhythm(10.0, 4.0)
    for outcome in outcomes:
        if outcome == "looked":
            rhythm.looked()
        else:
            rhythm.broke(costly=outcome == "killed")
    return rhythm


@pytest.mark.parametrize(
    ("outcomes", "seconds"),
    [
        ([], 10.0),
        (["looked"], 10.0),
        (["broke"], 4.0),
        (["broke", "broke"], 4.0),
        (["broke", "broke", "broke"], 20.0),
        (["broke"] * 20, MOST_SECONDS),
        (["broke", "broke", "broke", "looked"], 10.0),
        (["killed"], 60.0),
        (["killed", "killed"], 120.0),
        (["killed"] * 20, COSTLY_MOST_SECONDS),
        (["killed", "killed", "killed", "looked"], 10.0),
        (["killed", "killed", "looked", "killed"], 240.0),
        (["killed", "looked"] * 3 + ["killed"], 480.0),
        (["killed", "looked", "looked", "killed"], 60.0),
    ],
)
def test_the_wait_before_the_next_look(outcomes: list[str], seconds: float) -> None:
    assert after(*outcomes).wait(confirming=False) == seconds


@pytest.mark.parametrize(
    ("outcomes", "blind"),
    [
        (["broke"], False),
        (["broke", "broke"], True),
        (["broke", "looked"] * 3 + ["broke"], False),
        (["killed"], False),
        (["killed", "killed"], True),
        (["killed", "looked", "killed"], True),
        (["killed", "looked", "looked", "killed"], False),
    ],
)
def test_after_which_failures_the_picture_is_not_known(outcomes: list[str], blind: bool) -> None:
    assert after(*outcomes).blind == blind


@pytest.mark.parametrize(
    ("took", "usual", "confirming"),
    [(0.013, 10.0, 4.0), (0.45, 10.0, 4.0), (0.6, 10.0, 6.0), (1.5, 15.0, 15.0), (4.9, 49.0, 49.0)],
)
def test_a_dear_picture_is_looked_at_more_seldom(took: float, usual: float, confirming: float) -> None:
    """Sixteen megapixels, or a long run of frames: two such cameras would else leave no time for the others."""
    rhythm = Rhythm(10.0, 4.0)
    rhythm.looked(took)
    assert rhythm.wait(confirming=False) == pytest.approx(usual)
    assert rhythm.wait(confirming=True) == pytest.approx(confirming)
    rhythm.looked(0.013)
    assert rhythm.wait(confirming=False) == 10.0


@pytest.mark.parametrize(("failures", "seconds"), [(1, 40.0), (2, 40.0), (3, 40.0), (4, 40.0), (5, 80.0)])
def test_a_dear_picture_that_comes_to_nothing_is_no_less_dear(failures: int, seconds: float) -> None:
    """Else a camera that sends such a one between good ones would have a third of the decoder's time."""
    rhythm = Rhythm(10.0, 4.0)
    for _ in range(failures):
        rhythm.broke(4.0, costly=False)
    assert rhythm.wait(confirming=False) == pytest.approx(seconds)
    rhythm.looked(0.013)
    assert rhythm.wait(confirming=False) == 10.0


def test_what_is_being_confirmed_is_looked_at_sooner() -> None:
    assert after("looked").wait(confirming=True) == 4.0


@given(st.lists(st.sampled_from(["looked", "broke", "killed"]), max_size=40))
def test_failures_make_looks_rarer_and_a_look_that_works_ends_that(outcomes: list[str]) -> None:
    rhythm = after(*outcomes)
    wait = rhythm.wait(confirming=False)
    assert 4.0 <= wait <= COSTLY_MOST_SECONDS
    rhythm.broke(costly=False)
    assert rhythm.wait(confirming=False) >= wait or rhythm.failures <= FORGIVEN
    rhythm.looked()
    assert rhythm.wait(confirming=False) == 10.0


def known_after(keyframes: float, first: float, fault: float, looks: int, blind: int = 0) -> float:
    """Return the seconds from a fault until so many looks in a row have shown it, which the first `blind` ones can't.

    Keyframes come at `first` and every `keyframes` seconds; the camera is watched from 0 on.
    """
    rhythm, due, now, shown = Rhythm(10.0, 4.0), 0.0, 0.0, -blind
    while shown < looks:
        now = next_keyframe(max(due, now + 1e-6), keyframes, first)  # not the one that was looked at
        shown += now >= fault
        rhythm.looked()
        due = now + rhythm.wait(confirming=0 < shown < looks, keyframe_seconds=keyframes)
    return now - fault


def next_keyframe(after: float, keyframes: float, first: float) -> float:
    return first + math.ceil((after - first) / keyframes) * keyframes


@pytest.mark.parametrize(
    ("keyframes", "most", "blurred", "frozen"),
    [(1, 14, 18, 24), (2, 14, 18, 24), (4, 12, 16, 20), (10, 20, 30, 30), (20, 40, 60, 60)],
)
def test_a_fault_is_known_after_so_many_seconds_by_the_distance_of_the_keyframes(
    keyframes: float, most: float, blurred: float, frozen: float
) -> None:
    """The figures are those of agents/watch/README.md: two looks, three, and two after one that has nothing to compare with."""
    moments = [(keyframes * first / 4, 100.1 + fault / 2) for first in range(4) for fault in range(2 * 20)]
    for expected, looks, blind in ((most, 2, 0), (blurred, 3, 0), (frozen, 2, 1)):
        worst = max(known_after(keyframes, first, fault, looks, blind) for first, fault in moments)
        assert expected - 0.2 < worst <= expected


@given(st.floats(0.1, 30.0), st.floats(0.0, 1.0), st.floats(0.0, 0.04))
def test_what_begins_after_a_look_is_seen_within_ten_seconds_wherever_keyframes_allow_it(
    keyframes: float, first: float, late: float
) -> None:
    """A keyframe that is a little late is no reason to take the one before it, or to wait for the one after."""
    rhythm, now = Rhythm(10.0, 4.0), first * keyframes
    for _ in range(20):
        rhythm.looked()
        due = now + rhythm.wait(confirming=False, keyframe_seconds=keyframes)
        came = next_keyframe(max(due - late, now + 1e-6), keyframes, first * keyframes)
        assert came - now <= max(10.05, keyframes) + 1e-3
        assert came - now > min(10.0, keyframes) / 2 or keyframes > 10
        now = came


def test_a_second_between_keyframes_costs_no_look_more() -> None:
    for early_or_late in (-0.03, 0.0, 0.03):
        due = after("looked").wait(confirming=False, keyframe_seconds=1.0)
        assert next_keyframe(due, 1.0, early_or_late) == pytest.approx(10.0 + early_or_late)


@pytest.mark.parametrize(("confirming", "most"), [(False, 25), (True, 61)])
def test_keyframes_that_suddenly_come_with_each_frame_are_not_all_looked_at(confirming: bool, most: int) -> None:
    """Their distance is that of the last minute: of a quiet night, until the first children come."""
    rhythm, now, looks = Rhythm(10.0, 4.0), 0.0, 0
    while now < 60.0:
        rhythm.looked()
        looks += 1
        now = next_keyframe(now + max(0.04, rhythm.wait(confirming=confirming, keyframe_seconds=20.0)), 0.04, 0.0)
    assert looks <= most
