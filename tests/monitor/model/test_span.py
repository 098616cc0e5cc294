"""Spans against naive sets of instants: the laws that every figure rests on."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.span import Spans, from_millis, isoformat, isoformats, parse_instant, to_millis

EDGE = 60
instants = st.integers(-5, EDGE)
pairs = st.lists(st.tuples(instants, instants), max_size=8)
tolerances = st.integers(0, 6)


def naive(found: list[tuple[int, int]]) -> set[int]:
    return {instant for start, end in found for instant in range(start, end)}


def held(spans: Spans) -> set[int]:
    return naive(spans.tuples())


@given(pairs)
def test_spans_are_the_set_of_their_instants_sorted_apart_and_untouching(one: list[tuple[int, int]]) -> None:
    spans = Spans.of(one)
    assert held(spans) == naive(one)
    flat = [edge for pair in spans.tuples() for edge in pair]
    assert flat == sorted(set(flat))
    assert spans.total() == len(naive(one))
    assert bool(spans) == bool(naive(one))
    assert (spans.start, spans.end) == ((min(naive(one)), max(naive(one)) + 1) if spans else (None, None))


@given(pairs, pairs, pairs)
def test_union_intersection_and_difference_are_those_of_sets(
    one: list[tuple[int, int]], two: list[tuple[int, int]], three: list[tuple[int, int]]
) -> None:
    a, b, c = Spans.of(one), Spans.of(two), Spans.of(three)
    assert held(a.union(b, c)) == naive(one) | naive(two) | naive(three)
    assert held(a.intersect(b)) == naive(one) & naive(two)
    assert held(a.subtract(b)) == naive(one) - naive(two)
    assert a.intersect(b) == b.intersect(a)
    assert a.union(b) == b.union(a)
    assert a.intersect(b.union(c)) == a.intersect(b).union(a.intersect(c))
    assert a.subtract(b.union(c)) == a.subtract(b).subtract(c)


many = st.sets(instants, max_size=40).map(
    lambda edges: list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)
"""Spans that lie apart, up to twenty of them."""


@given(many, many)
def test_many_spans_and_few_are_laid_over_each_other_alike(
    one: list[tuple[int, int]], two: list[tuple[int, int]]
) -> None:
    a, b = Spans.of(one), Spans.of(two)
    both = Spans.of([(instant, instant + 1) for instant in naive(one) & naive(two)])
    assert a.intersect(b) == b.intersect(a) == both


@given(pairs, pairs, pairs)
def test_what_is_put_in_place_of_a_window_is_a_difference_and_a_union(
    one: list[tuple[int, int]], window: list[tuple[int, int]], inside: list[tuple[int, int]]
) -> None:
    put = Spans.of(one).put(Spans.of(window), Spans.of(inside))
    assert held(put) == naive(one) - naive(window) | naive(inside)
    assert put == Spans.of(put.tuples())


@given(pairs, instants, instants)
def test_what_is_held_and_its_gaps_tile_the_window(one: list[tuple[int, int]], start: int, end: int) -> None:
    spans = Spans.of(one)
    inside, gaps = spans.clip(start, end), spans.gaps(start, end)
    assert held(inside) == naive(one) & naive([(start, end)])
    assert held(gaps) == naive([(start, end)]) - naive(one)
    tiles = sorted([*inside.tuples(), *gaps.tuples()])
    assert [tile[0] for tile in tiles[1:]] == [tile[1] for tile in tiles[:-1]]
    ratio = spans.ratio(start, end)
    assert ratio == (inside.total() / (end - start) if start < end else None)


@given(pairs, tolerances)
def test_closing_gaps_fills_the_short_ones_alone(one: list[tuple[int, int]], tolerance: int) -> None:
    spans = Spans.of(one)
    short = [(a, b) for (_, a), (b, _) in zip(spans.tuples(), spans.tuples()[1:], strict=False) if b - a <= tolerance]
    assert held(spans.close_gaps(tolerance)) == held(spans) | naive(short)


@given(pairs, st.lists(instants, min_size=1, max_size=6).map(sorted), st.integers(-100, 100))
def test_counting_shifting_and_asking(one: list[tuple[int, int]], edges: list[int], by: int) -> None:
    spans, there = Spans.of(one), naive(one)
    array = np.array(edges, dtype=np.int64)
    assert list(spans.held_before(array)) == [len({i for i in there if i < edge}) for edge in edges]
    assert list(spans.held_between(array)) == [len(there & set(range(a, b))) for a, b in itertools.pairwise(edges)]
    assert held(spans.shift(by)) == {i + by for i in there}


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_an_instant_survives_millis_and_text_in_any_zone(naive_time: datetime, minutes: int) -> None:
    instant = naive_time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    millis = to_millis(instant)
    assert timedelta(0) <= instant - from_millis(millis) < timedelta(milliseconds=1)
    assert parse_instant(isoformat(millis)) == millis


def test_a_time_without_a_zone_is_no_instant() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        to_millis(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="needs a time zone"):
        parse_instant("2026-01-01T00:00:00")


def test_equal_sets_are_equal_and_hash_alike() -> None:
    one, two = Spans.of([(0, 5), (5, 9)]), Spans.of([(0, 9), (3, 3)])
    assert one == two
    assert hash(one) == hash(two)
    assert one != Spans.window(0, 8)
    assert Spans.of(np.array([[0, 9]])) == one
    assert isoformat(to_millis(datetime(2026, 1, 1, tzinfo=UTC)) + 7) == "2026-01-01T00:00:00.007Z"


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_an_instant_is_written_as_the_standard_library_writes_it(at: int) -> None:
    instant = from_millis(at)
    whole = instant.isoformat(timespec="milliseconds" if at % 1000 else "seconds")
    assert isoformat(at) == whole.replace("+00:00", "Z")
    assert parse_instant(isoformat(at)) == at
    assert isoformats(np.array([at, at // 1000 * 1000])) == [isoformat(at), isoformat(at // 1000 * 1000)]


@pytest.mark.parametrize("at", [-62_135_596_800_001, 253_402_300_800_000])
def test_an_instant_beyond_the_calendar_is_not_written(at: int) -> None:
    assert isoformats(np.empty(0, dtype=np.int64)) == []
    with pytest.raises(OverflowError):
        isoformat(at)
    with pytest.raises(OverflowError):
        isoformats(np.array([0, at]))


@pytest.mark.parametrize("at", [-62_135_596_800_001, 253_402_300_800_000, 10**18])
def test_an_instant_beyond_all_calendars_is_refused(at: int) -> None:
    with pytest.raises(OverflowError):
        isoformat(at)
