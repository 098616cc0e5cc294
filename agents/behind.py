"""Few small values of a database, read from memory and written beside: for those who must not wait for the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from agents.beside import Beside
from agents.database import Database, DatabaseError

Write = Callable[[sqlite3.Connection, str, str | None], None]
"""Puts one value under its key, or forgets it (None)."""


class Behind:
    """What a table holds, by key. `get` and `put` touch no disk; what was put is written at once, in a thread of its own.

    Several values that wait together are one transaction. What the disk refuses waits on, for the next `settle`.
    """

    def __init__(self, name: str, database: Database, select: str, write: Write) -> None:
        """Read everything; `select` yields keys and values. The database is closed with this. Raises DatabaseError."""
        self._database, self._select, self._write = database, select, write
        self._beside = Beside(name)
        self._lock = Lock()
        """Guards the two dictionaries, and is never held while the disk is waited for."""
        self._values: dict[str, str] = {}
        self._unwritten: dict[str, str | None] = {}
        self._read_from: tuple[sqlite3.Connection, int] | None = None
        """The connection by which the values were read, and what others had committed by then."""
        self._read()

    def get(self, key: str) -> str | None:
        """Return the value as it was last put, by this process or before the last `settle` by another; None without one."""
        with self._lock:
            return self._unwritten[key] if key in self._unwritten else self._values.get(key)

    def put(self, key: str, value: str | None) -> None:
        """Keep a value, or forget it (None). It is on the disk after the next `settle`, unless the disk refuses it."""
        if self._beside.closed:
            raise DatabaseError(f"{self._database.path} is closed")
        with self._lock:
            self._unwritten[key] = value
        self._beside.later(self._write_quietly)

    def settle(self) -> None:
        """Wait until all that was put is written, and read what other processes put. For a thread. Raises DatabaseError."""
        if self._beside.closed:
            raise DatabaseError(f"{self._database.path} is closed")
        self._beside.wait_for(self._settled)

    def close(self) -> None:
        """Write what is still to be written, and close the file."""
        self._beside.later(self._write_quietly)
        self._beside.finish()
        self._database.close()

    def _settled(self) -> None:
        self._write_down()
        self._read()

    def _write_quietly(self) -> None:
        with suppress(DatabaseError):  # the next `settle` tells it
            self._write_down()

    def _write_down(self) -> None:
        with self._lock:
            batch = dict(self._unwritten)
        if not batch:
            return

        def work(connection: sqlite3.Connection) -> None:
            for key, value in batch.items():
                self._write(connection, key, value)

        self._database.run(work)
        with self._lock:
            for key, value in batch.items():
                if value is None:
                    self._values.pop(key, None)
                else:
                    self._values[key] = value
                if self._unwritten[key] is value:  # else another one was put meanwhile
                    del self._unwritten[key]

    def _read(self) -> None:
        """Read the table, unless nobody else has written to it since; while it can't be used, what is in memory holds."""
        rows = self._database.read(self._rows)
        if rows is not None:
            with self._lock:
                self._values = dict(rows)

    def _rows(self, connection: sqlite3.Connection) -> list[tuple[str, str]] | None:
        now = connection, int(connection.execute("PRAGMA data_version").fetchone()[0])
        if now == self._read_from or (self._read_from is not None and self._database.problem is not None):
            return None
        self._read_from = now
        return connection.execute(self._select).fetchall()
