"""What a disk may hold after the power went: files by the writes and syncs that a process made, as strace saw them.

A write, a new length, a new name and a removed name are on the disk for sure only after a sync of their file (names: of
their folder; nothing is taken for granted of any file system). Until then each may be there or not, whatever came after
it, and of a write each sector by itself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path

CALLS = ("openat", "pwrite64", "write", "ftruncate", "fsync", "fdatasync", "unlink", "rename")
ALL_SUBSETS_UPTO = 6
"""Open changes of which every choice is tried; of more (they have 128 choices and up) some are."""
RANDOM_SUBSETS = 24


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


def choices(moment: Moment, sector: int, seeded: random.Random) -> Iterator[tuple[Change, ...]]:
    """Give which open changes may be there: every choice where they are few, else the regular ones and some by chance."""
    pieces = open_changes(moment, sector)
    for chosen in _choices(len(pieces), seeded):
        yield tuple(pieces[index] for index in chosen)


def _choices(count: int, seeded: random.Random) -> Iterator[tuple[int, ...]]:
    every = tuple(range(count))
    if count <= ALL_SUBSETS_UPTO:
        for size in range(count + 1):
            yield from combinations(every, size)
        return
    for index in range(count + 1):
        yield every[:index]  # torn here
        yield every[index:]  # the beginning came last
    for index in every:
        yield (*every[:index], *every[index + 1 :])
        yield (index,)
    for _ in range(RANDOM_SUBSETS):
        share = seeded.random()
        yield tuple(index for index in every if seeded.random() < share)
