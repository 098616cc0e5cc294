"""SQLite files of the agent: durable, shared between processes, and set aside when they are damaged."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import structlog

log = structlog.get_logger()

BUSY_SECONDS = 15.0
"""So long another process (an `attest` beside the service) may hold the file."""

COUNTED = "-commits"
"""Ends the name of a small file beside the database that says how many commits it has had."""
COUNT_TABLE = "commits"
_COUNT_SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS {COUNT_TABLE} (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL) STRICT",
    f"INSERT OR IGNORE INTO {COUNT_TABLE} VALUES (1, 0)",  # noqa: S608  (our own name)
)
_COUNT = f"UPDATE {COUNT_TABLE} SET count = count + 1 RETURNING count"  # noqa: S608

_WRITE, _READ = "BEGIN IMMEDIATE", "BEGIN"

T = TypeVar("T")
Rescue = Callable[[sqlite3.Connection, sqlite3.Connection], None]
"""Copies rows from (damaged, fresh); may stop with sqlite3.Error at any point."""

KEEP_DAMAGED = 3
"""So many damaged files stay beside the live one: a dying disk must not fill itself."""

# What SQLite answers when the file itself is wrong; a full disk or a lock is another matter, and heals. No statement
# here can break a constraint of a sound file.
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_CONSTRAINT})
_DISK = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})
"""After a sync that failed nobody knows what is on the disk: what is open can't be believed."""
_PRIMARY = 0xFF
_SQLITE = (sqlite3.Error, UnicodeDecodeError)
"""Python decodes what SQLite says, names of damaged tables included, and may fail at it."""
_LOST_PARTS = ("no such table", "no such column", "has no column")


class DatabaseError(Exception):
    """The file can't be used now; the text is one sentence that names it."""

    busy = False
    """Another process holds it: it is sound."""


