"""`python -m benchmarks.soak`: an hour of cameras that die, freeze, blacken and return, and the journal held against it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.soak.plan import REAL
from benchmarks.soak.run import Soak, judge, play


def main() -> int:
    """Play the soak; exit 1 when the journal differs from the script or something grows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, help="a folder for the journal, the log and the readings; else they are removed"
    )
    arguments = parser.parse_args()
    soak = Soak(arguments.cameras, arguments.minutes * 60, REAL, arguments.seed)
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        return report(soak, arguments.keep)
    with tempfile.TemporaryDirectory() as folder:
        return report(soak, Path(folder))


def report(soak: Soak, folder: Path) -> int:
    """Play it, print what was found, and return the exit status."""
    print(f"{soak.cameras} cameras, {soak.seconds / 60:g} minutes, seed {soak.seed}", flush=True)
    judged = judge(soak, play(soak, folder))
    print("\n".join(judged.lines))
    for wrong in judged.wrong:
        print(f"WRONG: {wrong}")
    return 1 if judged.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
