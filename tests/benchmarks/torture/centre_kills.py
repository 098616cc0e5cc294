"""F2: workers of `cradlewatch collector serve`, and PostgreSQL under it, killed -9 under load: what was answered is there, once, in order."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg

from benchmarks.agent_process import until
from benchmarks.intake import centre
from benchmarks.intake.auditor import Audit
from benchmarks.intake.reports import enrol
from benchmarks.postgres import Server
from benchmarks.processes import pressed_seconds
from benchmarks.torture.agents_load import AgentsLoad
from monitor.model.span import DAY
from monitor.store.engine import open_engine

WORKERS = 2
AGENTS = 6
BACK_SECONDS = 10.0
"""PostgreSQL answers again so soon after it is started."""
OVERLOADED = 0.5
"""Where somebody waited for a processor for more of that time it tells of the machine, and is not judged."""
ANSWER_SECONDS = 120.0
"""For the collector to take reports again, on whatever machine."""


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` kills, in turns of a worker and of PostgreSQL."""
    seeded = random.Random(seed)
    with centre.postgres() as server, tempfile.TemporaryDirectory(prefix="cw-kill-") as name:
        url = centre.database(server, "centre")
        engine = open_engine(url)
        senders = enrol(engine, AGENTS)
        engine.dispose()
        for sender in senders:
            sender.began_at -= 60 * DAY  # a minute each, so that none lies ahead of the clock in the longest run
        with centre.collector(url, Path(name), f"workers: {WORKERS}\n") as collector:
            waits: list[float] = []
            fair: list[float] = []
            load = AgentsLoad(collector.port, senders, seed)
            with load.running():
                for number in range(runs):
                    load.wait_for(seeded.randint(1, 25), ANSWER_SECONDS)
                    began = time.monotonic()
                    fair += _kill_database(server, seeded) if number % 2 else _kill_worker(collector, seeded)
                    load.wait_for(1, ANSWER_SECONDS)
                    waits.append(time.monotonic() - began)
        audit = Audit()
        audit.answered(load.driven)
        problems = audit.problems(url) + order_problems(url)
    slowest = max(server.recoveries, default=0.0)
    statuses = ", ".join(f"{count} of {status}" for status, count in sorted(load.statuses.items()))
    print(
        f"F2: {runs} kills, answers: {statuses}; {sum(last - first + 1 for _, first, last in load.stored)} reports taken,"
        f" {load.had} of them stored before their answer was lost; PostgreSQL back within {slowest:.1f} s"
        f" ({max(fair, default=0.0):.1f} s in the {len(fair)} of {len(server.recoveries)} times when the machine was not overloaded),"
        f" the next report taken within {max(waits, default=0.0):.1f} s of a kill"
    )
    return problems + [f"PostgreSQL took {seconds:.1f} s to come back" for seconds in fair if seconds > BACK_SECONDS]


def workers_of(collector: centre.Collector) -> list[int]:
    """Return the processes that answer; the first one keeps them and answers nobody."""
    first = collector.process.pid
    children = Path(f"/proc/{first}/task/{first}/children").read_text("ascii").split()
    return [int(pid) for pid in children if b"spawn_main" in _command(pid)]


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


def _kill_worker(collector: centre.Collector, seeded: random.Random) -> tuple[()]:
    """Kill one of the workers at any moment, be it that it is still starting."""
    if len(workers_of(collector)) < WORKERS:
        # After each that ended soon the next is tried more seldom; told that all is mended, at once.
        collector.process.send_signal(signal.SIGHUP)
    until(lambda: len(workers_of(collector)) >= WORKERS, ANSWER_SECONDS, "the workers are there again")
    time.sleep(seeded.uniform(0.0, 0.05))
    os.kill(seeded.choice(workers_of(collector)), signal.SIGKILL)
    return ()


def _kill_database(server: Server, seeded: random.Random) -> Iterator[float]:
    """Kill PostgreSQL with all its processes at any moment; give how long it took to come back, where the machine was free."""
    time.sleep(seeded.uniform(0.0, 0.05))
    server.kill()
    pressed = pressed_seconds()
    seconds = server.start()
    server.recoveries.append(seconds)
    if pressed_seconds() - pressed <= OVERLOADED * seconds:
        yield seconds


def order_problems(url: str) -> list[str]:
    """Say where numbers are missing, or came in another order than they were given: by plain SQL."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT institution_id, sequence, received_at FROM report ORDER BY institution_id, sequence"
        ).fetchall()
    held: dict[str, list[tuple[int, int]]] = {}
    for who, number, at in rows:
        held.setdefault(who, []).append((number, at))
    found = []
    for who, reports in held.items():
        if [number for number, _ in reports] != list(range(1, len(reports) + 1)):
            found.append(f"{who}: numbers are double or missing")
        found += [f"{who}: report {b[0]} came before report {a[0]}" for a, b in pairwise(reports) if b[1] < a[1]]
    return found
