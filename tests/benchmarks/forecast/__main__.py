"""`python -m benchmarks.forecast`: recorders whose future is known, what is foretold of them, the error, false alarms."""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median

from benchmarks.forecast.run import Told, foretold
from benchmarks.forecast.truth import KINDS, recorder_of

SETTLED = 4
"""Days after a change from which on it has lasted three whole days: before that no forecast can know it."""


def main() -> int:
    """Foretell so many recorders of each kind and print how right it was; exit 1 for a false alarm or a missed breach."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("--recorders", type=int, default=20, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kind", choices=KINDS, help="this kind alone")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.recorders)
    print(
        "error in days (late: +) of the first date named, and of the first one after four days of the change; least..median..most"
    )
    print(f"{'change':<18} recorders break in-time  warned  days-ahead   error-first  error-settled  in-bounds  false")
    wrong = 0
    for kind in KINDS:
        if arguments.kind in {None, kind}:
            begun = time.process_time()
            told = [foretold(recorder_of(kind, seed)) for seed in seeds]
            wrong += report(kind, told, time.process_time() - begun)
    return 1 if wrong else 0


def report(kind: str, told: list[Told], took: float) -> int:
    """Print one kind's line; return how many were warned of wrongly, or not in time though there was time."""
    breaking = [one for one in told if one.recorder.breaks_on is not None]
    in_time = [one for one in breaking if _breaks(one) > one.recorder.changes_on + SETTLED]
    warned = [one for one in in_time if one.first_warning is not None and one.first_warning < _breaks(one)]
    false = [one for one in told if one.false_days]
    settled = [one for one in in_time if _settled(one) is not None]
    print(
        f"{kind:<18} {len(told):>9} {len(breaking):>5} {len(in_time):>7} {len(warned):>7} "
        f"{_spread([_breaks(one) - (one.first_warning or 0) for one in warned]):>11} "
        f"{_spread([one.dates[one.first_warning or 0][0] - _breaks(one) for one in warned]):>13} "
        f"{_spread([one.dates[_settled(one) or 0][0] - _breaks(one) for one in settled]):>14} "
        f"{f'{sum(map(in_bounds, settled)) / len(settled):.0%}' if settled else '-':>10} {len(false):>6}   ({took:.0f} s of CPU)",
        flush=True,
    )
    return len(false) + len(in_time) - len(warned)


def in_bounds(one: Told) -> bool:
    """Tell whether the day lay between the bounds that were given four days after the change."""
    _, low, high, _ = one.dates[_settled(one) or 0]
    return (low is None or low <= _breaks(one)) and (high is None or _breaks(one) <= high)


def _settled(one: Told) -> int | None:
    """Return the first day after the change has settled that named a date."""
    return next((day for day in sorted(one.dates) if day >= one.recorder.changes_on + SETTLED), None)


def _breaks(one: Told) -> int:
    assert one.recorder.breaks_on is not None
    return one.recorder.breaks_on


def _spread(values: list[int]) -> str:
    return f"{min(values)}..{median(values):g}..{max(values)}" if values else "-"


if __name__ == "__main__":
    sys.exit(main())
