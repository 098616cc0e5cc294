"""The scorer, with alarms whose figures are known by hand."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from benchmarks.view.score import MISSED, Score, StateScore, add, poisson_bound
from benchmarks.view.table import BARS, bars, report
from benchmarks.view.truth import Alarm, Event, Tolerated, Truth, alarms_from, document_of


def event(state: str, begins: float, until: float, **more: object) -> Event:
    values: dict[str, object] = {
        "state": state,
        "variant": "any",
        "changes_from": begins,
        "begins": begins,
        "until": until,
        "counts": True,
        **more,
    }
    return Event(**values)  # type: ignore[arg-type]  # a test's table


def truth(*events: Event, tolerated: tuple[Tolerated, ...] = (), clean_days: float = 0.0) -> Truth:
    return Truth("clip", "scene", 1000, 10, events, tolerated, clean_days)


def scored(what: Truth, *alarms: Alarm) -> Score:
    score = Score()
    add(score, what, alarms)
    return score


COVERED = event("covered", 100, 200)
BLACK = event("black", 300, 400)


def test_a_perfect_detector_has_full_marks() -> None:
    score = scored(truth(COVERED, BLACK), Alarm("covered", 100, 115), Alarm("black", 300, 325))
    assert {name: tally.f1 for name, tally in score.states.items()} == {"covered": 1.0, "black": 1.0}
    assert score.state("covered").delays == [1.5]
    assert score.state("black").delay(95) == 2.5
    assert score.confusion == {("covered", "covered"): 1, ("black", "black"): 1}


def test_a_silent_detector_misses_everything_and_is_wrong_about_nothing() -> None:
    score = scored(truth(COVERED, BLACK))
    assert [tally.f1 for tally in score.states.values()] == [0.0, 0.0]
    assert score.state("covered").precision is None
    assert score.confusion["black", MISSED] == 1
    assert not score.between


def test_an_alarm_that_was_already_on_is_no_hit() -> None:
    score = scored(truth(COVERED), Alarm("covered", 40, 60))
    assert (score.state("covered").hits, score.state("covered").false) == (0, 1)
    assert score.between == {"covered": 1}


def test_the_wrong_name_is_a_miss_and_a_false_alarm() -> None:
    score = scored(truth(COVERED), Alarm("blurred", 100, 120))
    assert (score.state("covered").hits, score.state("blurred").false) == (0, 1)
    assert score.confusion == {("covered", "blurred"): 1}


def test_the_right_name_after_a_wrong_one_is_a_hit_and_the_wrong_one_stays_false() -> None:
    score = scored(truth(COVERED), Alarm("blurred", 100, 120), Alarm("covered", 100, 150))
    assert (score.state("covered").hits, score.state("blurred").false) == (1, 1)
    assert score.state("covered").delays == [5.0]


def test_a_second_rise_within_an_event_is_a_repeat() -> None:
    score = scored(truth(COVERED), Alarm("covered", 100, 120), Alarm("covered", 160, 180))
    assert (score.state("covered").hits, score.state("covered").false, score.repeats) == (1, 0, 1)


def test_an_alarm_long_after_the_end_is_false() -> None:
    assert scored(truth(COVERED), Alarm("covered", 190, 219)).state("covered").hits == 1
    late = scored(truth(COVERED), Alarm("covered", 190, 221))
    assert (late.state("covered").hits, late.between) == (0, {"covered": 1})


def test_below_the_floor_its_own_name_counts_neither_way_and_another_name_is_false() -> None:
    mild = event("covered", 100, 200, counts=False)
    assert scored(truth(mild)).states == {}
    assert scored(truth(mild), Alarm("covered", 100, 120)).states == {}
    assert scored(truth(mild), Alarm("moved", 100, 120)).between == {"moved": 1}


def test_what_creeps_in_may_be_seen_early_and_be_named_by_its_way() -> None:
    fading = event("black", 180, 300, changes_from=100, passing=("dark",))
    early = scored(truth(fading), Alarm("black", 140, 160))
    assert early.state("black").delays == [0.0]
    passed = scored(truth(fading), Alarm("dark", 130, 150), Alarm("black", 180, 200))
    assert (passed.state("black").hits, "dark" in passed.states) == (1, False)
    too_late = scored(truth(fading), Alarm("dark", 130, 230))
    assert too_late.state("dark").false == 1


def test_an_abrupt_event_has_no_way_to_it() -> None:
    sudden = event("black", 100, 200, passing=("dark",))
    assert scored(truth(sudden), Alarm("dark", 100, 110)).state("dark").false == 1


def test_another_right_name_is_a_hit() -> None:
    lost = event("signal_lost", 100, 200, also=("black",))
    assert scored(truth(lost), Alarm("black", 100, 120)).state("signal_lost").f1 == 1.0


def test_on_clean_days_everything_is_false_but_what_is_tolerated() -> None:
    night = Tolerated("dark", 500, 700)
    score = scored(truth(tolerated=(night,), clean_days=2.0), Alarm("dark", 510, 530), Alarm("covered", 600, 620))
    assert score.clean_alarms == {"covered": 1}
    assert score.false_per_day == 0.5
    assert score.false_per_day_bound == pytest.approx(4.744 / 2, abs=1e-3)


def test_a_word_for_several_states_is_right_for_each() -> None:
    score = Score()
    either = {"changed": frozenset({"covered", "moved"})}
    add(score, truth(COVERED, BLACK), [Alarm("changed", 100, 120), Alarm("changed", 300, 320)], either)
    assert (score.state("covered").hits, score.state("changed").false) == (1, 1)
    tally = score.state("changed")
    assert (tally.events, tally.hits, tally.precision, tally.recall) == (1, 1, 0.5, 1.0), "and it has a row of its own"


@pytest.mark.parametrize(("state", "false"), [("black", 0), ("signal_lost", 0), ("covered", 1)])
def test_who_calls_a_black_picture_frozen_as_well_is_neither_right_nor_wrong(state: str, false: int) -> None:
    score = scored(truth(event(state, 300, 400)), Alarm("frozen", 300, 320), Alarm(state, 300, 330))
    assert (score.state("frozen").false, score.state(state).hits) == (false, 1)


def test_that_an_alarm_ends_with_its_event_is_counted_where_a_detector_says_so() -> None:
    ends = (220.0, 251.0, math.inf)
    scores = [scored(truth(COVERED), Alarm("covered", 100, 115, until)) for until in ends]
    assert [(score.ended, score.lingered) for score in scores] == [(1, 0), (0, 1), (0, 1)]
    unsaid = scored(truth(COVERED), Alarm("covered", 100, 115))
    too_late_to_see = scored(truth(event("covered", 900, 960)), Alarm("covered", 900, 915, math.inf))
    assert {(score.ended, score.lingered) for score in (unsaid, too_late_to_see)} == {(0, 0)}


def test_what_must_be_reached_is_held_against_enough_events_alone() -> None:
    score = Score()
    score.states = {state: StateScore(300, 300) for state in BARS} | {"covered": StateScore(300, 290, 20)}
    lines, reached = bars(score)
    assert not reached
    assert [line for line in lines if "NOT" in line] == ["F1 of covered 0.951: NOT REACHED (must 0.97, aim 0.985)"]
    score.states["covered"] = StateScore(299, 290, 20)
    assert bars(score)[1], "of too few events nothing is told"
    score.clean_days, score.clean_alarms = 36.0, Counter({"moved": 3})
    assert not bars(score)[1]


def test_how_much_video_stands_for_a_clean_day_is_said() -> None:
    score = scored(Truth("day", "scene", 10_800, 10, clean_days=1.0))
    assert "clean days 1.00 (their nuisances in 3 hours, 1080 looks)" in report({"ours": score}, {"ours": ("covered",)})


@pytest.mark.parametrize(("count", "bound"), [(0, 2.996), (1, 4.744), (3, 7.754), (10, 16.962)])
def test_the_poisson_bound_is_that_of_the_tables(count: int, bound: float) -> None:
    assert poisson_bound(count) == pytest.approx(bound, abs=1e-3)


def test_alarms_survive_their_document() -> None:
    alarms = (Alarm("frozen", 10, 30), Alarm("black", 50.5, 70))
    assert alarms_from(document_of("x.mp4", alarms)) == alarms


def test_what_went_wrong_is_noted_with_its_place() -> None:
    score = scored(
        truth(COVERED, BLACK), Alarm("blurred", 100, 120), Alarm("black", 300, 320), Alarm("moved", 500, 520)
    )
    assert [(note.at, note.true, note.said) for note in score.notes] == [
        (120, "covered/any", "blurred"),
        (520, MISSED, "moved"),
        (100, "covered/any", MISSED),
    ]
