"""A PostgreSQL server whose commits are synced, unlike the suite's, that can be killed."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from benchmarks.processes import tree
from support.databases import server_programs


@dataclass
class Server:
    """A PostgreSQL server whose commits are synced, that can be killed and started again."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None
    recoveries: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The database's address."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self.process is not None
        return self.process.pid

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
        self.process = None
        while True:
            if (
                self.process is None or self.process.poll() is not None
            ):  # one that was just being forked may outlive a kill
                with (self.directory / "log").open("ab") as log:
                    self.process = subprocess.Popen(
                        command, user=self._account, cwd=self.directory, stdout=log, stderr=log, start_new_session=True
                    )
            with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
                return time.monotonic() - began
            if time.monotonic() - began > 60:
                raise RuntimeError((self.directory / "log").read_text()[-2000:])
            threading.Event().wait(0.05)

    def kill(self) -> None:
        """Kill -9 the server with all its processes, as the kernel does when memory runs out."""
        assert self.process is not None
        everybody = tree(self.process.pid)  # its processes have groups of their own
        for pid in everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(_runs(pid) for pid in everybody):  # the shared memory must be given back
            threading.Event().wait(0.005)


def _runs(pid: int) -> bool:
    """Tell whether a process is there, and has not ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] != "Z"
    return False
