"""Ninety days against the auditor: two hundred random indexes, every figure and every date the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from support.auditor import Books, Interval, audit, ms
from support.indexes import DAY, random_books
from support.judging import judged, observations_of, statement_of


@pytest.mark.parametrize("seed", range(200))
def test_the_engine_and_the_auditor_agree(seed: int) -> None:
    books, locked = random_books(seed)
    assert statement_of(judged(books, observations_of(books, locked))) == audit(books)


def test_the_random_indexes_reach_every_state() -> None:
    states = [audit(random_books(seed)[0]).state for seed in range(200)]
    assert all(states.count(state) >= 8 for state in ("ok", "short", "gap", "maturing")), states


def days(*pairs: tuple[float, float], now: datetime) -> list[Interval]:
    """Footage from so many days ago to so many days ago, in days of 24 hours."""
    return [(ms(now) - int(start * DAY), ms(now) - int(end * DAY)) for start, end in pairs]


def test_a_day_is_missed_until_it_leaves_the_window() -> None:
    """Three lost days: the last two still count when the first has left, as compliant_from promised."""
    now = datetime(2026, 11, 23, 4, tzinfo=UTC)
    books = Books("Asia/Shanghai", now, 90, days((120, 91.5), (88.5, 0), now=now))
    verdict = judged(books, observations_of(books, []))
    assert (verdict.state, verdict.measured["missing_days"]) == ("gap", ["2026-08-25", "2026-08-26"])


def test_days_that_each_miss_a_little_are_all_missed() -> None:
    """No day is held, so there is no first held day to begin the window at: all of it counts."""
    now = datetime(2026, 11, 23, 4, tzinfo=UTC)
    evenings = ((day + 0.646, max(0.0, day - 0.334)) for day in range(100, -1, -1))  # nothing from 20:01 to 20:30
    books = Books("Asia/Shanghai", now, 90, days(*evenings, now=now))
    verdict = judged(books, observations_of(books, []))
    assert (verdict.state, len(verdict.measured["missing_days"])) == ("gap", 90)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("zone", "now", "opening"),
    [
        pytest.param("Asia/Shanghai", datetime(2026, 11, 23, 12, tzinfo=UTC), True, id="after closing time"),
        pytest.param("Europe/Berlin", datetime(2026, 12, 1, 22, 30, tzinfo=UTC), False, id="a day of 25 hours since"),
        pytest.param("Europe/Berlin", datetime(2026, 5, 1, 22, 10, tzinfo=UTC), False, id="a day of 23 hours since"),
    ],
)
def test_a_recorder_of_exactly_n_days_complies_at_any_hour(zone: str, now: datetime, opening: bool) -> None:
    hours = (time(7, 30), time(18), frozenset(range(7))) if opening else None
    books = Books(zone, now, 90, days((90, 0), now=now), opening=hours)
    verdict = judged(books, observations_of(books, []))
    assert (verdict.state, verdict.measured["held_days"]) == ("ok", 90)


def test_a_camera_that_came_in_the_afternoon_n_days_ago_is_compliant_today() -> None:
    """Yesterday it matured; tomorrow it is an old camera: there is no day of falling short between."""
    now = datetime(2026, 11, 23, 4, tzinfo=UTC)
    books = Books("Asia/Shanghai", now, 90, days((89.8, 0), now=now), commissioned=date(2026, 8, 25))
    verdict = judged(books, observations_of(books, []))
    assert (verdict.state, verdict.measured["held_days"]) == ("ok", 90)


def test_a_long_hole_in_a_young_history_is_a_gap_and_not_short() -> None:
    now = datetime(2026, 11, 23, 4, tzinfo=UTC)
    books = Books("Asia/Shanghai", now, 90, days((10, 8), (5, 0), now=now), commissioned=date(2026, 11, 13))
    assert judged(books, observations_of(books, [])).state == "gap"


def test_a_clip_on_the_first_day_is_no_history() -> None:
    now = datetime(2026, 11, 23, 4, tzinfo=UTC)
    books = Books("Asia/Shanghai", now, 90, days((10, 9.999), (5, 0), now=now), commissioned=date(2026, 11, 13))
    assert judged(books, observations_of(books, [])).state == "short"
