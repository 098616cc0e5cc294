"""A clock that is set back has the agent tell the same wall time twice: an outage is neither lost by it nor still on."""

from __future__ import annotations

import pytest

from agents.run import clock_set
from monitor.model.ledger import StateSpan, Timeline, timeline, told_twice
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.span import HOUR, MINUTE, Basis, Millis

GATE = Subject(kind="camera", id="gate")
BOX = Subject(kind="agent", id="box")
T0: Millis = 1_800_000_000_000


def told(state: str, start: Millis, end: Millis, kind: Kind = Kind.STREAM, basis: Basis = Basis.WATCHED) -> Observation:
    return Observation(
        subject=GATE, kind=kind, start=T0 + start, end=T0 + end, state=state, basis=basis, expires=T0 + end + MINUTE
    )


def line(seen: list[Observation], *steps: tuple[Millis, Millis], as_of: Millis = 12 * HOUR) -> Timeline:
    twice = told_twice([clock_set(BOX, T0 + old, T0 + new) for old, new in steps])
    return timeline(seen, T0 + as_of, twice)


def shown(found: Timeline) -> list[tuple[str, float, float]]:
    return [(span.state, (span.start - T0) / HOUR, (span.end - T0) / HOUR) for span in found.spans]


BACK = (3 * HOUR, 2 * HOUR)
OUTAGE_FIRST = [told("up", 0, 2 * HOUR), told("down", 2 * HOUR, 3 * HOUR), told("up", 2 * HOUR, 4 * HOUR)]


def test_an_outage_before_the_clock_was_set_back_is_not_overwritten_by_what_came_after() -> None:
    found = line(OUTAGE_FIRST, BACK)
    assert shown(found) == [("up", 0, 2), ("unknown", 2, 3), ("up", 3, 4)]
    assert found.spans[1].cause == "clock_set"
    assert found.denied.total() == HOUR, "what was told otherwise stays to be seen"
    assert shown(line(OUTAGE_FIRST)) == [("up", 0, 4)], "without a step frames that did arrive win"


def test_in_the_middle_of_a_gap_the_gap_is_neither_negative_nor_double() -> None:
    seen = [told("up", 0, 2 * HOUR), told("down", 2 * HOUR, 3 * HOUR), told("down", 2 * HOUR + 30 * MINUTE, 4 * HOUR)]
    assert shown(line(seen, (3 * HOUR, 2 * HOUR + 30 * MINUTE))) == [("up", 0, 2), ("down", 2, 4)]
    seen = [
        told("up", 0, 2 * HOUR),
        told("down", 2 * HOUR, 3 * HOUR),
        told("down", HOUR, 2 * HOUR),
        told("up", 2 * HOUR, 4 * HOUR),
    ]
    assert shown(line(seen, (3 * HOUR, HOUR))) == [("up", 0, 1), ("unknown", 1, 3), ("up", 3, 4)]


def test_a_clock_that_was_ahead_does_not_keep_an_outage_on_that_has_ended() -> None:
    now = line(OUTAGE_FIRST, BACK, as_of=2 * HOUR + 5 * MINUTE)
    assert [span[0] for span in shown(now)] == ["up", "unknown"]
    assert now.at(T0 + 2 * HOUR + 5 * MINUTE) == StateSpan(
        T0 + 2 * HOUR, T0 + 2 * HOUR + 5 * MINUTE, "unknown", "clock_set"
    )
    assert now.last is not None


def test_where_one_thing_alone_was_told_a_step_changes_nothing() -> None:
    seen = [told("up", 0, 3 * HOUR), told("up", 2 * HOUR, 4 * HOUR), told("down", 4 * HOUR, 5 * HOUR)]
    assert shown(line(seen, BACK)) == [("up", 0, 4), ("down", 4, 5)]


def test_a_clock_set_forward_tells_nothing_twice() -> None:
    assert not told_twice([clock_set(BOX, T0, T0 + HOUR)])


@pytest.mark.parametrize("was", [None, "later", True, 1.5, -1, [T0 + HOUR]])
def test_a_step_that_makes_no_sense_says_nothing(was: object) -> None:
    step = clock_set(BOX, T0 + HOUR, T0).model_copy(update={"facts": {"was_at": was}})
    assert not told_twice([step])


def test_an_index_and_what_is_known_afterwards_count_all_the_same() -> None:
    ok, looped = told("ok", 2 * HOUR, 4 * HOUR, Kind.VIEW), told("looped", 2 * HOUR, 3 * HOUR, Kind.VIEW)
    assert shown(line([ok, looped], BACK)) == [("looped", 2, 3), ("ok", 3, 4)]
    hole = told("down", 2 * HOUR, 3 * HOUR, basis=Basis.INDEX)
    assert shown(line([told("up", 2 * HOUR, 4 * HOUR), hole], BACK)) == [("up", 2, 4)], "by the recorder's own clock"


def test_the_step_itself_is_no_state_of_the_agent() -> None:
    life = Observation(
        subject=BOX, kind=Kind.AGENT, start=T0, end=T0 + HOUR, state="up", basis=Basis.WATCHED, expires=T0 + HOUR
    )
    found = timeline([life, clock_set(BOX, T0 + 3 * HOUR, T0 + HOUR)], T0 + 2 * HOUR)
    assert [(span.state, span.end) for span in found.spans] == [("up", T0 + HOUR)]
