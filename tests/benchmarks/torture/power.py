"""F3: the power goes while outbox and journal are written: every state of the disk that the syncs allow is opened again."""

from __future__ import annotations

import hashlib
import math
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
from benchmarks.torture.power_disk import (
    ALL_STATES_UPTO,
    CALLS,
    LOG,
    Change,
    Moment,
    Recorder,
    by_chance,
    choices,
    moments,
    states,
)
from benchmarks.torture.power_reader import reading
from monitor.model.observation import Kind, Observation, Subject

ROOT = Path(__file__).parents[3]
SECTORS = (512, 4096)
LIVES = ("a" * 32, "b" * 32, "c" * 32)
NEW = "f" * 32
SPREAD = (1, 16, 128, ALL_STATES_UPTO)

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
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        base = Path(name)
        (base / "written").mkdir()
        found = record(base / "written", lives=len(LIVES) if runs == 0 else 2)
        places = [
            (database, moment.of(database.file), sector)
            for moment in found
            for database in DATABASES
            for sector in SECTORS
        ]
        known: set[bytes] = set()
        problems: list[str] = []
        for database, moment, chosen in _every(places, seeded) if runs == 0 else _sample(places, runs, seeded):
            files = moment.files(chosen)
            case = _digest(database.promised(truth_of(moment.said)), files)
            if case not in known:
                known.add(case)
                found_wrong = judge(base / "case", files, moment, (database,))
                problems += [f"{' '.join(moment.said[-1:])}: {text}" for text in found_wrong]
    print(
        f"F3: {len(known)} states of a database's disk, the power gone at one of {len(found)} points; {_spread(places)}"
    )
    return problems


def _every(places: Sequence[Place], seeded: random.Random) -> Iterator[Case]:
    """Give all choices of all places, and some by chance. Raises AssertionError where one of these is read as none of all is: they aren't all."""
    for database, moment, sector in places:
        counted, others = list(choices(moment, sector)), list(by_chance(moment, sector, seeded))
        if others:
            readings = {read(database, moment.files(chosen)) for chosen in counted}
            assert all(read(database, moment.files(chosen)) in readings for chosen in others), "a state was left out"
        for chosen in (*counted, *others):
            yield database, moment, chosen


def read(database: Database, files: dict[str, bytes]) -> object:
    """Return all that can be read of a database's files."""
    rest = {name: data for name, data in files.items() if name not in {database.file, database.file + LOG}}
    return reading(files.get(database.file, b""), files.get(database.file + LOG, b"")), frozenset(rest.items())


def _spread(places: Sequence[Place]) -> str:
    """Say how many states that differ in their bytes the points allow, each database and each size of a sector by itself."""
    counts = [states(moment, sector) for _, moment, sector in places]
    told, before = [], 0
    for upto in SPREAD:
        told.append(f"up to {upto:,} of {sum(before < count <= upto for count in counts)}")
        before = upto
    more = [count for count in counts if count > before]
    shown = f", 2^{math.log2(min(more)):.0f} to 2^{math.log2(max(more)):.0f} of {len(more)}" if more else ""
    return (
        f"states that differ in their bytes, by point, database and sector ({len(counts)}): {', '.join(told)}{shown};"
        f" of {len(counts) - len(more)} all are judged, of the others one for each thing that SQLite can read, and some by chance"
    )


def _sample(places: Sequence[Place], count: int, seeded: random.Random) -> Iterator[Case]:
    """Give one choice each of places taken by chance."""
    for database, moment, sector in seeded.choices(places, k=count):
        yield database, moment, seeded.choice([*choices(moment, sector), *by_chance(moment, sector, seeded)])


def _digest(promised: object, files: dict[str, bytes]) -> bytes:
    """Return what tells two cases apart: the files, and what had been promised."""
    digest = hashlib.sha256(repr(promised).encode())
    for name, data in sorted(files.items()):
        digest.update(f"{name} {len(data)} ".encode() + data)
    return digest.digest()


