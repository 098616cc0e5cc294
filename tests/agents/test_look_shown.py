"""A look's measures beside the bounds of its state: those that decided, each beside its measure, narrow enough for a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.look_shown import BOUNDS, COLUMNS, LEADING, bounds_of, look_lines, measured
from agents.vision.diagnose import OK, STATES
from agents.vision.eye import Eye
from agents.vision.fingerprint import fingerprint
from agents.vision.measure import Scores, measure
from agents.vision.thresholds import Thresholds
from support.views import drawn_room, grainy, looked_at


@pytest.fixture(scope="session")
def scores() -> Scores:
    """A second look at a room whose view is approved: all measures are there but those that several looks need."""
    picture = looked_at(drawn_room(1))
    view = fingerprint(picture)
    eye, trace = Eye(Thresholds(), [view]), None
    for _ in range(2):
        measures, trace = measure(picture, trace)
        found = eye.look(measures, view).scores
    return found


def test_each_bound_belongs_to_a_state_and_has_a_measure(scores: Scores) -> None:
    shown = {name for state in STATES for name in bounds_of(state)}
    assert shown == set(BOUNDS)
    derived = {label for label, _ in (measured(name, scores, Thresholds()) for name in BOUNDS) if " " in label}
    unknown = {measured(name, scores, Thresholds())[0] for name in BOUNDS} - derived - set(scores)
    assert unknown == set(), "a bound was added whose measure isn't named after it: name it in look_shown"


@pytest.mark.parametrize("state", [*STATES, OK])
def test_what_is_shown_is_narrow_and_of_the_state_alone(scores: Scores, state: str) -> None:
    lines = list(look_lines(state, scores, Thresholds()))
    assert all(len(line) <= COLUMNS for line in lines), lines
    text = " ".join(" ".join(lines).split())
    assert all(name in text for name in bounds_of(state))
    assert len(lines) == len(bounds_of(state)), "one bound a line"


def test_a_bound_stands_beside_its_measure_as_it_is_in_force(scores: Scores) -> None:
    own = replace(Thresholds(), blurred_sharpness=0.8125)
    (line,) = [line for line in look_lines("blurred", scores | {"sharpness": 0.5}, own) if "sharpness" in line]
    assert line.split() == ["sharpness", "0.5", "<=", "0.8125", "blurred_sharpness"]
    assert set(bounds_of(OK)) == set(LEADING) < set(BOUNDS)


def test_of_what_is_shown_of_a_good_picture_no_bound_of_a_fault_is_reached() -> None:
    """Whoever reads that a measure is beyond its bound, and that the picture is good, believes one of them."""
    eye, trace = Eye(Thresholds(), [fingerprint(looked_at(drawn_room(1)))]), None
    for number in range(6):
        picture = looked_at(grainy(drawn_room(1), 3.0, number))
        measures, trace = measure(picture, trace)
        judged = eye.look(measures, fingerprint(picture))
    assert judged.conditions.state == OK
    reached = set()
    for name in LEADING:
        value = float(measured(name, judged.scores, Thresholds())[1])
        bound = getattr(Thresholds(), name)
        if value >= bound if BOUNDS[name] == "least" else value <= bound:
            reached.add(name)
    assert reached == {"approved_visible"}


def test_what_was_not_measured_is_no_number(scores: Scores) -> None:
    assert measured("moved_gain", {}, Thresholds()) == ("registered - identity", "-")
    assert measured("dusk_grain", scores | {"grain_left": None}, Thresholds()) == ("grain_left", "-")
