"""How much is written a day: every file's bytes, by its share of each day, and nothing where one isn't told."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from agents.recorders.base import Footage
from agents.recorders.sizes import FileSizes
from agents.scan.written import days_of
from monitor.model.calendar import day_start
from monitor.model.span import HOUR, MINUTE, Millis, Spans

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = date(2026, 10, 24)  # the second day has 25 hours
EDGES = [day_start(FIRST + timedelta(days=index), BERLIN) for index in range(4)]

files = st.tuples(
    st.integers(EDGES[0] - 30 * HOUR, EDGES[3] + HOUR), st.integers(0, 60 * HOUR), st.none() | st.integers(1, 10**9)
).map(lambda one: (one[0], one[0] + one[1], one[2]))


def share(start: Millis, end: Millis, low: Millis, high: Millis) -> Fraction:
    return Fraction(max(0, min(end, high) - max(start, low)), end - start) if end > start else Fraction(0)


@given(st.lists(files, max_size=30))
def test_each_day_has_its_share_of_every_file(listed: list[tuple[Millis, Millis, int | None]]) -> None:
    sizes = FileSizes.of(listed)
    found = days_of(Footage(Spans.empty(), Spans.empty(), (EDGES[0], EDGES[3]), sizes), BERLIN)
    for index, (low, high) in enumerate(pairwise(EDGES)):
        parts = [(one.bytes, share(one.start, one.end, low, high)) for one in sizes]
        told = found[FIRST + timedelta(days=index)]
        if any(size is None and part for size, part in parts):
            assert told is None
        elif told is not None:
            due = float(sum((size * part for size, part in parts if size is not None), Fraction(0)))
            assert abs(told - due) <= 1


@given(st.lists(files, max_size=30))
def test_a_file_is_counted_once_with_its_larger_size(listed: list[tuple[Millis, Millis, int | None]]) -> None:
    twice = [*listed, *((start, end - MINUTE, None) for start, end, _ in listed)]
    once = FileSizes.of(listed)
    assert FileSizes.of(twice) == once
    assert len(once) == len({start for start, _, _ in listed})
