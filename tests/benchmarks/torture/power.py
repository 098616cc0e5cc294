"""F3: the power goes while outbox and journal are written: every state of the disk that the syncs allow is opened again."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.journal import Journal
from agents.outbox import Outbox, Slot
from benchmarks.torture.power_disk import ALL_SUBSETS_UPTO, CALLS, Moment, Recorder, choices, moments, open_changes

ROOT = Path(__file__).parents[3]
SECTORS = (512, 4096)
LIVES = ("a" * 32, "b" * 32, "c" * 32)
NEW = "f" * 32

WRITER = """
import os, sys
from pathlib import Path
from agents.journal import Journal
from agents.outbox import Outbox
from monitor.model.observation import Kind, Observation, Subject

folder, boot, first, pragma = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
GATE = Subject(kind="camera", id="gate")
mouth = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
say = lambda *words: os.write(mouth, (" ".join(map(str, words)) + "\\n").encode())

outbox = Outbox(folder / "outbox.sqlite")
journal = Journal(folder / "journal.sqlite")
for database in (outbox, journal):
    if pragma:
        database._database._live().execute("PRAGMA " + pragma)
given = 0

def put(size):
    global given
    given += 1
    say("begin put", boot, given)
    got = outbox.put(boot, lambda slot: f"{boot}/{slot.sequence}/".encode().ljust(size, b"."))
    assert got == given
    say("done")

def leave(count, how):
    entries = outbox.take(count, 10**6)
    say("begin", how, *(word for entry in entries for word in (entry.boot, entry.sequence)))
    outbox.delivered(entries) if how == "delivered" else [outbox.reject(entry, "no") for entry in entries]
    say("done")

def see(number):
    say("begin seen", number)
    journal.append([Observation(subject=GATE, kind=Kind.STREAM, start=number, end=number + 1, state="up", expires=99)])
    say("done")

def checkpoint():
    outbox._database._live().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

put(700); see(first); put(700); put(9000); see(first + 1); leave(2, "delivered"); put(700)
checkpoint()
put(700); leave(1, "rejected"); see(first + 2); put(700); leave(1, "delivered")
if boot[0] == "b":
    os._exit(0)
outbox.close()
journal.close()
"""

Waiting = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Truth:
    """What may be there after a crash, by what the writer had said: it is told from these words alone."""

    waiting: tuple[Waiting, ...]
    """What the outbox may hold: as of the last change that was done, and as of the one that had begun."""
    seen: tuple[int, ...]
    """How many observations the journal may hold."""
    last: dict[str, int]
    """The highest number that was acknowledged in each boot."""


def truth_of(said: Sequence[str]) -> Truth:
    """Return what may be there."""
    waiting: Waiting = frozenset()
    seen = 0
    last: dict[str, int] = {}
    begun: tuple[Waiting, int, dict[str, int]] | None = None
    for line in said:
        words = line.split()
        if words == ["done"]:
            assert begun is not None
            (waiting, seen, last), begun = begun, None
            continue
        pairs = frozenset(zip(words[2::2], map(int, words[3::2]), strict=False))
        if words[1] == "put":
            begun = (waiting | pairs, seen, last | {words[2]: int(words[3])})
        elif words[1] == "seen":
            begun = (waiting, int(words[2]) + 1, last)
        else:
            begun = (waiting - pairs, seen, last)
    after = (waiting, seen, last) if begun is None else begun
    return Truth((waiting, after[0]), (seen, after[1]), last)


def record(folder: Path, lives: int = 3, pragma: str = "") -> list[Moment]:
    """Run the writers one after the other on one folder, under strace; return the points at which the power may go."""
    recorder = Recorder(folder)
    for number, boot in enumerate(LIVES[:lives]):
        trace = folder.with_name(f"trace-{number}")
        strace = ["strace", "-y", "-xx", "-s", "1000000", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]
        writer = [sys.executable, "-c", WRITER, str(folder), boot, str(number * 3), pragma]
        subprocess.run([*strace, *writer], check=True, cwd=ROOT)
        recorder.read(trace.read_text(encoding="ascii"))
    return list(moments(recorder.steps))


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` of the states (0: all)."""
    seeded = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        base = Path(name)
        (base / "written").mkdir()
        found = record(base / "written", lives=len(LIVES) if runs == 0 else 2)
        every = [
            (moment, chosen) for moment in found for sector in SECTORS for chosen in choices(moment, sector, seeded)
        ]
        chances = every if runs == 0 else seeded.sample(every, min(runs, len(every)))
        known: set[bytes] = set()
        problems: list[str] = []
        for moment, chosen in chances:
            files = moment.files(chosen)
            case = _digest(moment, files)
            if case not in known:
                known.add(case)
                problems += [f"{' '.join(moment.said[-1:])}: {text}" for text in judge(base / "case", files, moment)]
    counts = [len(open_changes(moment, sector)) for moment in found for sector in SECTORS]
    more = [count for count in counts if count > ALL_SUBSETS_UPTO]
    print(
        f"F3: {len(known)} states of the disk, the power gone at one of {len(found)} points; every state that may be there of"
        f" {len(counts) - len(more)} of the {len(counts)} pairs of a point and a sector's size, some of the others, which have"
        f" {min(more, default=0)} to {max(more, default=0)} open changes"
    )
    return problems


