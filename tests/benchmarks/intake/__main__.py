"""`python -m benchmarks.intake`: what taking reports in costs beside the bare database or disk; exit 1 when a bar is missed."""

from __future__ import annotations

import argparse
import sys

from benchmarks.intake import backlog, enqueue, signed, small

BENCHES = {"B10": enqueue.bench, "B11": signed.bench, "B12": backlog.bench, "B13": small.bench}


def main() -> int:
    """Run those asked for; both sides of each are printed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intake", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES))
    parser.add_argument("--reports", type=int, default=12_000, help="of each side in each turn")
    parser.add_argument("--runs", type=int, default=3, help="turns of each side")
    arguments = parser.parse_args()
    reached = [BENCHES[name](arguments.reports, arguments.runs) for name in arguments.only]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
