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
"""Requests on the wire for each channel and hour, at most."""


def main() -> int:
    """Count a day of each make and print it; exit 1 where a recorder is asked too often."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requests", description=__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 2, 4, 16])
    arguments = parser.parse_args()
    print("questions / requests on the wire; the last two columns for each channel and hour")
    print("make        channels   first scan         look     settings        index        all  questions   wire")
    worst = 0.0
    for channels in arguments.channels:
        for rig in RIGS:
            with tempfile.TemporaryDirectory() as folder:
                found = asyncio.run(counted(rig, Path(folder), channels))
            day = found.day
            worst = max(worst, found.a_channel_and_hour(day.wire))
            parts = (found.first_scan, found.look, found.settings, found.index, day)
            print(
                f"{found.make:<12} {channels:>7}",
                *(f"{f'{part.questions} / {part.wire}':>12}" for part in parts),
                f"{found.a_channel_and_hour(day.questions):>9.2f} {found.a_channel_and_hour(day.wire):>6.2f}",
                flush=True,
            )
    return 1 if worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
