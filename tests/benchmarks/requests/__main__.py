"""`python -m benchmarks.requests`: how often a healthy recorder of each make is asked in a day, for each channel and hour."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.requests.run import counted
from support.recorder_rigs import RIGS

MOST = 4.0
"""Requests for each channel and hour, at most."""


def main() -> int:
    """Count a day of each make and print it; exit 1 where a recorder is asked too often."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests", description=__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[4, 16])
    arguments = parser.parse_args()
    print("make        channels  look  settings  index  a channel and hour  with challenges  first scan")
    worst = 0.0
    for channels in arguments.channels:
        for rig in RIGS:
            with tempfile.TemporaryDirectory() as folder:
                found = asyncio.run(counted(rig, Path(folder), channels))
            rate = found.a_channel_and_hour
            worst = max(worst, rate)
            print(
                f"{found.make:<12} {channels:>7} {found.look:>5} {found.settings:>9} {found.index:>6} {rate:>19.2f} "
                f"{2 * rate:>16.2f} {found.first_scan:>11}",
                flush=True,
            )
    return 1 if worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
