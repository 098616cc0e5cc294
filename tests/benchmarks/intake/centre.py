"""The real centre of a benchmark: PostgreSQL with synced commits, `cradlewatch collector serve`, and what each costs."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agent_process import COMMAND, free_port, until
from benchmarks.postgres import Server
from benchmarks.processes import cpu_seconds
from monitor.store.engine import open_engine
from monitor.store.schema import migrate


@dataclass(frozen=True)
class Collector:
    """A collector's process that answers."""

    process: subprocess.Popen[bytes]
    port: int

    def get(self, path: str) -> str:
        """Return an answer's body."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used so far."""
        return cpu_seconds([self.process.pid])


@contextmanager
def postgres() -> Iterator[Server]:
    """Run a server as it comes, so with synced commits, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="cw-pg-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        server = Server(Path(directory))
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.kill()


def database(server: Server, name: str) -> str:
    """Make a migrated database; return its address."""
    server.execute(f"CREATE DATABASE {name}")
    url = server.url_of(name)
    migrated(url)
    return url


def migrated(url: str) -> None:
    """Make the tables."""
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


@contextmanager
def collector(url: str, folder: Path, settings: str = "") -> Iterator[Collector]:
    """Run `cradlewatch collector serve` until the block ends; its log lies in `folder`."""
    port = free_port()
    config = folder / "collector.yaml"
    config.write_text(f"listen: 127.0.0.1:{port}\n{settings}", encoding="utf-8")
    command = [str(COMMAND), "collector", "serve", "--config", str(config)]
    environment = {**os.environ, "CRADLEWATCH_DATABASE_URL": url}
    with (folder / "collector.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        found = Collector(process, port)
        until(lambda: _ready(found), 120, "the collector is ready")
        yield found
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _ready(found: Collector) -> bool:
    if found.process.poll() is not None:
        raise RuntimeError("the collector ended")
    with suppress(OSError):
        return bool(found.get("/health/ready"))
    return False


def settled(pids: list[int], seconds: float = 1.0) -> None:
    """Wait until these processes rest (two CPU readings alike), half a minute at most."""
    end = time.monotonic() + 30
    before = cpu_seconds(pids)
    while time.monotonic() < end:
        time.sleep(seconds)
        now = cpu_seconds(pids)
        if now - before < 0.1 * seconds:
            return
        before = now
