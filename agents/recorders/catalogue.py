"""What is known of the folders of a tree of recordings: a SQLite file beside the agent's state, for one recorder."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agents.database import Database, DatabaseError
from monitor.model.span import Int64Array, Millis

_TABLES = """
CREATE TABLE IF NOT EXISTS tree (only INTEGER PRIMARY KEY CHECK (only = 1), reading TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS shelf (
    camera TEXT NOT NULL,
    day INTEGER NOT NULL,
    folder BLOB NOT NULL,
    stamp BLOB NOT NULL,
    verified_at INTEGER NOT NULL,
    tail BLOB NOT NULL,
    segments BLOB NOT NULL,
    names BLOB NOT NULL,
    PRIMARY KEY (camera, day, folder)
)
"""
_COLUMNS = 4
_ROW_BYTES = 8 * _COLUMNS
BETWEEN = b"\0"
"""Between names that are kept in one: no name of a file holds it."""


class Place(NamedTuple):
    """Which folder (below the root, in the file system's bytes), and which day of it (as date.toordinal counts)."""

    folder: bytes
    day: int


Joined = tuple[int, bytes]
"""How many names, and these with BETWEEN between them."""


class Named(NamedTuple):
    """A camera's day of a folder, and the names of its files."""

    camera: str
    day: int
    names: Joined


@dataclass(frozen=True, eq=False, slots=True)
class Shelf:
    """What one folder holds of one camera and day."""

    stamp: bytes
    """The folder's when its names were read; empty when it had changed so lately that it may do so unseen."""
    verified_at: Millis
    """When each of its files was last looked at."""
    tail: tuple[bytes, ...]
    """The last names: what may still change without a change of the folder."""
    segments: Int64Array
    """Shape (n, 4), in order of time: start, end (UTC ms), bytes, change time (ns). See segments.Segment."""
    names: tuple[bytes, ...] | None = None
    """In the same order; None when they weren't asked for."""

    def __eq__(self, other: object) -> bool:
        """Two are equal when they say the same, names included."""
        mine = self.stamp, self.verified_at, self.tail, self.names
        return (
            isinstance(other, Shelf)
            and mine == (other.stamp, other.verified_at, other.tail, other.names)
            and np.array_equal(self.segments, other.segments)
        )

    def __hash__(self) -> int:
        """Hash by the folder's stamp and the names."""
        return hash((self.stamp, self.names))


class Catalogue:
    """Keeps shelves. It is a memory and no more: where the file can't be used nothing is known, and all is read again."""

    def __init__(self, path: Path | None, reading: str) -> None:
        """Open `path` on first use; None keeps nothing. `reading`: by which rules paths are read, other ones begin anew."""
        self._path, self._reading = path, reading
        self._database: Database | None = None
        self.trouble = ""
        """Why nothing could be kept, for people."""

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def shelves(self, camera: str, first_day: int, last_day: int) -> dict[Place, Shelf]:
        """Return what is known of a camera's days, without names."""

        def work(connection: sqlite3.Connection) -> list[tuple[bytes, int, bytes, int, bytes, bytes]]:
            return connection.execute(
                "SELECT folder, day, stamp, verified_at, tail, segments FROM shelf"
                " WHERE camera = ? AND day BETWEEN ? AND ?",
                (camera, first_day, last_day),
            ).fetchall()

        rows: list[tuple[bytes, int, bytes, int, bytes, bytes]] = []
        with suppress(DatabaseError):
            database = self._open()
            rows = database.run(work) if database else []
        whole = [row for row in rows if len(row[5]) % _ROW_BYTES == 0]
        segments = _array(b"".join(row[5] for row in whole))
        found: dict[Place, Shelf] = {}
        at = 0
        for folder, day, stamp, verified_at, tail, stored in whole:
            begin, at = at, at + len(stored) // _ROW_BYTES
            last = _names(tail)
            if len(last) <= at - begin:
                found[Place(folder, day)] = Shelf(stamp, verified_at, last, segments[begin:at])
        return found

    def names(self, camera: str, place: Place) -> tuple[bytes, ...]:
        """Return the names of a shelf's files; none when it isn't known."""

        def work(connection: sqlite3.Connection) -> tuple[bytes] | None:
            row: tuple[bytes] | None = connection.execute(
                "SELECT names FROM shelf WHERE camera = ? AND day = ? AND folder = ?", (camera, place.day, place.folder)
            ).fetchone()
            return row

        with suppress(DatabaseError):
            database = self._open()
            row = database.run(work) if database else None
            return _names(row[0]) if row is not None else ()
        return ()

    def folder(self, folder: bytes, camera: str | None) -> list[Named]:
        """Return the names of all files that are known of a folder, of one camera or of all."""

        def work(connection: sqlite3.Connection) -> list[tuple[str, int, int, bytes]]:
            columns = "SELECT camera, day, length(segments), names FROM shelf WHERE folder = ?"
            if camera is None:
                return connection.execute(columns, (folder,)).fetchall()
            return connection.execute(f"{columns} AND camera = ?", (folder, camera)).fetchall()

        rows: list[tuple[str, int, int, bytes]] = []
        with suppress(DatabaseError):
            database = self._open()
            rows = database.run(work) if database else []
        # One that contradicts itself counts as not known.
        held = [row for row in rows if row[3] and (row[3].count(BETWEEN) + 1) * _ROW_BYTES == row[2]]
        return [Named(owner, day, (size // _ROW_BYTES, names)) for owner, day, size, names in held]

    def cameras(self, folder: bytes, first_day: int, last_day: int) -> set[str]:
        """Return the cameras of which files in a folder are known, of these days."""

        def work(connection: sqlite3.Connection) -> list[tuple[str]]:
            return connection.execute(
                "SELECT DISTINCT camera FROM shelf WHERE folder = ? AND day BETWEEN ? AND ? AND length(segments) > 0",
                (folder, first_day, last_day),
            ).fetchall()

        with suppress(DatabaseError):
            database = self._open()
            return {camera for (camera,) in database.run(work)} if database else set()
        return set()

    def put(
        self,
        camera: str,
        shelves: Mapping[Place, Shelf],
        *,
        marked: Mapping[Place, Shelf] | None = None,
        gone: Sequence[Place] = (),
    ) -> None:
        """Keep shelves with their names, stamp and tail of those that are `marked`, and forget what is gone: all or nothing."""
        rows = [
            (camera, place.day, place.folder, one.stamp, one.verified_at, BETWEEN.join(one.tail),
             one.segments.tobytes(), BETWEEN.join(one.names or ()))
            for place, one in shelves.items()
        ]  # fmt: skip

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO shelf VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            connection.executemany(
                "UPDATE shelf SET stamp = ?, tail = ? WHERE camera = ? AND day = ? AND folder = ?",
                [
                    (one.stamp, BETWEEN.join(one.tail), camera, place.day, place.folder)
                    for place, one in (marked or {}).items()
                ],
            )
            connection.executemany(
                "DELETE FROM shelf WHERE camera = ? AND day = ? AND folder = ?",
                [(camera, place.day, place.folder) for place in gone],
            )

        try:
            database = self._open()
            if database is not None:
                database.run(work)
            self.trouble = ""
        except DatabaseError as error:
            self.trouble = str(error)

    def _open(self) -> Database | None:
        if self._path is None or self._database is not None:
            return self._database
        self._database = Database(self._path, _TABLES)
        self._database.run(self._check_reading)
        return self._database

    def _check_reading(self, connection: sqlite3.Connection) -> None:
        """Forget what was read by other rules (another path, another time zone)."""
        row = connection.execute("SELECT reading FROM tree").fetchone()
        if row is None or row[0] != self._reading:
            connection.execute("DELETE FROM shelf")
            connection.execute("INSERT OR REPLACE INTO tree (only, reading) VALUES (1, ?)", (self._reading,))


def _names(joined: bytes) -> tuple[bytes, ...]:
    return tuple(joined.split(BETWEEN)) if joined else ()


def _array(stored: bytes) -> Int64Array:
    return np.frombuffer(stored, dtype=np.int64).reshape(-1, _COLUMNS)
