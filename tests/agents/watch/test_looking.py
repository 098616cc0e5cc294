"""When a camera's next look is due, whatever its looks before brought."""

from __future__ import annotations

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
        (["killed", "killed", "looked", "killed"], 120.0),
    ],
)
def test_the_wait_before_the_next_look(outcomes: list[str], seconds: float) -> None:
    assert after(*outcomes).wait(confirming=False) == seconds


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
