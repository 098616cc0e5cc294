"""F2: the collector's worker, and PostgreSQL under it, killed -9 under load: what was answered is there, once, and in order."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks.postgres import Server
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import make_centre
from support.signing import SigningAgent

TESTS = Path(__file__).parents[2]
WORKER = f"import sys; sys.path[:0] = [{str(TESTS)!r}]; from support.ingesting import main; main(*sys.argv[1:2], int(sys.argv[2]), *sys.argv[3:])"


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` kills, in turns of the worker and of PostgreSQL."""
    seeded = random.Random(seed)
    with ExitStack() as stack:
        directory = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="cw-pg-", dir="/tmp", ignore_cleanup_errors=True)
        )
        server = Server(Path(directory))
        server.make()
        server.start()
        stack.callback(server.kill)
        engine = open_engine(server.url)
        migrate(engine)
        sender = make_centre(engine).add()
        engine.dispose()
        answered: set[int] = set()
        for number in range(runs):
            answered |= _life(server, sender, max(answered, default=1), seeded, whole=number % 2 == 1)
        return _audit(server, answered, runs)


def _life(server: Server, sender: SigningAgent, first: int, seeded: random.Random, *, whole: bool) -> set[int]:
    """Run a worker until it, or the database under it, is killed; return the numbers that it answered."""
    words = [server.url, str(first), sender.key.pem().decode(), sender.nonce]
    command = [sys.executable, "-c", WORKER, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
        assert worker.stdout is not None
        lines = [worker.stdout.readline() for _ in range(seeded.randint(1, 25))]
        threading.Event().wait(seeded.uniform(0, 0.02))  # at any point of the next one
        if whole:
            server.kill()
            server.recoveries.append(server.start())
        worker.kill()
        lines += worker.stdout.readlines()
    return {int(line.split()[0]) for line in lines if line.endswith("\n")}


def _audit(server: Server, answered: set[int], runs: int) -> list[str]:
    """Read the tables as plain rows."""
    with psycopg.connect(server.url) as connection:
        stored = [number for (number,) in connection.execute("SELECT sequence FROM report ORDER BY sequence")]
        (counted,) = connection.execute("SELECT reports FROM agent").fetchall()[0]
        spans = connection.execute("SELECT start_at, end_at FROM span").fetchall()
    print(
        f"F2: {runs} kills, {len(answered)} reports answered, {len(stored)} stored; PostgreSQL back within {max(server.recoveries, default=0):.1f} s"
    )
    problems = [f"report {number} was answered and is lost" for number in sorted(answered - set(stored))]
    if stored != list(range(1, len(stored) + 1)):
        problems.append("numbers are double or missing")
    if counted != len(stored):
        problems.append(f"{counted} reports are counted, {len(stored)} are there")
    if len(spans) != 1 or spans[0][1] - spans[0][0] != 1000 * len(stored):
        problems.append(f"the ledger is not that of {len(stored)} seconds in a row: {spans}")
    if max(server.recoveries, default=0) > 10:
        problems.append("PostgreSQL took longer than ten seconds to come back")
    return problems
