"""Plays the demonstration several times over and holds each list of findings against what was planted."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


def main() -> int:
    """Print a line a run; return 1 when any of them differed."""
    parser = argparse.ArgumentParser(prog="benchmarks.demo", description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    print("run    exit  planted  found  seconds  load", flush=True)
    wrong = 0
    for number in range(1, runs + 1):
        began, load = time.monotonic(), Path("/proc/loadavg").read_text().split()[0]
        done = subprocess.run(
            [Path(sys.executable).with_name("cradlewatch"), "demo", "--duration", "60", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        told = json.loads(done.stdout or '{"planted": [], "findings": []}')
        planted, found = (Counter(map(_key, told[name])) for name in ("planted", "findings"))
        good = done.returncode == 0 and planted == found and bool(planted)
        wrong += not good
        seconds = time.monotonic() - began
        print(
            f"{number:3}  {done.returncode:6} {planted.total():8} {found.total():6} {seconds:8.0f}  {load}", flush=True
        )
        if not good:
            print("".join(line + "\n" for line in done.stderr.splitlines()[-40:]), flush=True)
    print(f"{runs - wrong} of {runs} equal")
    return 1 if wrong else 0


def _key(item: dict[str, Any]) -> tuple[str, str, str, str, str]:
    subject = item["subject"]
    return item["institution"], item["requirement"], subject["kind"], subject["id"], item["state"]


if __name__ == "__main__":
    sys.exit(main())
