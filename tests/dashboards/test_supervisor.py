"""Who keeps workers alive, with real processes: what hangs or dies is replaced, and the others answer meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.agent_process import until

TESTS = Path(__file__).parents[1]
CODE = f"import sys; sys.path[:0] = [{str(TESTS)!r}]; from support.supervised import main; main()"


@dataclass
class Supervised:
    """A first process with its two workers."""

    folder: Path
    process: subprocess.Popen[str]
    port: int

    def ask(self) -> int | None:
        """Return the process of the worker that answers; None where none does."""
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", self.port, timeout=2)) as connection:
            connection.request("GET", "/")
            return int(connection.getresponse().read())
        return None

    def hang(self) -> socket.socket:
        """Let the event loop of a worker hang; the connection that does it stays open."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection

    def workers(self) -> set[int]:
        """Return the workers that answer now."""
        return {pid for pid in (self.ask() for _ in range(12)) if pid is not None}

    def said(self) -> list[tuple[str, str | int | None]]:
        """Return the sentences in the log, each with its reason, or the exit of whom it is about."""
        lines = (self.folder / "log").read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [(item["event"], item.get("reason", item.get("exit"))) for item in told]

    def end(self) -> None:
        """End the first process and its workers, whatever they do."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        self.process.wait()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@contextmanager
def supervised(folder: Path) -> Iterator[Supervised]:
    """Run a first process with two workers."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with process:
        assert process.stdout is not None
        found = Supervised(folder, process, int(process.stdout.readline()))
        try:
            yield found
        finally:
            found.end()


def test_a_worker_whose_event_loop_hangs_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    with supervised(tmp_path) as found:
        until(lambda: len(found.workers()) == 2, 40, "both answer")
        before = found.workers()
        with found.hang():
            until(lambda: len(found.workers() - before) == 1, 40, "another one is there")
        assert len(found.workers() & before) == 1, "who did not hang is there still"
        hung = ("a worker hangs, it is ended and another takes its place", "its event loop has not turned for 2 s")
        assert found.said() == [hung]
