"""Both sides of the benchmark run, over few cameras: judging is no multiple of a plain pass."""

from __future__ import annotations

from pathlib import Path

from benchmarks.retention.agent_day import measure_agent_day
from benchmarks.retention.new_day import measure_new_day
from benchmarks.retention.run import measure


def test_judging_costs_little_more_than_a_plain_pass() -> None:
    found = measure(cameras=4, runs=5)
    assert found.rows > 4 * 129_000
    # Four cameras have the fixed costs of sixty-four: the bar of the whole benchmark is 4.
    assert found.times < 12


def test_a_new_day_costs_little_of_all_days() -> None:
    found = min((measure_new_day(cameras=1, days=30) for _ in range(3)), key=lambda run: run.share)
    # One camera of thirty days: the day alone is a thirtieth, and the fixed costs are those of sixty-four.
    assert found.share < 0.15
    assert 600_000 < found.kept < 1_500_000


def test_on_site_a_new_day_costs_little_of_all_days(tmp_path: Path) -> None:
    found = measure_agent_day(tmp_path, cameras=1, days=30)
    assert found.share < 0.25
    assert 600_000 < found.kept < 1_500_000
