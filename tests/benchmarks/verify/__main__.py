"""`python -m benchmarks.verify`: `collector verify` over a district, with one process and with several, in turns."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.verify.district import make_district

PROGRAM = Path(sys.executable).with_name("cradlewatch")


@dataclass(frozen=True)
class Run:
    """What one check took."""

    wall: float
    cpu: float
    """Of all its processes."""
    said: str


def main() -> int:
    """Print each run and the medians; exit 1 when the runs don't say the same, or find anything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verify", description=__doc__)
    parser.add_argument("--institutions", type=int, default=10)
    parser.add_argument("--reports", type=int, default=500, help="of each institution, an hour apart")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[int, list[Run]] = {jobs: [] for jobs in arguments.jobs}
    with tempfile.TemporaryDirectory(prefix="cradlewatch-bench-verify-") as folder:
        url = f"sqlite:///{folder}/cradlewatch.db"
        rows = make_district(url, arguments.institutions, arguments.reports)
        size = (Path(folder) / "cradlewatch.db").stat().st_size
        print(
            f"{arguments.institutions} institutions, {arguments.reports} reports each, {rows:,} rows of the ledger, {size / 1e6:.0f} MB"
        )
        for _ in range(arguments.runs):
            for jobs, runs in found.items():
                runs.append(_run(url, jobs))
                print(f"--jobs {jobs}: {runs[-1].wall:7.2f} s, {runs[-1].cpu:7.2f} s of CPU")
    first = next(iter(found.values()))
    for jobs, runs in found.items():
        wall, cpu = median(run.wall for run in runs), median(run.cpu for run in runs)
        times = median(one.wall / run.wall for one, run in zip(first, runs, strict=True))
        print(
            f"--jobs {jobs}: median {wall:.2f} s, {cpu:.2f} s of CPU; {times:.2f} times as quick as --jobs {arguments.jobs[0]} in the median pair"
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"the largest process held {peak / 1024:.0f} MB")
    return 0 if len({run.said for runs in found.values() for run in runs}) == 1 else 1


def _run(url: str, jobs: int) -> Run:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [str(PROGRAM), "collector", "verify", "--jobs", str(jobs)]
    environment = {**os.environ, "CRADLEWATCH_DATABASE_URL": url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(time.monotonic() - began, cpu, done.stdout)


if __name__ == "__main__":
    sys.exit(main())
