"""`python -m benchmarks.recorders`: seeded recorders of every make, read by the agent, held against an auditor's figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.recorders.run import Judged, judge
from support.recorder_rigs import RIGS, Rig


def main() -> int:
    """Judge so many recorders of each make; exit 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorders", description=__doc__)
    parser.add_argument("--recorders", type=int, default=300, help="of each make")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--make", help="this make alone")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.recorders)
    rigs = {rig.driver: rig for rig in RIGS if arguments.make in {None, rig.driver}}
    return 1 if sum([asyncio.run(report(rig, seeds)) for rig in rigs.values()]) else 0


async def report(rig: Rig, seeds: range) -> int:
    """Judge the recorders of one make, print what was found, and return how many were wrong."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found: list[Judged] = [await judge(rig, seed, Path(folder)) for seed in seeds]
    wrong = [one for one in found if one.wrong]
    for one in wrong:
        print(f"WRONG: {one.make} seed {one.seed}: {'; '.join(one.wrong)}")
    untold = [one.seed for one in found if one.untold]
    if untold:
        print(f"{rig.driver}: clips in a repeated hour, which the index doesn't tell apart: seeds {untold}")
    requests = sum(one.requests for one in found) / max(1, len(found))
    took = time.monotonic() - begun
    print(
        f"{rig.driver}: {len(found) - len(wrong)} of {len(found)} right, {requests:.0f} requests each, {took:.0f} s",
        flush=True,
    )
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