def _digest(moment: Moment, files: dict[str, bytes]) -> bytes:
    """Return what tells two cases apart: the files, and what had been promised."""
    digest = hashlib.sha256(repr(moment.said).encode())
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.digest()


def _memory() -> str | None:
    """Return a folder in memory where there is one: these states were on a disk already, and needn't be again."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def judge(folder: Path, files: dict[str, bytes], moment: Moment) -> Iterator[str]:
    """Open one state twice: by plain SQLite, and by the agent's own code."""
    truth = truth_of(moment.said)
    _lay(folder, files)
    waiting, seen = yield from _audit(folder, truth)
    _lay(folder, files)
    yield from _use(folder, truth, waiting, seen)


def _lay(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _rows(path: Path, sql: str) -> list[tuple[Any, Any, Any]] | str:
    """Return the rows of a file that is sound; else what is wrong with it."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            if (sound := connection.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
                return f"{path.name} is damaged: {sound}"
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError as error:
            return [] if "no such table" in str(error) else f"{path.name}: {error}"
        except sqlite3.DatabaseError as error:
            return f"{path.name}: {error}"


def _audit(folder: Path, truth: Truth) -> Generator[str, None, tuple[Waiting, int]]:
    """Look with SQLite alone; return what lies there."""
    rows = _rows(folder / "outbox.sqlite", "SELECT boot, sequence, payload FROM report")
    waiting: Waiting = frozenset()
    if isinstance(rows, str):
        yield rows
    else:
        waiting = frozenset((boot, number) for boot, number, _ in rows)
        if waiting not in truth.waiting:
            yield f"the outbox holds {sorted(waiting)}, and may hold {[sorted(item) for item in truth.waiting]}"
        if any(not data.startswith(f"{boot}/{number}/".encode()) for boot, number, data in rows):
            yield "a report has other bytes than were put in"
    spans = _rows(folder / "journal.sqlite", 'SELECT start, "end", said FROM span')
    seen = 0
    if isinstance(spans, str):
        yield spans
    else:
        seen = max((int(end) for _, end, _ in spans), default=0)
        if seen not in truth.seen or (seen and [tuple(row[:2]) for row in spans] != [(0, seen)]):
            yield f"the journal holds {[row[:2] for row in spans]}, and may hold 0 to {truth.seen}"
    return waiting, seen


def _use(folder: Path, truth: Truth, waiting: Waiting, seen: int) -> Iterator[str]:
    """Go on with the agent's own code."""
    outbox, journal = Outbox(folder / "outbox.sqlite"), Journal(folder / "journal.sqlite")
    try:
        if outbox.set_aside or journal.set_aside:
            yield "a file was taken for damaged"
        taken = outbox.take(1000, 10**9)
        if (found := frozenset((entry.boot, entry.sequence) for entry in taken)) != waiting:
            yield f"the outbox gives {sorted(found)} where {sorted(waiting)} lie"
        if (told := max((item.end for item in journal.all(100)), default=0)) != seen:
            yield f"the journal tells {told} where {seen} lie"
        for boot, number in truth.last.items():
            if (given := outbox.put(boot, _text)) <= number:
                yield f"number {given} of boot {boot} was given twice"
        outbox.put(NEW, _text)
        outbox.delivered(outbox.take(1000, 10**9))
        if outbox.status().waiting:
            yield "what was put in can't be got rid of"
    finally:
        outbox.close()
        journal.close()


def _text(slot: Slot) -> bytes:
    return f"{slot.sequence}".encode()
