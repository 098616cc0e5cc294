"""A recorder's wall clock as instants: POSIX signs, its own digits, summer time and the repeated hour."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.zone import device_time, parse_rule, to_instants

SHANGHAI = ZoneInfo("Asia/Shanghai")
CET = "CET-1:00:00DST01:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00"
RULES = {
    CET: "Europe/Berlin",
    "GMT+0:00:00DST01:00:00,M3.5.0/01:00:00,M10.5.0/02:00:00": "Europe/London",
    "EST+5:00:00DST01:00:00,M3.2.0/02:00:00,M11.1.0/02:00:00": "America/New_York",
    "AEST-10:00:00DST01:00:00,M10.1.0/02:00:00,M4.1.0/03:00:00": "Australia/Sydney",
    "CST-8:00:00": "Asia/Shanghai",
    "IST-5:30:00": "Asia/Kolkata",
}


@pytest.mark.parametrize(("rule", "name"), RULES.items())
def test_a_rule_is_the_zone_of_its_place_through_a_year(rule: Any, name: str) -> None:
    zone, place = parse_rule(rule), ZoneInfo(name)
    assert zone is not None
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    while moment < datetime(2027, 1, 2, tzinfo=UTC):
        ours, theirs = moment.astimezone(zone), moment.astimezone(place)
        assert (ours.replace(tzinfo=None), ours.fold) == (theirs.replace(tzinfo=None), theirs.fold)
        assert ours.astimezone(UTC) == moment
        moment += timedelta(minutes=30)


def test_the_posix_sign_lies_east_with_a_minus() -> None:
    assert parse_rule("CST-7:00:00") == timezone(timedelta(hours=7))


@pytest.mark.parametrize("text", ["", "8", "+08:00", "CST-99:00:00", "CET-1:00:00DST09:00:00,M3.5.0/02:00:00,M10.5.0/03:00:00",
                                  "CET-1DST01:00:00,M13.5.0/02:00:00,M10.5.0/03:00:00"])  # fmt: skip
def test_what_is_no_rule_is_none(text: Any) -> None:
    assert parse_rule(text) is None


def test_the_digits_decide_over_a_rule_with_the_wrong_sign() -> None:
    shown = device_time("2026-11-23T12:00:00+08:00", "CST+8:00:00", SHANGHAI)
    assert shown.instant == datetime(2026, 11, 23, 4, tzinfo=UTC)


def test_a_z_is_a_dress_and_the_rule_is_taken() -> None:
    assert device_time("2026-11-23T12:00:00Z", "CST-8:00:00", ZoneInfo("UTC")).instant.hour == 4


def test_without_digits_and_rule_the_institution_decides() -> None:
    assert device_time("2026-11-23T12:00:00", None, SHANGHAI).instant.hour == 4


def test_a_recorder_whose_rule_has_no_summer_time_keeps_none_in_a_country_that_has() -> None:
    shown = device_time("2026-11-23T12:00:00+01:00", "CET-1:00:00", ZoneInfo("Europe/Berlin"))
    assert datetime(2026, 7, 1, 12, tzinfo=shown.zone).astimezone(UTC).hour == 11


def test_without_a_rule_digits_that_agree_with_the_institution_take_its_summer_time() -> None:
    shown = device_time("2026-11-23T12:00:00+01:00", None, ZoneInfo("Europe/Berlin"))
    assert datetime(2026, 7, 1, 12, tzinfo=shown.zone).astimezone(UTC).hour == 10


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01T00:00:00", "12:00:00"])
def test_a_clock_that_shows_no_time_is_an_error(text: Any) -> None:
    with pytest.raises(ValueError):
        device_time(text, None, SHANGHAI)


def walls(zone: tzinfo, *instants: datetime) -> list[tuple[datetime, datetime]]:
    """Return (start, end) wall times of consecutive instants, as a recorder lists them."""
    shown = [moment.astimezone(zone).replace(tzinfo=None) for moment in instants]
    return list(pairwise(shown))


@pytest.mark.parametrize("seconds", [0, 2, 90])
@pytest.mark.parametrize("minutes", [10, 30, 60])
def test_segments_that_overlap_through_the_repeated_hour_leave_no_hole(minutes: int, seconds: int) -> None:
    zone = parse_rule(CET)
    assert zone is not None
    first = datetime(2026, 10, 24, 22, 16, 36, tzinfo=UTC)
    instants = [first + timedelta(minutes=minutes * number) for number in range(5 * 60 // minutes + 1)]
    early = timedelta(seconds=seconds)
    listed = [
        (begin.astimezone(zone).replace(tzinfo=None), end.astimezone(zone).replace(tzinfo=None))
        for begin, end in ((one - early, two) for one, two in pairwise(instants))
    ]
    spans = sorted(to_instants(listed, zone))
    assert (spans[0][0], spans[-1][1]) == (instants[0] - early, instants[-1])
    assert all(later[0] == earlier[1] - early for earlier, later in pairwise(spans))


@pytest.mark.parametrize("minutes", [1, 5, 7, 10, 15, 30, 45, 60])
@pytest.mark.parametrize("order", ["recorded", "by wall time"])
def test_consecutive_segments_through_the_repeated_hour_leave_no_hole(minutes: int, order: Any) -> None:
    zone = parse_rule(CET)
    assert zone is not None
    first = datetime(2026, 10, 24, 22, tzinfo=UTC)
    instants = [first + timedelta(minutes=minutes * number) for number in range(5 * 60 // minutes + 1)]
    listed = walls(zone, *instants)
    if order == "by wall time":
        listed.sort()
    spans = sorted(to_instants(listed, zone))
    assert spans[0][0] == instants[0]
    held = sum((end - start for start, end in spans), timedelta())
    assert held == instants[-1] - instants[0]
    assert all(later[0] - earlier[1] == timedelta(0) for earlier, later in pairwise(spans))


def test_a_segment_that_ends_before_it_starts_is_an_error() -> None:
    with pytest.raises(ValueError):
        to_instants([(datetime(2026, 11, 1, 12), datetime(2026, 11, 1, 11))], SHANGHAI)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(1, 86_400))
def test_where_no_hour_repeats_wall_times_are_instants(start: Any, seconds: Any) -> None:
    end = start + timedelta(seconds=seconds)
    ((begin, finish),) = to_instants([(start, end)], SHANGHAI)
    assert begin == start.replace(tzinfo=SHANGHAI)
    assert finish - begin == end - start


def test_a_long_segment_that_ends_in_the_repeated_hour_reaches_to_the_next_one() -> None:
    """02:40 comes twice that night; the recording never stopped."""
    berlin = ZoneInfo("Europe/Berlin")
    night = datetime(2026, 10, 25)
    walls = [
        (night.replace(hour=1, minute=30), night.replace(hour=2, minute=40)),
        (night.replace(hour=2, minute=40), night.replace(hour=3, minute=30)),
    ]
    (first, second) = to_instants(walls, berlin)
    assert first[1] == second[0]
    assert second[1] - first[0] == timedelta(hours=3)
