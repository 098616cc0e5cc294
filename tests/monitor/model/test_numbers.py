"""Sets of numbers as ranges are what Python's sets are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.model.numbers import Numbers

SETS = st.sets(st.integers(1, 30))


def numbers(items: set[int]) -> Numbers:
    return Numbers.of((item, item) for item in items)


@given(SETS, SETS, st.integers(1, 31))
def test_ranges_are_the_set_that_they_stand_for(one: set[int], other: set[int], number: int) -> None:
    left, right = numbers(one), numbers(other)
    assert len(left) == len(one)
    assert Numbers.of_series(sorted(one)) == left
    assert Numbers.parse(str(left)) == left
    assert left | right == numbers(one | other)
    assert left - right == numbers(one - other)
    assert left & right == numbers(one & other)
    assert left.count_in(number // 2, number) == len(one & set(range(number // 2, number + 1)))
    first, last = left.run_to(number)
    assert last == number
    assert not one & set(range(first, last + 1))
    assert first == 1 or first - 1 in one or number in one


def test_a_range_that_ends_before_it_begins_is_none() -> None:
    assert Numbers.of([(5, 4), (2, 3), (4, 4)]) == Numbers(((2, 4),))
    assert str(Numbers.parse("7-9,1")) == "1,7-9"
