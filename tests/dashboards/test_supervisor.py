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

import pytest

from benchmarks.agent_process import until
from dashboards.supervisor import Place
from support.served import command_of, workers_of

TESTS = Path(__file__).parents[1]
CODE = f"import sys; sys.path[:0] = [{str(TESTS)!r}]; from support import supervised; supervised."

SOON = "a worker ended soon after its start, others are tried ever more seldom"
KEPT = "a new worker could not come up, those of before SIGHUP go on"


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
        (self.folder / "hangs").unlink(missing_ok=True)
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        until((self.folder / "hangs").exists, 40, "it hangs")
        return connection

    def workers(self) -> set[int]:
        """Return the processes of the workers, whether they answer or not."""
        return workers_of(self.process.pid)

    def all_answer(self) -> bool:
        """Tell whether there are two workers, and each answered one of a dozen questions: who is free takes one."""
        return len(self.workers()) == 2 and {self.ask() for _ in range(12)} == self.workers()

    def said(self) -> list[tuple[str, str]]:
        """Return the sentences in the log, each with its reason."""
        lines = (self.folder / "log").read_text().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [(item["event"], item.get("reason", "")) for item in told]

    def tries(self) -> list[float]:
        """Return when a worker was tried while they were broken."""
        return [float(line) for line in (self.folder / "broken").read_text().splitlines()]

    def end(self) -> None:
        """End the first process and its workers, whatever they do."""
        pids: list[str] = []
        with suppress(OSError):
            pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        self.process.wait()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@contextmanager
def supervised(folder: Path, which: str = "main") -> Iterator[Supervised]:
    """Run a first process with two workers, or `alone` one without."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", f"{CODE}{which}()"], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with process:
        assert process.stdout is not None
        found = Supervised(folder, process, int(process.stdout.readline()))
        try:
            yield found
        finally:
            found.end()


@pytest.mark.long
def test_a_worker_whose_event_loop_hangs_is_replaced_and_keeps_nobody_from_ending(tmp_path: Path) -> None:
    with supervised(tmp_path) as found:
        until(found.all_answer, 40, "both answer")
        before = found.workers()
        with found.hang():
            until(lambda: found.workers() != before and found.all_answer(), 40, "another one is there")
        assert len(found.workers() & before) == 1, "who did not hang is there still"
        hung = ("a worker hangs, it is ended and another takes its place", "its event loop has not turned for 4 s")
        assert found.said() == [hung, (SOON, "exit -9")]
        workers = found.workers()
        with found.hang() as connection:
            found.process.send_signal(signal.SIGTERM)
            assert found.process.wait(30) == 0
            assert connection.recv(1) == b"", "it was broken off"
        assert not any(command_of(str(pid)) for pid in workers)
        busy = "a worker was still busy and is ended, what it had in the works is not answered"
        assert found.said()[2:] == [(busy, "")]


@pytest.mark.long
def test_a_single_process_whose_event_loop_hangs_starts_itself_again_at_the_same_port(tmp_path: Path) -> None:
    with supervised(tmp_path, "alone") as found:
        until(lambda: found.ask() == found.process.pid, 40, "it answers")
        for times in (1, 2):
            with found.hang() as connection:
                until(lambda: found.ask() == found.process.pid, 40, "it answers again, as the same process")
                assert connection.recv(1) == b"", "what was in the works was broken off"
            again = ("the collector's event loop hangs, the collector starts itself again", "it has not turned for 2 s")
            assert found.said() == [again] * times
        command = Path(f"/proc/{found.process.pid}/cmdline").read_bytes()
        assert command.count(b"--listen") == 1
        assert "supervised.py" in (tmp_path / "log").read_text(), "it says where the loop hung"
        found.process.send_signal(signal.SIGTERM)
        found.process.wait(30)


@pytest.mark.long
def test_workers_that_can_not_start_are_tried_ever_more_seldom_and_that_is_said_once(tmp_path: Path) -> None:
    with supervised(tmp_path) as found:
        until(found.all_answer, 40, "both answer")
        before = found.workers()
        (tmp_path / "broken").touch()
        found.process.send_signal(signal.SIGHUP)
        until(lambda: found.said() == [(KEPT, "exit 7")], 40, "a new one was tried, once")
        assert (len(found.tries()), found.workers()) == (1, before), "nobody goes before another has come"
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(found.tries()) >= 3, 40, "it is tried again and again")
        first, second = found.tries()[1:3]
        assert second - first >= 2.0, "the first after 1 s, the second after 2 s"
        assert found.said()[1:] == [(SOON, "exit -9")]
        (tmp_path / "broken").unlink()
        found.process.send_signal(signal.SIGHUP)
        until(lambda: not found.workers() & before and found.all_answer(), 40, "all are new")
        (tmp_path / "refused").touch()
        found.process.send_signal(signal.SIGHUP)
        until(lambda: found.said()[-1] == (KEPT, "this can't be used"), 40, "none was even started")
        until(found.all_answer, 40, "those of before answer")


def test_workers_that_never_come_up_end_the_first_process(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with supervised(tmp_path) as found:
        assert found.process.wait(40) == 1
        assert len(found.tries()) == 2
        assert found.said() == [("a worker could not start", "exit 7")] * 2
    assert "no worker could start; the log says why" in (tmp_path / "log").read_text()


def test_the_pauses_between_tries() -> None:
    place, pauses = Place(), []
    for _ in range(7):
        place.lose(soon=True)
        pauses.append(place.pause)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    place.lose(soon=False)
    assert place.pause == 0, "one that had been there for a while is replaced at once"
    place.lose(soon=True)
    assert place.pause == 1
