"""How often a recorder is asked: by its channels, by its calm, and never less after a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.base import Cost
from agents.scan.pace import ALL, NAMES, STATE, LookPace, index_rounds, is_due

COSTS = st.sampled_from(["free", "fair", "dear"])


def looks(cost: Cost, channels: int, hours: int, *, troubled: frozenset[int] = frozenset()) -> list[tuple[int, int]]:
    """Return at which hours the state, and the names, were asked for (hour, how many questions)."""
    pace, found = LookPace(cost, channels), []
    for hour in range(hours + 1):
        due = pace.due(float(hour), 1.0, calm=hour not in troubled)
        pace.asked(due, float(hour), refused=False)
        if due:
            found.append((hour, len(due)))
    return found


@pytest.mark.parametrize(
    ("cost", "channels", "expected"),
    [
        ("fair", 1, [(0, 4), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 4)]),
        ("fair", 2, [(0, 4), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 4)]),
        ("dear", 1, [(0, 4), (4, 2), (8, 2), (12, 4)]),
        ("dear", 2, [(0, 4), (3, 2), (6, 2), (9, 2), (12, 4)]),
        ("fair", 3, [(0, 4), *((hour, 2) for hour in range(1, 12)), (12, 4)]),
        ("free", 1, [(hour, 4) for hour in range(13)]),
    ],
)
def test_a_small_recorder_is_looked_at_as_seldom_as_its_index(
    cost: Cost, channels: int, expected: list[tuple[int, int]]
) -> None:
    assert looks(cost, channels, 12) == expected


def test_where_a_stream_broke_everything_is_asked_at_the_next_look() -> None:
    assert looks("fair", 1, 5, troubled=frozenset({3})) == [(0, 4), (2, 2), (3, 4), (5, 2)]


def test_after_a_refusal_everything_is_asked_at_the_next_look() -> None:
    pace = LookPace("fair", 16)
    pace.asked(ALL, 0.0, refused=False)
    assert pace.due(1.0, 1.0, calm=True) == STATE
    pace.asked(STATE, 1.0, refused=True)
    assert pace.due(1.1, 1.0, calm=True) == ALL


@given(COSTS, st.integers(0, 64), st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_no_answer_is_older_than_its_rounds(cost: Cost, channels: int, hours: list[tuple[bool, bool]]) -> None:
    pace = LookPace(cost, channels)
    asked = dict.fromkeys(ALL, -1)
    for hour, (calm, refused) in enumerate(hours):
        due = pace.due(float(hour), 1.0, calm=calm)
        pace.asked(due, float(hour), refused=refused)
        asked |= dict.fromkeys(due, hour)
        assert calm or due == ALL
        assert all(asked[kind] >= 0 and hour - asked[kind] < pace.rounds(kind) for kind in ALL)
    assert all(pace.rounds(name) >= pace.rounds(state) for name in NAMES for state in STATE)


@given(COSTS, st.integers(1, 64))
def test_news_are_read_at_least_each_fourth_round(cost: Cost, channels: int) -> None:
    assert 2 <= index_rounds(cost, channels) <= 4


def test_a_round_that_comes_a_little_early_counts() -> None:
    assert is_due(3590.0, 3600.0, 1)
    assert not is_due(2600.0, 3600.0, 1)
