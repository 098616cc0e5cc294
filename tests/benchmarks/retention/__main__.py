"""`python -m benchmarks.retention`: judging ninety days of one-minute segments beside one plain pass of numpy."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.retention.agent_day import measure_agent_day
from benchmarks.retention.new_day import measure_new_day
from benchmarks.retention.run import measure

MOST = 4.0
"""Times a plain pass, at most."""

MOST_OF_WHOLE = 0.02
"""What a new day may cost of all days, from readings to verdicts."""


def main() -> int:
    """Print both sides; exit 1 when judging costs too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--runs", type=int, default=1, help="so often a new day is measured: each has to hold")
    arguments = parser.parse_args()
    found = measure(arguments.cameras, arguments.days)
    print(
        f"{arguments.cameras} cameras, {arguments.days} days, {found.rows:,} segments; seconds of CPU, the best of five"
    )
    print(f"a plain pass of numpy   {found.plain:8.3f}")
    print(f"judged                  {found.judged:8.3f}   {found.times:.2f} times the plain pass")
    shares = [_new_day(arguments.cameras, arguments.days, found.plain) for _ in range(arguments.runs)]
    return 1 if found.times > MOST or max(map(max, shares)) > MOST_OF_WHOLE else 0


def _new_day(cameras: int, days: int, plain: float) -> tuple[float, float]:
    """Measure a new day at the centre and on site, print both, and return their shares of the whole."""
    day = measure_new_day(cameras, days)
    print(f"the centre, from readings to verdicts: all {days} days {day.whole:.3f}")
    print(
        f"one new day, the others kept {day.new_day:10.3f}   {day.share:.2%} of all, {day.new_day / plain:.2f} plain passes"
    )
    print(f"  of it facts and judging {day.judged:13.3f}")
    print(f"kept for it, MB {day.kept / 1e6:23.1f}")
    with tempfile.TemporaryDirectory() as folder:
        site = measure_agent_day(Path(folder), cameras, days)
    print(f"the agent, from its journal to verdicts: all {days} days {site.whole:.3f}")
    print(f"one new day, the others kept {site.new_day:10.3f}   {site.share:.2%} of all")
    print(f"kept for it, MB {site.kept / 1e6:23.1f}")
    return day.share, site.share


if __name__ == "__main__":
    sys.exit(main())
