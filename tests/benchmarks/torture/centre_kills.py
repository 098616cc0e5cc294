"""F2: the collector's worker, and PostgreSQL under it, killed -9 under load: what was answered is there, once, and in order."""

from __future__ import annotations

import os
import pwd
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import make_centre
from support.databases import server_programs
from support.signing import SigningAgent

TESTS = Path(__file__).parents[2]
WORKER = f"import sys; sys.path[:0] = [{str(TESTS)!r}]; from support.ingesting import main; main(*sys.argv[1:2], int(sys.argv[2]), *sys.argv[3:])"


@dataclass
class Server:
    """A PostgreSQL server whose commits are synced, that can be killed and started again."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None
    recoveries: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The database's address."""
        return f"postgresql://postgres@/postgres?host={self.directory}"

    @property
    def _account(self) -> str | None:
        return "nobody" if os.geteuid() == 0 else None

    def make(self) -> None:
        """Make the files."""
        if self._account is not None:
            entry = pwd.getpwnam(self._account)
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)
        data = self.directory / "data"
        command = [str(server_programs() / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(command, user=self._account, check=True, capture_output=True, cwd=self.directory)

    def start(self) -> float:
        """Start it and wait until it answers; return the seconds."""
        began = time.monotonic()
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.directory}"]
        command = [str(server_programs() / "postgres"), "-D", str(self.directory / "data"), *options]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, user=self._account, cwd=self.directory, stdout=log, stderr=log, start_new_session=True
            )
        while True:
            with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
                return time.monotonic() - began
            if time.monotonic() - began > 60:
                raise RuntimeError((self.directory / "log").read_text()[-2000:])
            threading.Event().wait(0.05)

    def kill(self) -> None:
        """Kill -9 the server with all its processes, as the kernel does when memory runs out."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


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
