"""F4: the k-th write or sync of an agent's files answers EIO or ENOSPC, for every k; injected by strace into the process."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.torture.auditor import number_problems, read_outbox

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate")
ERRORS = ("EIO", "ENOSPC")
ROOT = Path(__file__).parents[3]

SERVER = """
import os, signal, sys
from pathlib import Path
from agents.database import DatabaseError
from agents.journal import Journal
from agents.outbox import Outbox
from monitor.model.observation import Kind, Observation, Subject

GATE = Subject(kind="camera", id="gate")

def work(folder, boot):
    said = open(folder / f"{boot}.said", "w", buffering=1)
    outbox = Outbox(folder / "outbox.sqlite", max_bytes=3000, patient=True)
    journal = Journal(folder / "journal.sqlite", patient=True)

    def write(slot):
        for item in slot.gone:
            said.write(f"told {item.boot} {item.first} {item.last}\\n")
        return f"{boot}/{slot.sequence}".encode().ljust(700)

    for number in range(8):
        try:
            got = outbox.put(boot, write)
            said.write(f"put {got}\\n")
            seen = Observation(subject=GATE, kind=Kind.STREAM, start=number, end=number + 1, state="up", expires=99)
            journal.append([seen])
            said.write(f"seen {number}\\n")
            if number == 5:
                outbox.delivered(outbox.take(1, 10**6))
        except DatabaseError as error:
            said.write(f"refused {error}\\n")
    outbox.close()
    journal.close()
    said.write("end\\n")

for line in sys.stdin:
    folder, boot, stops = line.split()
    child = os.fork()
    if child == 0:
        if stops == "1":
            os.kill(os.getpid(), signal.SIGSTOP)
        try:
            work(Path(folder), boot)
        except BaseException as error:
            (Path(folder) / "died").write_text(repr(error))
        os._exit(0)
    print(child, flush=True)
    if stops == "1":
        os.waitpid(child, os.WUNTRACED)
        print("stopped", flush=True)
    os.waitpid(child, 0)
    print("done", flush=True)
"""


@dataclass
class Writers:
    """A process that forks a writer for each case, so that the imports are paid once."""

    process: subprocess.Popen[str]

    def run(self, folder: Path, boot: str, *strace: str) -> str:
        """Run a writer on a folder's files, under strace with these options where there are any; return what strace says."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{folder} {boot} {int(bool(strace))}\n")
        self.process.stdin.flush()
        writer = int(self._line())
        said = ""
        if strace:
            assert self._line() == "stopped"
            said = _traced(writer, strace)
        assert self._line() == "done"
        return said

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def _traced(writer: int, options: tuple[str, ...]) -> str:
    with subprocess.Popen(["strace", "-p", str(writer), *options], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        assert "attached" in first, first
        os.kill(writer, signal.SIGCONT)
        return tracer.stderr.read()


@contextlib.contextmanager
def writers() -> Iterator[Writers]:
    """Run the process that forks writers."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield Writers(process)
        assert process.stdin is not None
        process.stdin.close()


def calls_made(source: Writers, folder: Path) -> dict[str, int]:
    """Return how often an undisturbed writer makes each call."""
    traced = source.run(folder, "f" * 32, "-e", f"trace={','.join(CALLS)}")
    return {call: sum(f"{call}(" in line for line in traced.splitlines()) for call in CALLS}


def cases(made: dict[str, int]) -> list[tuple[str, str, str]]:
    """Return every (call, error, when): once at the k-th, and from the k-th on."""
    return [
        (call, error, f"{k}{more}") for call, count in made.items() for k in range(1, count + 1) for error in ERRORS
        for more in ("", "+")
    ]  # fmt: skip


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` cases (0: all)."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as name, writers() as source:
        base = Path(name)
        (base / "count").mkdir()
        every = cases(calls_made(source, base / "count"))
        chosen = every if runs == 0 else random.Random(seed).sample(every, min(runs, len(every)))
        for number, case in enumerate(chosen):
            folder = base / str(number)
            folder.mkdir()
            problems += [f"{' '.join(case)}: {text}" for text in _case(source, folder, *case)]
    print(f"F4: {len(chosen)} of {len(every)} cases of a write or sync that fails")
    return problems


def _told(lines: Iterable[str]) -> set[tuple[str, int]]:
    """Return what reports said had been given up."""
    words = [line.split() for line in lines if line.startswith("told")]
    return {(boot, number) for _, boot, first, last in words for number in range(int(first), int(last) + 1)}


def _case(source: Writers, folder: Path, call: str, error: str, when: str) -> Iterator[str]:
    first, second = "a" * 32, "b" * 32
    source.run(folder, first, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}")
    source.run(folder, second)
    if (folder / "died").exists():
        yield f"a writer died: {(folder / 'died').read_text()}"
        return
    told = {boot: (folder / f"{boot}.said").read_text().splitlines() for boot in (first, second)}
    outbox = read_outbox(folder / "outbox.sqlite")
    put = {boot: [int(line.split()[1]) for line in lines if line.startswith("put")] for boot, lines in told.items()}
    for boot, numbers in put.items():
        if numbers != sorted(set(numbers)):
            yield f"numbers were given twice or went back: {numbers}"
        # One was delivered in each run, at most: the oldest that waited then.
        known = set(outbox.waiting) | outbox.gone | _told(line for lines in told.values() for line in lines)
        lost = number_problems({boot: max(numbers, default=0)}, known)
        allowed = sum(any(line.startswith("put 6") for line in lines) for lines in told.values())
        if len(lost) > allowed:
            yield f"{lost}, and no more than {allowed} had been delivered"
    if told[second][-1:] != ["end"] or any(line.startswith("refused") for line in told[second]):
        yield f"the next start does not work: {told[second]}"