def memory() -> str | None:
    """Return a folder in memory where there is one: these states were on a disk already, and needn't be again."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def judge(
    folder: Path, files: dict[str, bytes], moment: Moment, databases: Sequence[Database] | None = None
) -> Iterator[str]:
    """Open one state of one database, or of both, twice: by plain SQLite, and by the agent's own code."""
    truth = truth_of(moment.said)
    for database in databases or DATABASES:
        _lay(folder, files)
        there = yield from database.audit(folder / database.file, truth)
        _lay(folder, files)
        yield from database.use(folder / database.file, truth, there)


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


class OutboxFile:
    """What may be there of the outbox, and what is."""

    file = "outbox.sqlite"

    @staticmethod
    def promised(truth: Truth) -> object:
        """Return what of the truth is the outbox's."""
        return "outbox", [sorted(item) for item in truth.waiting], truth.last

    @staticmethod
    def audit(path: Path, truth: Truth) -> Generator[str, None, Waiting]:
        """Look with SQLite alone; return what lies there."""
        rows = _rows(path, "SELECT boot, sequence, payload FROM report")
        if isinstance(rows, str):
            yield rows
            return frozenset()
        waiting = frozenset((boot, number) for boot, number, _ in rows)
        if waiting not in truth.waiting:
            yield f"the outbox holds {sorted(waiting)}, and may hold {[sorted(item) for item in truth.waiting]}"
        if any(not data.startswith(f"{boot}/{number}/".encode()) for boot, number, data in rows):
            yield "a report has other bytes than were put in"
        return waiting

    @staticmethod
    def use(path: Path, truth: Truth, there: Any) -> Iterator[str]:
        """Go on with the agent's own code."""
        outbox = Outbox(path)
        try:
            if outbox.set_aside:
                yield "the outbox was taken for damaged"
            taken = outbox.take(1000, 10**9)
            if (found := frozenset((entry.boot, entry.sequence) for entry in taken)) != there:
                yield f"the outbox gives {sorted(found)} where {sorted(there)} lie"
            for boot, number in truth.last.items():
                if (given := outbox.put(boot, _text)) <= number:
                    yield f"number {given} of boot {boot} was given twice"
            outbox.put(NEW, _text)
            outbox.delivered(outbox.take(1000, 10**9))
            if outbox.status().waiting:
                yield "what was put in can't be got rid of"
        finally:
            outbox.close()


class JournalFile:
    """The same of the journal."""

    file = "journal.sqlite"

    @staticmethod
    def promised(truth: Truth) -> object:
        """Return what of the truth is the journal's."""
        return "journal", truth.seen

    @staticmethod
    def audit(path: Path, truth: Truth) -> Generator[str, None, int]:
        """Look with SQLite alone; return up to when something is told there."""
        spans = _rows(path, 'SELECT start, "end", said FROM span')
        if isinstance(spans, str):
            yield spans
            return 0
        seen = max((int(end) for _, end, _ in spans), default=0)
        if seen not in truth.seen or (seen and [tuple(row[:2]) for row in spans] != [(0, seen)]):
            yield f"the journal holds {[row[:2] for row in spans]}, and may hold 0 to {truth.seen}"
        return seen

    @staticmethod
    def use(path: Path, truth: Truth, there: Any) -> Iterator[str]:
        """Go on with the agent's own code."""
        journal = Journal(path)
        try:
            if journal.set_aside:
                yield "the journal was taken for damaged"
            if (told := max((item.end for item in journal.all(100)), default=0)) != there:
                yield f"the journal tells {told} where {there} lie"
            _see(journal, there)
            if (told := max((item.end for item in journal.all(100)), default=0)) != there + 1:
                yield f"the journal tells {told} where {there + 1} was put in"
        finally:
            journal.close()


Database = type[OutboxFile] | type[JournalFile]
DATABASES: tuple[Database, ...] = (OutboxFile, JournalFile)
"""Nothing of one is read with the other: their states are tried each by itself."""
Place = tuple[Database, Moment, int]
"""Where the power may go: with what is open of which database, and how long a sector is."""
Case = tuple[Database, Moment, tuple[Change, ...]]


def _see(journal: Journal, number: int) -> None:
    gate = Subject(kind="camera", id="gate")
    seen = Observation(subject=gate, kind=Kind.STREAM, start=number, end=number + 1, state="up", expires=99)
    journal.append([seen])


def _text(slot: Slot) -> bytes:
    return f"{slot.sequence}".encode()
