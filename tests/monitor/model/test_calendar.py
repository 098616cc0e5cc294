"""Calendars: days tile, also those of 23 and 25 hours; hours, closures and waivers say what is due."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.calendar import Waiver, closure_spans, day_edges, day_start, local_date, open_time, opening_spans
from monitor.model.inventory import Closure, OpeningHours, Weekday
from monitor.model.observation import Subject
from monitor.model.span import DAY, HOUR, Spans, from_millis, to_millis
from support.scene import GATE, INSTITUTION, INVENTORY, ROOM1

zones = st.sampled_from(
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe"]
).map(ZoneInfo)
days = st.dates(date(1995, 1, 1), date(2035, 12, 1))


@given(zones, days, st.integers(0, 40))
def test_days_tile_and_each_instant_has_its_date(zone: ZoneInfo, first: date, count: int) -> None:
    last = first + timedelta(days=count)
    edges = day_edges(first, last, zone)
    assert len(edges) == count + 2
    assert np.all((np.diff(edges) >= 22 * HOUR) & (np.diff(edges) <= 26 * HOUR))
    for index in range(count + 1):
        day = first + timedelta(days=index)
        assert int(edges[index]) == day_start(day, zone)
        assert local_date(int(edges[index]), zone) == day
        assert local_date(int(edges[index + 1]) - 1, zone) == day


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Asia/Shanghai", date(2026, 3, 29), 24),
    ],
)
def test_a_day_has_as_many_hours_as_it_has(zone: str, day: date, hours: float) -> None:
    start, end = day_edges(day, day, ZoneInfo(zone)).tolist()
    assert end - start == hours * HOUR


@given(zones, days, st.integers(0, 20), st.sets(st.sampled_from(Weekday)))
def test_opening_hours_are_local_on_their_weekdays(
    zone: ZoneInfo, first: date, count: int, open_on: set[Weekday]
) -> None:
    hours = OpeningHours(open=time(7, 30), close=time(18), days=tuple(open_on))
    start, end = day_start(first, zone), day_start(first + timedelta(days=count), zone)
    spans = opening_spans(hours, zone, start, end)
    expected = [first + timedelta(days=i) for i in range(count)]
    expected = [day for day in expected if list(Weekday)[day.weekday()] in open_on]
    assert [local_date(a, zone) for a, _ in spans.tuples()] == expected
    for opens, closes in spans.tuples():
        local = [from_millis(instant).astimezone(zone).time() for instant in (opens, closes)]
        assert local == [time(7, 30), time(18)]


def test_closures_are_whole_local_days_to_their_last() -> None:
    zone = ZoneInfo("Europe/Berlin")
    closed = closure_spans([Closure(start=date(2026, 3, 28), to=date(2026, 3, 30))], zone)
    assert closed.total() == 3 * DAY - HOUR
    assert closed.start == to_millis(datetime(2026, 3, 27, 23, tzinfo=UTC))


def test_a_closure_without_end_is_one_to_the_last_day_of_all() -> None:
    zone, today = ZoneInfo("Asia/Shanghai"), date(2026, 11, 23)
    ever = closure_spans([Closure(start=date.min, to=date.max)], zone)
    assert ever.clip(day_start(today, zone), day_start(today, zone) + DAY).total() == DAY
    until = closure_spans([Closure(start=today, to=date.max)], zone)
    assert until.start == day_start(today, zone)
    assert not closure_spans([Closure(start=date.min, to=date(1900, 1, 1))], zone)


def test_without_declared_hours_all_time_but_closures_is_open() -> None:
    closure = Closure(start=date(2026, 11, 20), to=date(2026, 11, 20))
    start, end = (day_start(date(2026, 11, day), ZoneInfo("Asia/Shanghai")) for day in (19, 22))
    opened = open_time(INVENTORY.model_copy(update={"closures": (closure,)}), start, end)
    assert opened == Spans.of([(start, start + DAY), (start + 2 * DAY, end)])


def test_a_waiver_speaks_of_its_subject_or_of_the_whole_institution() -> None:
    def waiver(subject: Subject, requirement: str | None = None) -> Waiver:
        now = datetime(2026, 11, 23, tzinfo=UTC)
        return Waiver(
            subject=subject, requirement=requirement, start_at=now, end_at=now + timedelta(hours=1), by="a", reason="b"
        )

    assert waiver(GATE).covers("uptime", GATE)
    assert not waiver(GATE).covers("uptime", ROOM1)
    assert waiver(INSTITUTION, "uptime").covers("uptime", ROOM1)
    assert not waiver(INSTITUTION, "uptime").covers("retention", ROOM1)
    assert waiver(GATE).spans.total() == HOUR
