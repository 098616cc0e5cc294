"""What is confirmed over looks, and since when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.vision.diagnose import Diagnosis, Thresholds, look, state_of
from agents.vision.measure import Measures

LIMITS = Thresholds()
LIVE = Measures(luma_mean=120, luma_p95=180, flat_ratio=0.1, noise=1.5, same_ratio=0.05)


@pytest.mark.parametrize(
    ("measures", "state"),
    [
        (LIVE, "ok"),
        (replace(LIVE, same_ratio=None), "ok"),
        (replace(LIVE, same_ratio=0.95), "frozen"),
        (replace(LIVE, luma_p95=17, same_ratio=0.99), "black"),
        (replace(LIVE, luma_p95=43, luma_mean=30, flat_ratio=0.4, noise=0.2), "ok"),
        (replace(LIVE, flat_ratio=0.95, noise=0.0, luma_p95=41, same_ratio=1.0), "signal_lost"),
        (replace(LIVE, flat_ratio=0.95, noise=0.0, luma_p95=17), "black"),
        (replace(LIVE, flat_ratio=0.95, noise=0.5), "ok"),
    ],
)
def test_the_state_of_one_look(measures: Measures, state: str) -> None:
    assert state_of(measures, LIMITS) == state


def course(*states: str) -> list[tuple[str | None, int]]:
    """Return what is confirmed, and since when, after each look; looks are ten apart, the first at 10."""
    diagnosis, found = Diagnosis(), []
    for number, state in enumerate(states, 1):
        diagnosis = look(diagnosis, state, number * 10, LIMITS)
        found.append((diagnosis.state, diagnosis.since))
    return found


def test_the_first_look_needs_no_second_to_be_ok() -> None:
    assert course("ok") == [("ok", 10)]


def test_a_fault_holds_from_the_first_of_the_looks_that_confirmed_it() -> None:
    assert course("ok", "black", "black", "black") == [("ok", 10), ("ok", 10), ("black", 20), ("black", 20)]


def test_one_look_alone_changes_nothing() -> None:
    assert course("ok", "black", "ok", "frozen", "ok", "black", "frozen", "ok")[-1] == ("ok", 10)


def test_a_fault_at_the_first_look_is_confirmed_by_the_second() -> None:
    assert course("black", "black") == [(None, 0), ("black", 10)]
    assert course("black", "ok") == [(None, 0), ("ok", 20)]


def test_a_recovery_needs_its_looks_too() -> None:
    assert course("ok", "black", "black", "ok", "ok")[2:] == [("black", 20), ("black", 20), ("ok", 40)]


def test_a_change_that_waits_is_worth_a_sooner_look() -> None:
    diagnosis = look(Diagnosis("ok", 0), "black", 10, LIMITS)
    assert diagnosis.confirming
    assert not look(diagnosis, "black", 20, LIMITS).confirming
    assert not look(diagnosis, "ok", 20, LIMITS).confirming


STATES = st.lists(st.sampled_from(["ok", "black", "frozen", "signal_lost"]), max_size=30)


@given(STATES)
def test_what_holds_was_seen_twice_in_a_row_since_then(states: list[str]) -> None:
    for number, (state, since) in enumerate(course(*states), 1):
        if state is None:
            continue
        first = since // 10 - 1
        assert states[first] == state
        assert first == 0 or state == "ok" or states[first + 1] == state
        assert since <= number * 10
    for number in range(len(states) - 1):
        if states[number] == states[number + 1]:
            assert course(*states)[number + 1][0] == states[number], "a state seen twice in a row holds"
