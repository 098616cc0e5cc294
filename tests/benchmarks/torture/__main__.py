"""`python -m benchmarks.torture`: kills, power cuts, failing disks, damaged files, clock trouble, lines that fail, orders, forgeries; exit 1 when anything is lost or false."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from benchmarks.torture import (
    agent_kills,
    centre_kills,
    clocks,
    faults,
    forged,
    full,
    mutants,
    orders,
    overload,
    partitions,
    power,
)


@dataclass(frozen=True)
class Test:
    """One of them: what it does with (runs, seed), and how many runs its long form has (0: all there are)."""

    torture: Callable[[int, int], list[str]]
    runs: int


TESTS = {
    "F1": Test(agent_kills.torture, 1000),
    "F2": Test(centre_kills.torture, 400),
    "F3": Test(power.torture, 0),
    "F4": Test(faults.torture, 0),
    "F5": Test(full.torture, 50),
    "F6": Test(mutants.torture, 10_000),
    "F7": Test(clocks.torture, 500),
    "F8": Test(partitions.torture, 500),
    "F9": Test(orders.torture, 10_000),
    "F10": Test(overload.torture, 10_000),
    "F13": Test(forged.torture, 100_000),
}


def main() -> int:
    """Run those asked for, print what each did and what it found, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--runs", type=int, help="instead of each one's long form")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    quiet()
    wrong = 0
    for name in arguments.only:
        began = time.monotonic()
        test = TESTS[name]
        problems = test.torture(test.runs if arguments.runs is None else arguments.runs, arguments.seed)
        print(f"{name}: {len(problems)} problems, {time.monotonic() - began:.0f} s", flush=True)
        for problem in problems[:20]:
            print(f"{name}: WRONG: {problem}", flush=True)
        wrong += len(problems)
    return 1 if wrong else 0


def quiet() -> None:
    """Keep what the tortured parts complain of out of the figures."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
