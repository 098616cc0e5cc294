"""B11: signed reports that the collector stores durably before it answers, beside pgbench writing the same rows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.intake import centre, pgbench
from benchmarks.intake.auditor import Audit
from benchmarks.intake.load import drive
from benchmarks.intake.reports import Sender, enrol
from benchmarks.intake.turn import LINES, Turn, prepared, word
from benchmarks.postgres import Server
from benchmarks.processes import cpu_seconds
from monitor.store.engine import open_engine

BARS = {1: (0.3, 1000.0), 16: (0.45, 1700.0)}
"""Reports a request: (times pgbench's reports a second, reports a second)."""


def bench(reports: int, runs: int, sites: int = 192) -> bool:
    """Print both sides, in turns, and the ratios; return whether every bar is reached."""
    reached = True
    with centre.postgres() as server, tempfile.TemporaryDirectory(prefix="cw-bench-") as name:
        url, other = centre.database(server, "centre"), centre.database(server, "other")
        engine, beside = open_engine(url), open_engine(other)
        senders = enrol(engine, sites)
        sample = enrol(beside, sites, "bench")[0]
        engine.dispose()
        beside.dispose()
        texts = {together: pgbench.script(sample, sites, together) for together in BARS}
        audit = Audit()
        with centre.collector(url, Path(name)) as collector:
            for together, (bar, floor) in BARS.items():
                ours, plain, batched = [], [], []
                for turn in range(runs):
                    plain.append(_pgbench(server, texts[1], reports, 1, 100 * together + turn))
                    if together > 1:
                        batched.append(_pgbench(server, texts[together], reports, together, 100 * together + turn + 50))
                    ours.append(_ours(server, collector, senders, reports, together, audit))
                reached &= _tell(together, ours, plain, batched, bar, floor)
        problems = audit.problems(server.url_of("centre"))
        for problem in problems:
            print(f"B11: WRONG: {problem}")
    return reached and not problems


def _pgbench(server: Server, text: str, reports: int, together: int, turn: int) -> Turn:
    centre.settled([server.pid])
    used = cpu_seconds([server.pid])
    count = max(LINES, reports // together) // LINES * LINES
    rate = pgbench.run(server, "other", text, count, turn)
    return Turn(count * together, count / rate, {"PostgreSQL": cpu_seconds([server.pid]) - used})


def _ours(
    server: Server, collector: centre.Collector, senders: list[Sender], reports: int, together: int, audit: Audit
) -> Turn:
    lanes = prepared(senders, reports, together)
    centre.settled([server.pid, collector.process.pid])
    server_cpu, collector_cpu = cpu_seconds([server.pid]), collector.cpu_seconds()
    driven = drive(collector.port, lanes)
    cpu = {
        "collector": collector.cpu_seconds() - collector_cpu,
        "PostgreSQL": cpu_seconds([server.pid]) - server_cpu,
        "load": driven.cpu_seconds,
    }
    audit.answered(driven)
    return Turn(driven.reports, driven.seconds, cpu, driven.quantile(0.99))


def _tell(together: int, ours: list[Turn], plain: list[Turn], batched: list[Turn], bar: float, floor: float) -> bool:
    print(f"B11, {together} a request")
    for name, turns in (("pgbench, one a transaction", plain), (f"pgbench, {together} a transaction", batched)):
        for turn in turns:
            print(f"  {name:28} {turn.rate:8.0f} reports/s; ms of CPU a report: {turn.each}")
    for turn in ours:
        print(f"  {'collector':28} {turn.rate:8.0f} reports/s, p99 {1000 * turn.p99:.0f} ms; ms of CPU: {turn.each}")
    ratio = median(one.rate / other.rate for one, other in zip(ours, plain, strict=True))
    rate = median(turn.rate for turn in ours)
    good = ratio >= bar and rate >= floor
    print(
        f"  {ratio:.2f} times pgbench (bar {bar:.2f}), {rate:.0f} reports/s (bar {floor:.0f}): {word(reached=good)}",
        flush=True,
    )
    return good
