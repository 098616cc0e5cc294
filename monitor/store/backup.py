"""A copy of a SQLite database while it is used, and whether one that was put in its place is whole."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine


class BackupError(Exception):
    """A copy that can't be made, or a database that can't be used; the text is one sentence that says what to do."""


def back_up(engine: Engine, path: Path) -> None:
    """Write all that is committed now to a new file, durably, readable by its owner alone. Raises BackupError.

    Reports go on coming in meanwhile. A copy of the file alone would lack what is in its log (`-wal`).
    """
    source = _file(engine)
    if source is None:
        raise BackupError("a PostgreSQL database is copied by its own tools: pg_dump, or a base backup with its log")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise BackupError(f"{path} is there already: name another file") from None
    except OSError as error:
        raise BackupError(f"{path} can't be written: {error.strerror}") from None
    try:
        with closing(_reader(source)) as here, closing(sqlite3.connect(path)) as there:
            here.backup(there)
            there.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            found = _damage(there)
        if found is not None:
            raise BackupError(f"{source} is damaged, so no copy was made: {found}")
        _sync(path)
    except BaseException as error:
        with suppress(OSError):
            path.unlink()  # half a copy would be taken for one
        if isinstance(error, sqlite3.Error | OSError):
            raise BackupError(f"{path} can't be written: {str(error).partition(chr(10))[0]}") from None
        raise


def check_whole(engine: Engine) -> None:
    """Look through a SQLite file that was not closed: after a crash, or beside the log of another one. Raises BackupError.

    SQLite takes a log for the file's own: where somebody put a backup in the file's place and left the log, the two
    become one database that is neither, and reports would be acknowledged into it. Nothing is changed here.
    """
    path = _file(engine)
    if path is None or not _has_log(path):
        return
    try:
        with closing(_reader(path)) as connection:
            found = _damage(connection)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            return  # locked, or not to be read: whoever opens it for use says so
        found = str(error).partition("\n")[0]
    if found is not None:
        raise BackupError(
            f"the database {path} is damaged ({found}): put a backup in its place, without a {path.name}-wal and a"
            f" {path.name}-shm beside it, which belong to the file of before; agents send again what they still have"
        )


def _file(engine: Engine) -> Path | None:
    name = engine.url.database
    return Path(name) if engine.dialect.name == "sqlite" and name else None


def _has_log(path: Path) -> bool:
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except OSError:
        return False


def _reader(path: Path) -> sqlite3.Connection:
    """Open a file to read it alone: who may write puts the log into the file when he closes it."""
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)


def _damage(connection: sqlite3.Connection) -> str | None:
    said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return None if said == "ok" else said.strip().splitlines()[-1]


def _sync(path: Path) -> None:
    for item, flags in ((path, os.O_RDWR), (path.absolute().parent, os.O_RDONLY)):
        descriptor = os.open(item, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
