"""Small files that the agent must go on with: while the disk refuses them, what is kept is in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import structlog

from agents.database import COUNT_TABLE, Database, DatabaseError, Rescue

T = TypeVar("T")

log = structlog.get_logger()


class Enduring(Database):
    """A Database that works while its file doesn't: disk full, read-only, failing.

    The stand-in in memory begins with what can still be read of the file. When the file can be written again, what was
    written meanwhile goes into it; what was deleted meanwhile may come back. Until then it is lost when the process
    ends: nothing may be kept here alone that others were promised.
    """

    def __init__(self, path: Path, schema: str, rescue: Rescue | None = None) -> None:
        """Open or make the file, or stand in for it. Raises nothing for a disk that refuses."""
        self._memory: sqlite3.Connection | None = None
        super().__init__(path, schema, rescue, patient=True)
        if self.problem is not None:
            self._stand_in(self.problem)

    def close(self) -> None:
        """Close the file; what stands in for it is gone."""
        with self._lock:
            self.try_again()
            if self._memory is not None:
                self._memory.close()
                self._memory = None
            super().close()

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction, on the file or on what stands in for it. Raises DatabaseError: closed, held by others."""
        with self._lock:
            if self._memory is not None:
                return self._in_memory(self._memory, work)
            try:
                return super().run(work)
            except DatabaseError as error:
                if error.busy or self._closed:
                    raise
                return self._in_memory(self._stand_in(str(error)), work)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as `run` does: what stands in for the file is read where it does."""
        return self.run(work)

    def try_again(self) -> None:
        """Where the file can be written again, put into it what was kept in memory; to be called now and then."""
        with self._lock:
            if self._memory is None:
                return
            try:
                super().run(self._bring_back)
            except DatabaseError:
                return
            self._memory.close()
            self._memory = None
        log.info("the file can be written again; what was kept in memory is in it", file=str(self.path))

    def _stand_in(self, why: str) -> sqlite3.Connection:
        log.error("kept in memory until the file can be written again", file=str(self.path), reason=why)
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for statement in self._schema.split(";"):
            self._memory.execute(statement)
        with suppress(sqlite3.Error, UnicodeDecodeError, DatabaseError), closing(self._as_it_lies()) as source:
            _copy(source, self._memory)
        return self._memory

    def _as_it_lies(self) -> sqlite3.Connection:
        """Open the file for reading alone: with its log where that can be had, else as it was at its last checkpoint.

        Raises DatabaseError where it is another agent's.
        """
        self._keep_to_folder()
        for how in ("mode=ro", "immutable=1"):
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?{how}", uri=True)
            try:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            except sqlite3.Error:
                connection.close()
            else:
                return connection
        raise sqlite3.OperationalError("nothing of it can be read")

    def _in_memory(self, memory: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        memory.execute("BEGIN")
        try:
            done = work(memory)
        except BaseException:
            memory.execute("ROLLBACK")
            raise
        memory.execute("COMMIT")
        return done

    def _bring_back(self, connection: sqlite3.Connection) -> None:
        if self._memory is not None:
            _copy(self._memory, connection)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Put every row of `source` into `target`, in place of what stands there under the same key."""
    tables = [name for (name,) in target.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()]
    for table in (name for name in tables if name != COUNT_TABLE):
        rows = source.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608  (a name of our own schema)
        if rows:
            places = ", ".join("?" * len(rows[0]))
            target.executemany(f'INSERT OR REPLACE INTO "{table}" VALUES ({places})', rows)  # noqa: S608
