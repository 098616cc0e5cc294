"""The forecast beside recorders whose future is known: a queue of hours, played on until it breaks or doesn't."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.evaluation.forecast import HORIZON_DAYS, Forecast, Pool, forecast

FIRST = date(2026, 1, 1)
NEED = 90


@dataclass
class Recorder:
    """A recorder that overwrites its oldest hour, and the bytes that each camera writes each hour."""

    capacity: float
    cameras: dict[str, np.ndarray] = field(default_factory=dict)

    def held_hours(self, day: int) -> int:
        """Return how many whole hours are still there at the beginning of `day`: the newest that fit."""
        total = np.sum(list(self.cameras.values()), axis=0)[: day * 24]
        back = np.cumsum(total[::-1])
        return int(np.searchsorted(back, self.capacity, side="right"))

    def held_days(self, day: int) -> int:
        """Return the days of which nine tenths are there, without those before the recorder's first hour."""
        total = np.sum(list(self.cameras.values()), axis=0)[: day * 24]
        written = int((total > 0).sum())
        return int((min(self.held_hours(day), written) + 2.4) // 24)

    def pool(self, day: int, *, lost_share: float = 0.0) -> Pool:
        """Return what an index of the beginning of `day` lists."""
        hours = self.held_hours(day)
        cameras = {}
        for name, written in self.cameras.items():
            there = written[: day * 24].copy()
            there[: max(0, day * 24 - hours)] = 0
            cameras[name] = there.reshape(-1, 24).sum(axis=1)
        overwriting = bool(hours < int((np.sum(list(self.cameras.values()), axis=0)[: day * 24] > 0).sum()))
        return Pool(FIRST, cameras, self.capacity, overwriting, lost_share)

    def breaks_after(self, day: int) -> int | None:
        """Return the first day from `day` on that begins with fewer than the required days."""
        last = len(next(iter(self.cameras.values()))) // 24
        return next((d for d in range(day, last) if self.held_days(d) < NEED), None)


DAYS = 420
CHANGE = 200


def rates(seed: random.Random, level: float) -> np.ndarray:
    """Return a camera's bytes of each hour: less by night and at weekends, and never twice the same."""
    noise = np.random.default_rng(seed.randrange(2**32))
    hours = np.arange(DAYS * 24)
    by_day = np.where((hours // 24) % 7 >= 5, 0.8, 1.0) * np.where((hours % 24 < 7) | (hours % 24 > 19), 0.6, 1.0)
    return np.asarray(level * by_day * noise.uniform(0.9, 1.1, len(hours)))


def recorder(seed: random.Random, days: float, cameras: int = 4) -> Recorder:
    """Return a recorder that holds `days` at its rate."""
    made = {f"c{n}": rates(seed, seed.uniform(0.5, 2.0)) for n in range(cameras)}
    daily = sum(line[: CHANGE * 24].mean() * 24 for line in made.values())
    return Recorder(float(daily * days), made)


def off_by(found: Forecast | None, truth: int) -> int:
    assert found is not None
    assert found.breaks_on is not None
    return (found.breaks_on - FIRST).days - truth


@pytest.mark.parametrize("seed", range(20))
def test_a_higher_rate_is_foretold_within_days_and_before_it_breaks(seed: int) -> None:
    chance = random.Random(seed)
    one = recorder(chance, chance.uniform(97, 130))
    factor = chance.uniform(1.5, 2.5)
    for line in one.cameras.values():
        line[CHANGE * 24 :] *= factor
    truth = one.breaks_after(CHANGE)
    assert truth is not None
    looked = CHANGE + 4  # three full days of the new rate, and one to be sure of a weekend's end
    found = forecast(one.pool(looked), NEED)
    if truth <= looked:
        return
    assert abs(off_by(found, truth)) <= max(2, round(0.2 * (truth - looked)))
    assert found is not None
    assert found.cause == "bit_rate_up"
    assert found.earliest is not None
    assert (found.earliest - FIRST).days <= truth + 1


@pytest.mark.parametrize("seed", range(12))
def test_a_camera_that_is_added_is_the_cause(seed: int) -> None:
    chance = random.Random(seed)
    one = recorder(chance, chance.uniform(95, 110), cameras=3)
    new = rates(chance, 2.0)
    new[: CHANGE * 24] = 0
    one.cameras["new"] = new
    truth = one.breaks_after(CHANGE)
    assert truth is not None
    found = forecast(one.pool(CHANGE + 4), NEED)
    assert found is not None
    assert found.cause == "camera_added"
    assert abs(off_by(found, truth)) <= max(3, round(0.25 * (truth - CHANGE - 4)))


@pytest.mark.parametrize("seed", range(20))
def test_a_steady_recorder_is_never_said_to_break(seed: int) -> None:
    """A false warning sends somebody out for nothing."""
    chance = random.Random(seed)
    one = recorder(chance, chance.uniform(94, 180))
    for day in range(CHANGE, DAYS - HORIZON_DAYS, 11):
        found = forecast(one.pool(day), NEED)
        assert found is not None
        assert one.breaks_after(day) is None
        assert found.breaks_on is None, f"on day {day}"
        assert found.reaches


def test_a_new_recorder_reaches_the_days_or_is_too_small() -> None:
    chance = random.Random(3)
    for days, reaches in ((140.0, True), (60.0, False)):
        one = recorder(chance, days)
        for line in one.cameras.values():
            line[: (CHANGE - 20) * 24] = 0
        found = forecast(one.pool(CHANGE), NEED)
        assert found is not None
        assert found.reaches is reaches
        if not reaches:
            assert found.cause == "capacity_too_small"
            assert found.breaks_on is not None
            assert 25 <= (found.breaks_on - FIRST).days - CHANGE <= 50, "when it is full, 60 days after its first"


def test_lost_capacity_is_foretold_before_footage_is_gone() -> None:
    one = recorder(random.Random(5), 120)
    found = forecast(one.pool(CHANGE, lost_share=0.5), NEED)
    assert found is not None
    assert found.cause == "capacity_lost"
    assert found.breaks_on == FIRST + timedelta(days=CHANGE)


def test_too_little_is_no_ground_for_a_forecast() -> None:
    assert forecast(Pool(FIRST, {}), NEED) is None
    assert forecast(Pool(FIRST, {"c": np.array([5.0, 5.0])}), NEED) is None
    assert forecast(Pool(FIRST, {"c": np.array([5.0, 5.0, 5.0, 0.0])}), NEED) is None, "yesterday was not recorded"
    growing = Pool(FIRST, {"c": np.full(30, 5.0)}, capacity_bytes=None, overwriting=False)
    assert forecast(growing, NEED) is None, "nobody says how much it can hold"


@given(
    st.lists(st.floats(0, 1e15), min_size=0, max_size=150),
    st.floats(1, 1e18),
    st.booleans(),
    st.floats(0, 1),
    st.integers(1, 400),
)
def test_any_history_gives_a_forecast_in_order_or_none(
    days: list[float], capacity: float, overwriting: bool, lost: float, need: int
) -> None:
    found = forecast(Pool(FIRST, {"c": np.array(days)}, capacity, overwriting, lost), need)
    if found is None:
        return
    assert (found.breaks_on is None) == (found.cause is None)
    if found.breaks_on is not None:
        assert found.earliest is not None
        assert found.earliest <= found.breaks_on
        assert found.latest is None or found.breaks_on <= found.latest
