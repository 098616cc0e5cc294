"""Which readings of a recorder's clock come to the same as all of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.clock_offsets import clock_offsets, offset_seconds, telling
from monitor.model.observation import Kind, Observation
from monitor.model.span import HOUR
from support.centre import NOW, instant

SAID: Any = st.sampled_from([0, 1, 1.9, 2.1, 3.5, 4.2, -2, 3600, 3601, -1.8e9, "no number", True, None, 1e300])


def readings(said: list[Any]) -> list[Observation]:
    return [instant("recorder/nvr", Kind.CLOCK, NOW + at * HOUR, {"offset_seconds": it}) for at, it in enumerate(said)]


def told(seen: list[Observation]) -> list[Observation]:
    found = telling((offset_seconds(item), item) for item in seen)
    return sorted({item.digest: item for item in found}.values(), key=lambda item: item.start)


@given(st.lists(SAID, max_size=30))
def test_fewer_readings_come_to_the_same_offsets(said: list[Any]) -> None:
    seen = readings(said)
    few = told(seen)
    assert clock_offsets(few) == clock_offsets(seen)
    assert few[:1] + few[-1:] == seen[:1] + seen[-1:]
    assert len(few) <= 2 * len(clock_offsets(seen)) + 2


@pytest.mark.parametrize(("said", "few"), [([0] * 500, 2), ([1] * 200 + [70] * 200 + [0.5] * 100, 6), ([], 0)])
def test_of_each_offset_two_readings_are_left(said: list[Any], few: int) -> None:
    assert len(told(readings(said))) == few
