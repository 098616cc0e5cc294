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

CALLS = ("openat", "pwrite64", "write", "ftruncate", "fsync", "fdatasync", "unlink", "rename")
ALL_STATES_UPTO = 1 << 14
"""States that differ in their bytes: of a point that allows no more all are tried."""
RANDOM_SUBSETS = 24
COUNTED = "-commits"
"""The small file beside a database that counts its commits: one place that is written again and again."""
LOG, LOG_HEADER_BYTES, FRAME_HEADER_BYTES, PAGE_BYTES = "-wal", 32, 24, 4096
"""SQLite's log: its name's end, and how long what is in it is (sqlite.org/fileformat2.html#walformat)."""


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

    def files(self, chosen: Sequence[Change]) -> dict[str, bytes]:
        """Return the files by name, when of what may be there this is."""
        contents = {file: bytearray(data) for file, data in self.contents.items()}
        names = dict(self.names)
        for item in chosen:
            if isinstance(item, Name):
                names.pop(item.name, None)
                names |= {} if item.file is None else {item.name: item.file}
            elif isinstance(item, Length):
                data = contents.setdefault(item.file, bytearray())
                data[:] = data[: item.size].ljust(item.size, b"\0")
            else:
                data = contents.setdefault(item.file, bytearray())
                if len(data) < item.offset:
                    data.extend(bytes(item.offset - len(data)))
                data[item.offset : item.offset + len(item.data)] = item.data
        return {name: bytes(contents.get(file, b"")) for name, file in names.items()}


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
    names = dict(disk.names)
    for item in done:
        if isinstance(item, Name):
            names.pop(item.name, None)
            names |= {} if item.file is None else {item.name: item.file}
    return {int(number): data for number, data in contents.items()}, names


def open_changes(moment: Moment, sector: int) -> list[Change]:
    """Return what may be on the disk or not, each by itself."""
    pieces: list[Change] = []
    for item in moment.pending:
        pieces += item.pieces(sector) if isinstance(item, Write) else [item]
    return pieces


@dataclass(frozen=True)
class Slot:
    """Open changes of which the last one that is there hides all others: writes of one place, else a single change."""

    options: tuple[tuple[int, Change], ...]
    """Each with its place among all open changes."""

    @property
    def choices(self) -> tuple[tuple[tuple[int, Change], ...], ...]:
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


def choices(moment: Moment, sector: int, seeded: random.Random) -> Iterator[tuple[Change, ...]]:
    """Give which open changes of one database may be there: every choice that makes other bytes, where they are few.

    Else there are the pieces of a transaction on their way into the log, or of pages on their way from the log into the
    database. Of a log SQLite reads the frames at its front that are whole, and of a database no page that its log has: so every
    number of whole frames is tried, and all pages and none, each with every choice of all else; and of the pieces the
    regular choices and some by chance, with the newest of all else and with none.
    """
    open_slots = slots(moment, sector)
    if states(moment, sector) <= ALL_STATES_UPTO:
        yield from _all(open_slots)
        return
    logs = _called(moment, LOG)
    many, few = _apart(moment, open_slots)
    ends = [place for place in range(len(many) + 1) if _is_end(many, place, logs)]
    for rest in product(*(slot.choices for slot in few)):
        for end in ends:
            yield _in_order([*chain(*rest), *(slot.options[-1] for slot in many[:end])])
    for beside in ([], [slot.options[-1] for slot in few]):
        for chosen in _some(len(many), seeded):
            yield _in_order([*beside, *(many[index].options[-1] for index in chosen)])


def _all(open_slots: Sequence[Slot]) -> Iterator[tuple[Change, ...]]:
    for chosen in product(*(slot.choices for slot in open_slots)):
        yield _in_order(chain(*chosen))


def _in_order(chosen: Iterable[tuple[int, Change]]) -> tuple[Change, ...]:
    return tuple(item for _, item in sorted(chosen, key=itemgetter(0)))


def _called(moment: Moment, end: str) -> set[int]:
    """Return the files that have a name with this end, or may have."""
    pending = [(item.name, item.file) for item in moment.pending if isinstance(item, Name)]
    names = [*moment.names.items(), *pending]
    return {file for name, file in names if file is not None and name.endswith(end)}


def _apart(moment: Moment, open_slots: Sequence[Slot]) -> tuple[list[Slot], list[Slot]]:
    """Return the pieces of logs and pages, and all else. Raises ValueError where that is too much to be tried."""
    small = _called(moment, COUNTED)
    many: list[Slot] = []
    few: list[Slot] = []
    for slot in open_slots:
        item = slot.options[-1][1]
        (many if isinstance(item, Write) and item.file not in small else few).append(slot)
    if math.prod(len(slot.choices) for slot in few) > ALL_STATES_UPTO:
        raise ValueError("what is open beside the log and the pages is too much to be tried")
    return many, few


def _is_end(many: Sequence[Slot], place: int, logs: set[int]) -> bool:
    """Tell whether a frame of the log, or the whole of it or of the pages, ends before this one of the pieces."""
    if place in {0, len(many)}:
        return True
    before, after = many[place - 1].options[-1][1], many[place].options[-1][1]
    assert isinstance(before, Write)
    assert isinstance(after, Write)
    return before.file != after.file or (after.file in logs and _frame(before) != _frame(after))


def _frame(piece: Write) -> int:
    """Return which frame of its log a piece is of; -1: the log's header."""
    return (piece.offset - LOG_HEADER_BYTES) // (FRAME_HEADER_BYTES + PAGE_BYTES)


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
