"""B12: what agents kept through an outage, drained into the collector, beside COPY by the server itself; live reports meanwhile."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.intake import centre
from benchmarks.intake.auditor import Audit
from benchmarks.intake.load import Driven, Lane, drive
from benchmarks.intake.reports import CAMERAS, Sender, enrol
from benchmarks.intake.turn import prepared, word
from benchmarks.postgres import Server
from monitor.store.engine import open_engine

BAR = 0.2
TOGETHER = 16
"""Reports a request: what an agent's sender puts into one."""
ROWS = 1 + CAMERAS
"""That a report writes: its own, and each camera's stretch."""
LIVE_SITES = 16
LIVE_EVERY = 0.5
"""Seconds between two reports of a site that had no outage."""
LIVE_IDLE = 20
"""So many of each such site are timed while nothing else comes in."""
GUESS = 400
"""Reports a second, by which live reports are prepared: they are to come in as long as the drain takes."""

_SITES = "institution_id NOT LIKE 'live-%'"
_SPANS = (
    "SELECT s.institution_id, s.kind, s.subject_kind, s.subject_id, s.lane, r.sequence, r.sequence + 1, s.newest, s.lasting"
    f" FROM report AS r JOIN span AS s ON s.institution_id = r.institution_id WHERE r.{_SITES}"
)


@dataclass(frozen=True)
class Drained:
    """One turn of the collector's side."""

    reports: int
    seconds: float
    """Until the last report of the backlog was answered."""
    live: list[float]
    """How long each live report took that was answered until then."""


def bench(reports: int, runs: int, sites: int = 200) -> bool:
    """Print both sides, in turns, and how long live reports took; return whether the bar is reached."""
    audit, drained, copied = Audit(), [], []
    with centre.postgres() as server, tempfile.TemporaryDirectory(prefix="cw-bench-") as name:
        url = centre.database(server, "centre")
        engine = open_engine(url)
        senders, others = enrol(engine, sites), enrol(engine, LIVE_SITES, "live")
        engine.dispose()
        with centre.collector(url, Path(name)) as collector:
            centre.settled([server.pid, collector.process.pid])
            idle = drive(collector.port, _live(others, LIVE_IDLE))
            audit.answered(idle)
            for _ in range(runs):
                drained.append(_drain(collector, senders, others, reports, audit))
                copied.append(_copy(server))
        problems = audit.problems(url)
    for problem in problems:
        print(f"B12: WRONG: {problem}")
    return _tell(idle, drained, copied) and not problems


def _live(senders: list[Sender], count: int) -> list[Lane]:
    return [Lane([sender.request(1) for _ in range(count)], LIVE_EVERY, "live") for sender in senders]


def _drain(
    collector: centre.Collector, senders: list[Sender], others: list[Sender], reports: int, audit: Audit
) -> Drained:
    backlog = prepared(senders, reports, TOGETHER)
    driven = drive(collector.port, [*backlog, *_live(others, max(2, int(reports / GUESS / LIVE_EVERY)))])
    audit.answered(driven)
    seconds = max(at for at, _ in driven.took[""])
    count = sum(request.last - request.first + 1 for lane in backlog for request in lane.requests)
    return Drained(count, seconds, [took for at, took in driven.took["live"] if at <= seconds])


def _copy(server: Server) -> float:
    """Let the server read as many rows of both tables from files, into tables with the same keys; return reports a second."""
    files = {"report": f"SELECT * FROM report WHERE {_SITES}", "span": _SPANS}
    with psycopg.connect(server.url_of("centre"), autocommit=True) as connection:
        for table, rows in files.items():
            connection.execute(
                f"DROP TABLE IF EXISTS {table}_copied; CREATE TABLE {table}_copied (LIKE {table} INCLUDING ALL)"
            )
            connection.execute(f"COPY ({rows}) TO '{server.directory}/{table}.copy'")
        began = time.monotonic()
        with connection.transaction():
            (count, _) = [
                connection.execute(f"COPY {table}_copied FROM '{server.directory}/{table}.copy'").rowcount
                for table in files
            ]
        return count / (time.monotonic() - began)


def _tell(idle: Driven, drained: list[Drained], copied: list[float]) -> bool:
    print(f"B12, {TOGETHER} a request")
    for turn, copy in zip(drained, copied, strict=True):
        rate = turn.reports / turn.seconds
        print(
            f"  COPY {ROWS * copy:9.0f} rows/s; drained {ROWS * rate:9.0f} rows/s, {rate:.0f} reports/s;"
            f" live p99 {1000 * _p99(turn.live):.0f} ms (idle {1000 * idle.quantile(0.99, 'live'):.0f} ms)"
        )
    ratio = median(turn.reports / turn.seconds / copy for turn, copy in zip(drained, copied, strict=True))
    good = ratio >= BAR
    print(f"  {ratio:.3f} times COPY (bar {BAR:.2f}): {word(reached=good)}", flush=True)
    return good


def _p99(took: list[float]) -> float:
    return sorted(took)[min(len(took) - 1, int(0.99 * len(took)))] if took else float("inf")