class Database:
    """One SQLite file (WAL, synchronous=FULL): what was committed is on the disk.

    A file that is damaged is renamed to NAME.damaged-N and a fresh one is begun: the agent never stops for it. So is one that has had
    more commits than are there: its log (-wal) is gone or cut short, or an older copy was put in its place, and SQLite alone would go
    on from there as if nothing had been promised since. A file beside it counts them, unsynced: it never says more than is on the disk.
    May be shared by threads; each thread's transaction is alone.
    """

    def __init__(self, path: Path, schema: str, rescue: Rescue | None = None, *, patient: bool = False) -> None:
        """Open or make the file with mode 0600; `rescue` copies what it can from a damaged file to the fresh one.

        Raises DatabaseError when the file can't be made; a `patient` one is tried again at each use instead.
        """
        self.path = path
        self._schema = schema
        self._rescue = rescue
        self._lock = threading.RLock()
        self.set_aside: list[Path] = []
        """Damaged files that this process put away."""
        self._file: int | None = None
        """The inode of the open file."""
        self._connection: sqlite3.Connection | None = None
        self._folder: int | None = None
        """The folder of the first opening, held so that its number is nobody else's."""
        self._closed = False
        self.problem: str | None = None
        """Why the file can't be used, one sentence; None when the last use went well."""
        try:
            self._connection = self._open()
        except DatabaseError as error:
            if not patient:
                self.close()
                raise
            self.problem = str(error)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            self._let_go()
            if self._folder is not None:
                os.close(self._folder)
                self._folder = None

    def _let_go(self) -> None:
        if self._connection is not None:
            # A last checkpoint that the disk refuses is no matter: the log stays.
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction, committed when this returns.

        When the file turns out to be damaged it is set aside and `work` runs once more on a fresh one. Raises
        DatabaseError when it can't be done now (disk full, locked): nothing was changed then.
        """
        with self._lock:
            done = self._noted(work, _WRITE)
            self.problem = None
            return done

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, as `run` does; it waits for nobody who writes, and nobody waits for it.

        That it went well says nothing of writing, so that `problem` stays.
        """
        with self._lock:
            return self._noted(work, _READ)

    def _noted(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        try:
            return self._run(work, begin)
        except DatabaseError as error:
            self.problem = str(error)
            raise

    def _run(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        if self._closed:
            raise DatabaseError(f"{self.path} is closed")
        if self._connection is None or self._is_elsewhere():
            self._let_go()
            self._connection = self._open()
        try:
            return self._transaction(work, begin)
        except _SQLITE as error:
            if not _is_damage(error):
                raise self._unusable(error) from error
            self._connection = self._begin_afresh(error)
        try:
            return self._transaction(work, begin)
        except _SQLITE as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> DatabaseError:
        """Say it in one sentence; after an error of the disk itself the file is opened and checked anew at its next use."""
        code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY
        if code in _DISK:
            self._let_go()
        found = DatabaseError(f"{self.path} can't be used: {error}")
        found.busy = code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        return found

    def _is_elsewhere(self) -> bool:
        """Tell whether another process (or a person) has put the file away: what is written to it would be lost."""
        try:
            return self._connection is not None and self.path.stat().st_ino != self._file
        except OSError:
            return True

    def _transaction(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        count = None
        with _transaction(self._live(), begin) as connection:
            before = connection.total_changes
            done = work(connection)
            if connection.total_changes != before:
                (count,) = connection.execute(_COUNT).fetchone() or (None,)
        if count is not None:
            self._counted(count)
        return done

    def _live(self) -> sqlite3.Connection:
        assert self._connection is not None  # noqa: S101  (for the type checker: `_run` opened it)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except _SQLITE as error:
            if not _is_damage(error):
                raise DatabaseError(f"{self.path} can't be opened: {error}; look at its owner and mode") from error
            return self._begin_afresh(error)

    def _begin_afresh(self, why: Exception) -> sqlite3.Connection:
        try:
            damaged = self._put_away()
            connection = self._connect()
        except OSError as error:
            raise DatabaseError(f"{self.path} is damaged and can't be set aside: {error.strerror}") from error
        except _SQLITE as error:
            raise DatabaseError(f"{self.path} can't be begun afresh: {error}") from error
        log.error(
            "a damaged file was set aside; what is whole of it is taken over",
            file=str(self.path),
            kept=damaged.name,
            reason=str(why),
        )
        if self._rescue is not None:
            with suppress(*_SQLITE), closing(sqlite3.connect(damaged)) as source, _transaction(connection):
                self._rescue(source, connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        self._keep_to_folder()
        try:
            self.path.touch(mode=0o600, exist_ok=True)
            self._file = self.path.stat().st_ino
        except OSError as error:
            raise DatabaseError(f"{self.path} can't be made: {error.strerror}") from error
        commits = self._commits()  # read before the database is: others may commit meanwhile
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise _damage("quick_check found damage")
            with _transaction(connection):
                for statement in (*self._schema.split(";"), *_COUNT_SCHEMA):
                    connection.execute(statement)
                (count,) = connection.execute(f"SELECT count FROM {COUNT_TABLE}").fetchone()  # noqa: S608
            if count < commits:
                raise _damage("the latest commits are gone")
        except _SQLITE:
            connection.close()
            raise
        return connection

    def _keep_to_folder(self) -> None:
        """Raise DatabaseError where another folder has taken the place of the one that the file lay in: its files are another agent's."""
        folder = self.path.parent
        try:
            if self._folder is None:
                self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            elif not os.path.samestat(os.fstat(self._folder), folder.stat()):
                raise DatabaseError(f"{self.path} can't be used: another folder was put in the place of {folder}")
        except OSError as error:
            raise DatabaseError(f"{self.path} can't be made: {error.strerror}") from error

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _counted(self, count: int) -> None:
        """Leave word of a commit. A disk that refuses that alone is no matter: the commit is there, its loss would go unnoticed."""
        with suppress(OSError):
            file = os.open(self._beside(COUNTED), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(file, b"%020d\n" % count, 0)
            finally:
                os.close(file)

    def _commits(self) -> int:
        """Return how many commits there were, at least; 0 where nobody knows."""
        try:
            return int(self._beside(COUNTED).read_bytes())
        except (OSError, ValueError):
            return 0

    def _put_away(self) -> Path:
        """Rename the file and its log; they stay for a person to look at."""
        self._let_go()
        places = [self.path.with_name(f"{self.path.name}.damaged-{number}") for number in range(1, KEEP_DAMAGED + 1)]
        free = [place for place in places if not place.exists()]
        target = free[0] if free else min(places, key=lambda place: place.stat().st_mtime)
        self._beside(COUNTED).unlink(missing_ok=True)
        for suffix in ("-wal", "-shm", ""):
            source = self._beside(suffix)
            if source.exists():
                source.replace(target.with_name(target.name + suffix))
        self.set_aside.append(target)
        return target


def _damage(text: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_damage(error: sqlite3.Error | UnicodeDecodeError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # Python's own: a text that is no UTF-8
        return isinstance(error, sqlite3.DatabaseError | UnicodeDecodeError)
    return code & _PRIMARY in _DAMAGED or any(part in str(error) for part in _LOST_PARTS)


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = _WRITE) -> Iterator[sqlite3.Connection]:
    connection.execute(begin)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has already rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
