"""What is confirmed over looks, and since when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.vision.diagnose import Conditions, Diagnosis, look
from agents.vision.thresholds import Thresholds

LIMITS = Thresholds()


def shows(state: str) -> Conditions:
    """Return a look that shows one state and nothing else."""
    return Conditions((), frozenset()) if state == "ok" else Conditions((state,), frozenset({state}))


def course(*states: str) -> list[tuple[str | None, int]]:
    """Return what is confirmed, and since when, after each look; looks are ten apart, the first at 10."""
    diagnosis, found = Diagnosis(), []
    for number, state in enumerate(states, 1):
        diagnosis = look(diagnosis, shows(state), number * 10, LIMITS)
        found.append((diagnosis.state, diagnosis.since))
    return found


def test_the_first_look_needs_no_second_to_be_ok() -> None:
    assert course("ok") == [("ok", 10)]


def test_a_fault_holds_from_the_first_of_the_looks_that_confirmed_it() -> None:
    assert course("ok", "black", "black", "black") == [("ok", 10), ("ok", 10), ("black", 20), ("black", 20)]


def test_a_frozen_picture_was_there_at_the_look_before() -> None:
    """What is the same again was seen once: where the camera was watched since then, it was frozen from that on."""
    waits = look(Diagnosis("ok", 0), shows("frozen"), 20, LIMITS, 10)
    assert look(waits, shows("frozen"), 24, LIMITS, 20) == Diagnosis("frozen", 10)
    unwatched = look(Diagnosis("ok", 0), shows("frozen"), 20, LIMITS)
    assert look(unwatched, shows("frozen"), 24, LIMITS, 20) == Diagnosis("frozen", 20)
    black = look(Diagnosis("ok", 0), shows("black"), 20, LIMITS, 10)
    assert look(black, shows("black"), 24, LIMITS, 20) == Diagnosis("black", 20)


def test_one_look_alone_changes_nothing() -> None:
    assert course("ok", "black", "ok", "frozen", "ok", "black", "frozen", "ok")[-1] == ("ok", 10)


def test_a_fault_at_the_first_look_is_confirmed_by_the_second() -> None:
    assert course("black", "black") == [(None, 0), ("black", 10)]
    assert course("black", "ok") == [(None, 0), ("ok", 20)]


def test_a_recovery_needs_its_looks_too() -> None:
    assert course("ok", "black", "black", "ok", "ok")[2:] == [("black", 20), ("black", 20), ("ok", 40)]


def test_one_look_that_shows_another_fault_costs_that_look_alone() -> None:
    assert course("ok", "covered", "black", "covered")[-1] == ("covered", 20)
    assert course("ok", "covered", "black", "frozen", "covered")[-1] == ("ok", 10)
    assert course("ok", "moved", "covered", "moved", "moved")[-1] == ("moved", 20), "moved needs three"
    assert course("ok", "moved", "covered", "moved")[-1] == ("ok", 10)
    assert course("covered", "covered", "ok", "black", "ok")[-1] == ("ok", 30)


def test_what_has_moved_is_not_covered_while_it_holds_by_its_wider_bounds() -> None:
    moved = Diagnosis("moved", 10)
    both = Conditions(entering=("covered",), staying=frozenset({"moved", "covered"}))
    assert look(look(moved, both, 20, LIMITS), both, 30, LIMITS) == moved
    left = Conditions(entering=("covered",), staying=frozenset({"covered"}))
    assert look(look(moved, left, 20, LIMITS), left, 30, LIMITS) == Diagnosis("covered", 20)


def test_a_clock_that_is_set_moves_all_instants() -> None:
    waits = Diagnosis("ok", 5, "black", 10, 1, "covered", 7, 1)
    assert waits.shifted(100) == Diagnosis("ok", 105, "black", 110, 1, "covered", 107, 1)


def test_a_change_that_waits_is_worth_a_sooner_look() -> None:
    diagnosis = look(Diagnosis("ok", 0), shows("black"), 10, LIMITS)
    assert diagnosis.confirming
    assert not look(diagnosis, shows("black"), 20, LIMITS).confirming
    assert not look(diagnosis, shows("ok"), 20, LIMITS).confirming


STATES = st.lists(st.sampled_from(["ok", "black", "frozen", "signal_lost"]), max_size=30)


@given(STATES)
def test_what_holds_was_seen_twice_in_three_looks_since_then(states: list[str]) -> None:
    for number, (state, since) in enumerate(course(*states), 1):
        if state is None:
            continue
        first = since // 10 - 1
        assert states[first] == state
        assert first == 0 or state == "ok" or state in states[first + 1 : first + 3]
        assert since <= number * 10
    for number in range(len(states) - 1):
        if states[number] == states[number + 1]:
            assert course(*states)[number + 1][0] == states[number], "a state seen twice in a row holds"
