"""A few recorders whose future is known: warned of in time, within days, and never for nothing."""

from __future__ import annotations

import pytest

from benchmarks.forecast.run import foretold
from benchmarks.forecast.truth import recorder_of


@pytest.mark.parametrize("kind", ["bit_rate_up", "frame_rate_up", "camera_added"])
def test_a_breach_is_foretold_before_it_comes(kind: str) -> None:
    told = foretold(recorder_of(kind, 2))
    breaks = told.recorder.breaks_on
    assert breaks is not None
    assert not told.false_days
    assert told.first_warning is not None
    assert told.first_warning < breaks
    named, low, _, _ = told.dates[breaks - 1]
    assert abs(named - breaks) <= 1
    assert low is not None
    assert low <= breaks


@pytest.mark.parametrize("kind", ["steady", "weekends", "holidays", "rises_within_room"])
def test_nothing_is_foretold_where_nothing_breaks(kind: str) -> None:
    told = foretold(recorder_of(kind, 1), step=20)
    assert told.recorder.breaks_on is None
    assert told.dates == {}
