"""What a disk may hold after the power went: files by the writes and syncs that a process made, as strace saw them.

A write, a new length, a new name and a removed name are on the disk for sure only after a sync of their file (names: of
their folder; nothing is taken for granted of any file system). Until then each may be there or not, whatever came after
it, and of a write each sector by itself.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise, product
from operator import itemgetter
from pathlib import Path

from benchmarks.torture import power_reader
from benchmarks.torture.power_reader import PAGE_BYTES, Piece

CALLS = ("openat", "pwrite64", "write", "ftruncate", "fsync", "fdatasync", "unlink", "rename")
ALL_STATES_UPTO = 1 << 14
"""States that differ in their bytes: of a point that allows no more all are tried."""
RANDOM_SUBSETS = 24
LOG = "-wal"
"""Ends the name of a database's log."""


@dataclass(frozen=True)
class Write:
    """Bytes at an offset."""

    file: int
    offset: int
    data: bytes

    def pieces(self, sector: int) -> list[Write]:
        """Return it sector by sector."""
        edges = [
            self.offset,
            *range((self.offset // sector + 1) * sector, self.offset + len(self.data), sector),
            self.offset + len(self.data),
        ]
        return [Write(self.file, a, self.data[a - self.offset : b - self.offset]) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class Length:
    """A file's new length."""

    file: int
    size: int


@dataclass(frozen=True)
class Name:
    """A name in the folder, and the file that it names from now on; None: it is gone."""

    name: str
    file: int | None


Change = Write | Length | Name
Placed = tuple[int, Change]
"""With its place among all open changes."""


@dataclass(frozen=True)
class Sync:
    """What was changed of a file is on the disk; None: the folder's names are."""

    file: int | None


@dataclass(frozen=True)
class Said:
    """What the process said at that point."""

    text: str


Step = Change | Sync | Said


@dataclass
class Recorder:
    """Reads a trace of `strace -y -xx` of one folder; several one after the other continue each other."""

    folder: Path
    names: dict[str, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    _files: int = 0

    def read(self, trace: str) -> None:
        """Take a process's calls. Raises ValueError for one that isn't understood: nothing may be overlooked."""
        for line in trace.splitlines():
            call = re.fullmatch(r"(\w+)\((.*)\)\s+= (\d+)(?:<.*>)?", line)
            if call is not None:
                self._call(call[1], call[2])

    def _call(self, call: str, arguments: str) -> None:
        path = _path(arguments)
        if path != str(self.folder) and Path(path).parent != self.folder:
            return
        name = Path(path).name
        if name.endswith("-shm"):  # memory that is shared: after a crash it is made anew
            return
        if call == "openat":
            self._open(name, arguments)
        elif call in {"fsync", "fdatasync"}:
            self.steps.append(Sync(None if path == str(self.folder) else self.names[name]))
        elif call == "unlink":
            del self.names[name]
            self.steps.append(Name(name, None))
        elif call == "write" and name == "said":
            self.steps.extend(Said(text) for text in _bytes(arguments).decode().splitlines())
        elif call == "ftruncate":
            self.steps.append(Length(self.names[name], int(arguments.rpartition(", ")[2])))
        elif call == "pwrite64":
            data, size, offset = _bytes(arguments), *map(int, arguments.rsplit(", ", 2)[1:])
            if len(data) != size:
                raise ValueError("the trace is cut")
            self.steps.append(Write(self.names[name], offset, data))
        else:
            raise ValueError(f"{call} of {name} is not understood")

    def _open(self, name: str, arguments: str) -> None:
        if "O_TRUNC" in arguments:
            raise ValueError(f"{name} is cut when it is opened, which is not understood")
        if "O_CREAT" in arguments and name not in self.names and name != "said":
            self._files += 1
            self.names[name] = self._files
            self.steps.append(Name(name, self._files))


def _path(arguments: str) -> str:
    """Return the path that a call speaks of: that of its file, or the one that it names."""
    found = re.match(r'\d+<((?:\\x[0-9a-f]{2})*)>|(?:AT_FDCWD(?:<[^>]*>)?, )?"((?:\\x[0-9a-f]{2})*)"', arguments)
    return "" if found is None else _unhex(found[1] or found[2] or "").decode()


def _bytes(arguments: str) -> bytes:
    found = re.search(r'"((?:\\x[0-9a-f]{2})*)"', arguments)
    return b"" if found is None else _unhex(found[1])


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(frozen=True)
class Moment:
    """A point at which the power may go: what is on the disk for sure, what may be, and what had been said."""

    contents: dict[int, bytes]
    names: dict[str, int]
    pending: tuple[Change, ...]
    said: tuple[str, ...]

    def of(self, database: str) -> Moment:
        """Return what of it is one database's: the file of that name, and those whose names begin with it."""
        pending = [item for item in self.pending if isinstance(item, Name) and item.name.startswith(database)]
        names = {name: file for name, file in self.names.items() if name.startswith(database)}
        mine = {*names.values(), *(item.file for item in pending)}
        return Moment(
            {file: data for file, data in self.contents.items() if file in mine},
            names,
            tuple(
                item for item in self.pending if item in pending or (not isinstance(item, Name) and item.file in mine)
            ),
            self.said,
        )

    def named(self, chosen: Iterable[Change]) -> dict[str, int]:
        """Return the names and their files, when of what may be there this is."""
        names: dict[str, int | None] = {
            **self.names,
            **{item.name: item.file for item in chosen if isinstance(item, Name)},
        }
        return {name: file for name, file in names.items() if file is not None}

    def files(self, chosen: Sequence[Change]) -> dict[str, bytes]:
        """Return the files by name, when of what may be there this is."""
        contents = {file: bytearray(data) for file, data in self.contents.items()}
        for item in chosen:
            if isinstance(item, Name):
                continue
            if isinstance(item, Length):
                data = contents.setdefault(item.file, bytearray())
                data[:] = data[: item.size].ljust(item.size, b"\0")
            else:
                data = contents.setdefault(item.file, bytearray())
                if len(data) < item.offset:
                    data.extend(bytes(item.offset - len(data)))
                data[item.offset : item.offset + len(item.data)] = item.data
        return {name: bytes(contents.get(file, b"")) for name, file in self.named(chosen).items()}


def moments(steps: Sequence[Step]) -> Iterator[Moment]:
    """Give the points that matter: before each sync, when most is open, and after each word.

    A state at any other point is one of these with the later changes missing.
    """
    disk = Moment({}, {}, (), ())
    for step in steps:
        if isinstance(step, Sync):
            yield disk
            done = tuple(item for item in disk.pending if _belongs(item, step))
            left = tuple(item for item in disk.pending if not _belongs(item, step))
            disk = Moment(*_settle(disk, done), left, disk.said)
        elif isinstance(step, Said):
            disk = Moment(disk.contents, disk.names, disk.pending, (*disk.said, step.text))
            yield disk
        else:
            disk = Moment(disk.contents, disk.names, (*disk.pending, step), disk.said)
    yield disk


def _belongs(item: Change, sync: Sync) -> bool:
    return isinstance(item, Name) if sync.file is None else not isinstance(item, Name) and item.file == sync.file


def _settle(disk: Moment, done: tuple[Change, ...]) -> tuple[dict[int, bytes], dict[str, int]]:
    # By number instead of by name, so that files without a lasting name are kept as well.
    numbers = {*disk.contents, *(item.file for item in done if not isinstance(item, Name))}
    by_number = Moment(disk.contents, {str(file): file for file in numbers}, (), ())
    contents = by_number.files([item for item in done if not isinstance(item, Name)])
    return {int(number): data for number, data in contents.items()}, disk.named(done)


def open_changes(moment: Moment, sector: int) -> list[Change]:
    """Return what may be on the disk or not, each by itself."""
    pieces: list[Change] = []
    for item in moment.pending:
        pieces += item.pieces(sector) if isinstance(item, Write) else [item]
    return pieces


@dataclass(frozen=True)
class Slot:
    """Open changes of which the last one that is there hides all others: writes of one place, else a single change."""

    options: tuple[Placed, ...]

    @property
    def choices(self) -> tuple[tuple[Placed, ...], ...]:
        """None of them, or one."""
        return ((), *((option,) for option in self.options))


def slots(moment: Moment, sector: int) -> list[Slot]:
    """Return the open changes, those of one place together. What a slot is goes in the order of its last change."""
    found: dict[object, list[tuple[int, Change]]] = {}
    for number, item in enumerate(open_changes(moment, sector)):
        place = (item.file, item.offset, len(item.data)) if isinstance(item, Write) else number
        found.setdefault(place, []).append((number, item))
    return sorted((Slot(tuple(options)) for options in found.values()), key=lambda slot: slot.options[-1][0])


def states(moment: Moment, sector: int) -> int:
    """Return how many states a disk may be in, that differ in their bytes, at most."""
    return math.prod(len(slot.choices) for slot in slots(moment, sector))


def choices(moment: Moment, sector: int) -> Iterator[tuple[Change, ...]]:
    """Give which open changes of one database may be there: every choice that makes other bytes, where they are few.

    Else the pieces of a transaction are on their way into the log, or those of pages out of it: see `one_for_each_reading`.
    """
    yield from _all(slots(moment, sector)) if is_few(moment, sector) else one_for_each_reading(moment, sector)


def one_for_each_reading(moment: Moment, sector: int) -> Iterator[tuple[Change, ...]]:
    """Give one choice for each thing that SQLite can read of database and log (`power_reader`), with each choice of all else.

    Raises ValueError where those are too many, too.
    """
    name = _database(moment)
    pieces, others = _apart(moment, slots(moment, sector))
    of_logs: dict[int | None, list[tuple[Placed, ...]]] = {}
    for rest in product(*(slot.choices for slot in others)):
        beside = list(chain(*rest))
        names = moment.named(item for _, item in beside)
        log, database = names.get(name + LOG), names.get(name)
        if log not in of_logs:
            of_logs[log] = list(_ways(moment, pieces, log))
        for of_log in of_logs[log]:
            there = [*beside, *of_log]
            content = moment.files(_in_order(there)).get(name + LOG, b"")
            for of_pages in _pages(pieces, database, content):
                yield _in_order([*there, *of_pages])


def is_few(moment: Moment, sector: int) -> bool:
    """Tell whether all states that differ in their bytes can be tried."""
    return states(moment, sector) <= ALL_STATES_UPTO


def by_chance(moment: Moment, sector: int, seeded: random.Random) -> Iterator[tuple[Change, ...]]:
    """Give other choices where not all are tried: of the pieces regular ones and some by chance, with the newest of all else and with none."""
    if is_few(moment, sector):
        return
    open_slots = slots(moment, sector)
    pieces, others = _apart(moment, open_slots)
    for beside in ([], [slot.options[-1] for slot in others]):
        for chosen in _some(len(pieces), seeded):
            yield _in_order([*beside, *(pieces[index].options[-1] for index in chosen)])


def _apart(moment: Moment, open_slots: Sequence[Slot]) -> tuple[list[Slot], list[Slot]]:
    """Return the pieces of the log and of the database's pages, and all else. Raises ValueError where that is more than can be tried."""
    names = _names(moment)
    log, database = (names.get(_database(moment) + end) for end in (LOG, ""))
    pieces: list[Slot] = []
    others: list[Slot] = []
    for slot in open_slots:
        is_piece = isinstance(slot.options[-1][1], Write) and _file(slot) in {log, database}
        (pieces if is_piece else others).append(slot)
    if math.prod(len(slot.choices) for slot in others) > ALL_STATES_UPTO:
        raise ValueError("what is open beside the log and the pages is too much to be tried")
    if any(isinstance(slot.options[-1][1], Length) and _file(slot) == log for slot in others):
        raise ValueError("a log whose length is open is not understood")
    return pieces, others


def _ways(moment: Moment, pieces: Sequence[Slot], log: int | None) -> Iterator[tuple[Placed, ...]]:
    """Give the choices of the log's pieces: one for each front that it may have."""
    content = b"" if log is None else moment.contents.get(log, b"")
    places = [[(option, _piece(option)) for option in slot.options] for slot in pieces if _file(slot) == log]
    yield from power_reader.ways(content, places)


def _pages(pieces: Sequence[Slot], database: int | None, log: bytes) -> Iterator[list[Placed]]:
    """Give the choices of the database's pieces: all of those that are read, each with none of the others and with all."""
    found = power_reader.read_log(log)
    read: list[Slot] = []
    hidden: list[Placed] = []
    for slot in pieces:
        if _file(slot) == database:
            place = _piece(slot.options[-1]).offset
            number = place // PAGE_BYTES + 1
            from_the_file = not found.size or (number <= found.size and number not in found.pages)
            if from_the_file or place < power_reader.HEADER_BYTES:
                read.append(slot)
            else:
                hidden.append(slot.options[-1])
    if math.prod(len(slot.choices) for slot in read) > ALL_STATES_UPTO:
        raise ValueError("what is open of pages that the log doesn't have is too much to be tried")
    for chosen in product(*(slot.choices for slot in read)):
        for beside in ([], hidden) if hidden else ([],):
            yield [*chain(*chosen), *beside]


def _piece(option: Placed) -> Piece:
    item = option[1]
    assert isinstance(item, Write)
    return Piece(item.offset, item.data)


def _file(slot: Slot) -> int | None:
    return slot.options[-1][1].file


def _database(moment: Moment) -> str:
    """Return the database's name. Raises ValueError where there is none with a log."""
    (name, *others) = {item.removesuffix(LOG) for item in _names(moment) if item.endswith(LOG)} or {""}
    if not name or others:
        raise ValueError("what is open is not one database's with its log")
    return name


def _names(moment: Moment) -> dict[str, int]:
    """Return the names that there are or may be, and the files."""
    return moment.named(item for item in moment.pending if isinstance(item, Name) and item.file is not None)


def _all(open_slots: Sequence[Slot]) -> Iterator[tuple[Change, ...]]:
    for chosen in product(*(slot.choices for slot in open_slots)):
        yield _in_order(chain(*chosen))


def _in_order(chosen: Iterable[tuple[int, Change]]) -> tuple[Change, ...]:
    return tuple(item for _, item in sorted(chosen, key=itemgetter(0)))


def _some(count: int, seeded: random.Random) -> Iterator[tuple[int, ...]]:
    """Give regular choices of pieces, and some by chance."""
    every = tuple(range(count))
    for index in range(count + 1):
        yield every[:index]  # torn here
        yield every[index:]  # the beginning came last
    for index in every:
        yield (*every[:index], *every[index + 1 :])
        yield (index,)
    for _ in range(RANDOM_SUBSETS):
        share = seeded.random()
        yield tuple(index for index in every if seeded.random() < share)
