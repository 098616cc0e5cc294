"""Both sides of the benchmark run, over few cameras: judging is no multiple of a plain pass."""

from __future__ import annotations

from benchmarks.retention.run import measure


def test_judging_costs_little_more_than_a_plain_pass() -> None:
    found = measure(cameras=4, runs=5)
    assert found.rows > 4 * 129_000
    # Four cameras have the fixed costs of sixty-four: the bar of the whole benchmark is 4.
    assert found.times < 12
