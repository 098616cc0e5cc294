"""`python -m benchmarks.files`: a tree of recorded files scanned beside a bare walk of it, and killed in its first scan."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.files.run import LAYOUTS, Measured, measure

MOST = 1.5
"""Times a bare walk, at most."""


def main() -> int:
    """Print both sides; exit 1 when a scan of the known tree costs too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--layout", choices=tuple(LAYOUTS), nargs="+", default=["nested", "flat"])
    parser.add_argument("--under", type=Path, help="where to put the tree (some 4 GB) for the while")
    arguments = parser.parse_args()
    worst = 0.0
    for layout in arguments.layout:
        with tempfile.TemporaryDirectory(dir=arguments.under) as folder:
            found = measure(Path(folder), layout, arguments.cameras, arguments.days)
            worst = max(worst, found.times)
            tell(layout, arguments.cameras, arguments.days, found)  # before the tree is removed, which takes minutes
    return 1 if worst > MOST else 0


def tell(layout: str, cameras: int, days: int, found: Measured) -> None:
    """Print what was measured."""
    print(f"{layout}: {cameras} cameras, {days} days, {found.files:,} files; seconds of CPU, the best of five")
    print(f"a bare walk (os.scandir)   {found.bare:8.3f}")
    print(f"scanned, once known        {found.known:8.3f}   {found.times:.2f} times the bare walk")
    print(f"one file new, one gone     {found.moved_on:8.3f}   {found.moved_on / found.bare:.2f} times; of each camera")
    print(
        f"the first scan, killed with -9 after {found.killed_after:,} files: {found.first_seconds:.1f} s in all, "
        f"{found.killed_after + found.looked_into - found.files:,} files looked into twice",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
