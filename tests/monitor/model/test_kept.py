"""Indexes that are kept: the same to the millisecond as what is read anew, whatever changed; never more than may be kept."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.clock_offsets import clock_offsets
from monitor.model.kept import KeptIndexes, Name
from monitor.model.observation import Kind, Observation
from monitor.model.recordings import Index, read_recordings
from monitor.model.span import DAY, MINUTE, SECOND
from support.centre import NOW, instant

KEY = ("wj-0001", "gate")


@st.composite
def readings(draw: st.DrawFn) -> Observation:
    """A reading of an index with footage beyond its window, one that is no reading, or a refusal."""
    at = NOW + draw(st.integers(0, 30)) * MINUTE
    if draw(st.integers(0, 5)) == 0:
        return instant("camera/gate", Kind.RECORDINGS, at, {}, state=draw(st.sampled_from(["unknown", "read"])))
    low = draw(st.integers(0, 40))
    window = [NOW - DAY + low * MINUTE, NOW - DAY + (low + draw(st.integers(1, 40))) * MINUTE]
    edges = sorted(draw(st.sets(st.integers(-4, 90), max_size=10)))
    pairs = [[NOW - DAY + a * MINUTE, NOW - DAY + b * MINUTE] for a, b in zip(edges[::2], edges[1::2], strict=False)]
    cut = draw(st.integers(0, len(pairs)))
    return instant("camera/gate", Kind.RECORDINGS, at, {"window": window, "spans": pairs[:cut], "locked": pairs[cut:]})


many = st.lists(readings(), min_size=1, max_size=9, unique_by=lambda item: item.digest)


def in_order(items: list[Observation]) -> list[Observation]:
    return sorted(items, key=Observation.sort_key)


def names(items: list[Observation]) -> list[Name]:
    return [(item.start, item.digest) for item in items]


def through(kept: KeptIndexes, items: list[Observation]) -> tuple[Index, int]:
    """Return an index by way of what is kept, and how many readings had to be read for it."""
    by_name = dict(zip(names(items), items, strict=True))
    known, left = kept.known(KEY, list(by_name))
    if not left and known is not None:
        return known, 0
    later = Index.of([by_name[name] for name in left])
    index = later if known is None else known.then(later)
    kept.keep(KEY, list(by_name), index)
    return index, len(left)


@given(many, st.data())
def test_an_index_in_parts_is_that_of_the_whole(items: list[Observation], data: st.DataObject) -> None:
    items = in_order(items)
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(items) - 1)), max_size=3)) - {len(items)})
    edges = [0, *cuts, len(items)]
    first, *rest = [Index.of(items[a:b]) for a, b in pairwise(edges)]
    for part in rest:
        first = first.then(part)
    assert first == Index.of(items)
    clock = [
        instant("recorder/nvr", Kind.CLOCK, NOW + n * MINUTE, {"offset_seconds": data.draw(st.integers(-90, 90))})
        for n in range(data.draw(st.integers(0, 3)))
    ]
    until = NOW - DAY + data.draw(st.integers(0, 90)) * MINUTE
    assert first.facts(clock_offsets(clock), until) == read_recordings(items, clock_offsets(clock), until)


@given(many, st.data())
def test_what_is_kept_is_never_stale(items: list[Observation], data: st.DataObject) -> None:
    """Readings come in any order, go again, and are looked at as of any instant: an index is always that of its readings."""
    kept = KeptIndexes()
    there: list[Observation] = []
    for item in data.draw(st.permutations(items)):
        there = in_order([*there, item])
        if len(there) > 1 and data.draw(st.integers(0, 4)) == 0:
            there.remove(data.draw(st.sampled_from(there)))
        looked = there[: data.draw(st.integers(1, len(there)))]
        found, _ = through(kept, looked)
        assert found == Index.of(looked)


def test_only_what_is_new_is_read() -> None:
    kept = KeptIndexes()
    items = [reading_of(day) for day in range(5)]
    assert through(kept, items[:4])[1] == 4
    assert through(kept, items)[1] == 1
    assert through(kept, items)[1] == 0
    assert through(kept, items[1:])[1] == 4  # one was taken away


def test_a_look_at_the_past_drops_nothing_that_is_known_since() -> None:
    kept = KeptIndexes()
    items = [reading_of(day) for day in range(5)]
    through(kept, items)
    assert through(kept, items[:3])[1] == 3
    assert through(kept, items)[1] == 0


def test_no_more_is_kept_than_may_be() -> None:
    index = Index.of([reading_of(0, 500)])
    kept = KeptIndexes(most_bytes=200_000)
    for number in range(9):
        kept.keep(("wj-0001", f"c{number}"), [(NOW, "sha256:a")], index)
        assert 0 < kept.weight <= 200_000
    found = [number for number in range(9) if kept.known(("wj-0001", f"c{number}"), [(NOW, "sha256:a")])[0]]
    assert found == [7, 8]  # what was asked for longest goes first
    small = KeptIndexes(most_bytes=1000)
    small.keep(KEY, [(NOW, "sha256:a")], index)
    assert small.weight == 0


def test_parts_are_put_together_in_order_of_time_alone() -> None:
    first, second = Index.of([reading_of(0)]), Index.of([reading_of(1)])
    with pytest.raises(ValueError, match="in order of time"):
        second.then(first)
    with pytest.raises(ValueError, match="in order of time"):
        first.then(first)


def reading_of(day: int, count: int = 20) -> Observation:
    """A day's reading in pieces of half a minute."""
    start = NOW - 10 * DAY + day * DAY
    pairs = [[start + n * MINUTE, start + n * MINUTE + 30 * SECOND] for n in range(count)]
    content = {"window": [start, start + DAY], "spans": pairs, "locked": []}
    return instant("camera/gate", Kind.RECORDINGS, start + DAY, content)
