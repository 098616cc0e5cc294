"""The plan of a search: every instant is asked for, in few questions of bounded width."""

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.windows import RUN_DAYS, halves, months, plan

NOON = datetime(2026, 11, 23, 12)


def test_the_last_hours_are_one_search_without_a_calendar() -> None:
    assert plan(NOON - timedelta(hours=2), NOON, lambda _: False) == [(NOON - timedelta(hours=3), NOON)]
    assert months(NOON - timedelta(hours=2), NOON) == []


def test_ninety_days_of_which_35_are_held_are_one_search_a_held_week_and_few_for_the_rest() -> None:
    first = NOON - timedelta(days=90)
    windows = plan(first, NOON, lambda day: day >= date(2026, 10, 20))
    assert months(first, NOON) == [(2026, 8), (2026, 9), (2026, 10), (2026, 11)]
    assert len(windows) == 5 + 2


def test_a_fortnight_is_three_searches_without_a_calendar() -> None:
    first = NOON - timedelta(days=14)
    assert months(first, NOON) == []
    assert len(plan(first, NOON, lambda _: True)) == 3
    assert months(first - timedelta(days=1), NOON) == [(2026, 11)]


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)),
    st.integers(1, 200 * 86_400),
    st.sets(st.integers(0, 365)),
)
def test_windows_tile_the_span_and_are_at_most_a_month_wide(first: Any, seconds: Any, held: Any) -> None:
    last = first + timedelta(seconds=seconds)
    windows = plan(first, last, lambda day: day.timetuple().tm_yday in held)
    assert windows[0][0] <= first - timedelta(minutes=59)
    assert last - timedelta(seconds=1) <= windows[-1][1] < last + timedelta(seconds=1)
    for (_, end), (start, _) in pairwise(windows):
        assert start - end == timedelta(seconds=1)
    assert all(timedelta(0) <= end - start <= timedelta(days=RUN_DAYS, hours=1) for start, end in windows)


def test_halves_are_the_whole() -> None:
    (a, b), (c, d) = halves((NOON, NOON + timedelta(seconds=61)))
    assert (a, d) == (NOON, NOON + timedelta(seconds=61))
    assert c - b == timedelta(seconds=1)
