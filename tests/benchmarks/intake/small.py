"""B13: the collector on SQLite, two hundred sites, beside raw executemany in the same file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.intake import centre, raw
from benchmarks.intake.auditor import Audit
from benchmarks.intake.load import drive
from benchmarks.intake.reports import Sender, enrol
from benchmarks.intake.turn import Turn, prepared, word
from monitor.store.engine import open_engine

BAR = 0.3


def bench(reports: int, runs: int, sites: int = 200) -> bool:
    """Print both sides, in turns, with one and with sixteen reports a commit; return whether the bar is reached."""
    reached = True
    with tempfile.TemporaryDirectory(prefix="cw-bench-") as name:
        file = Path(name) / "centre.db"
        url = f"sqlite:///{file}"
        centre.migrated(url)
        engine = open_engine(url)
        senders, others = enrol(engine, sites), enrol(engine, sites, "bench")
        engine.dispose()
        sample, audit = others[0].envelope(), Audit()
        with centre.collector(url, Path(name)) as collector:
            for together in (1, 16):
                sides = []
                for turn in range(runs):
                    rounds = max(1, reports // together // sites)
                    first = (together * 100 + turn) * 100_000
                    took = raw.write(file, [sender.institution for sender in others], sample, together, rounds, first)
                    sides.append(
                        (rounds * sites * together / took, _ours(collector, senders, reports, together, audit))
                    )
                reached &= _tell(together, sides)
        problems = audit.problems(url)
    for problem in problems:
        print(f"B13: WRONG: {problem}")
    return reached and not problems


def _ours(collector: centre.Collector, senders: list[Sender], reports: int, together: int, audit: Audit) -> Turn:
    lanes = prepared(senders, reports, together)
    centre.settled([collector.process.pid])
    before = collector.cpu_seconds()
    driven = drive(collector.port, lanes)
    audit.answered(driven)
    cpu = {"collector": collector.cpu_seconds() - before, "load": driven.cpu_seconds}
    return Turn(driven.reports, driven.seconds, cpu, driven.quantile(0.99))


def _tell(together: int, sides: list[tuple[float, Turn]]) -> bool:
    print(f"B13, {together} a request and a commit")
    for bare, turn in sides:
        print(
            f"  executemany {bare:8.0f} reports/s; collector {turn.rate:8.0f} reports/s,"
            f" p99 {1000 * turn.p99:.0f} ms; ms of CPU: {turn.each}"
        )
    ratio = median(turn.rate / bare for bare, turn in sides)
    print(f"  {ratio:.2f} times executemany (bar {BAR:.2f}): {word(reached=ratio >= BAR)}", flush=True)
    return ratio >= BAR
