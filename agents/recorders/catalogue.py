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
_BETWEEN = b"\0"


class Place(NamedTuple):
    """Which folder (below the root, in the file system's bytes), and which day of it (as date.toordinal counts)."""

    folder: bytes
    day: int


@dataclass(frozen=True, eq=False)
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

        found: dict[Place, Shelf] = {}
        with suppress(DatabaseError):
            database = self._open()
            for folder, day, stamp, verified_at, tail, segments in database.run(work) if database else ():
                last = _names(tail)
                if len(segments) % _ROW_BYTES == 0 and len(last) <= len(segments) // _ROW_BYTES:
                    found[Place(folder, day)] = Shelf(stamp, verified_at, last, _array(segments))
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

    def put(self, camera: str, shelves: Mapping[Place, Shelf], gone: Sequence[Place] = ()) -> None:
        """Keep shelves with their names, and forget those that are gone: all of it, durably, or nothing."""
        rows = [
            (camera, place.day, place.folder, one.stamp, one.verified_at, _BETWEEN.join(one.tail),
             one.segments.tobytes(), _BETWEEN.join(one.names or ()))
            for place, one in shelves.items()
        ]  # fmt: skip

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO shelf VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
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
    return tuple(joined.split(_BETWEEN)) if joined else ()


def _array(stored: bytes) -> Int64Array:
    return np.frombuffer(stored, dtype=np.int64).reshape(-1, _COLUMNS)
