"""`python -m benchmarks.retention`: judging ninety days of one-minute segments beside one plain pass of numpy."""

from __future__ import annotations

import argparse
import sys

from benchmarks.retention.run import measure

MOST = 4.0
"""Times a plain pass, at most."""


def main() -> int:
    """Print both sides; exit 1 when judging costs too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--days", type=int, default=90)
    arguments = parser.parse_args()
    found = measure(arguments.cameras, arguments.days)
    print(
        f"{arguments.cameras} cameras, {arguments.days} days, {found.rows:,} segments; seconds of CPU, the best of five"
    )
    print(f"a plain pass of numpy   {found.plain:8.3f}")
    print(f"judged                  {found.judged:8.3f}   {found.times:.2f} times the plain pass")
    return 1 if found.times > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
