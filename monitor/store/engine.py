"""Opens the database: SQLite by default, PostgreSQL by URL; reading and writing transactions."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from monitor.store.patience import UNHURRIED, Patience

DEFAULT_URL = "sqlite:///cradlewatch.db"
"""A file in the working directory: one machine needs no database server."""

BUSY_SECONDS = 30
"""How long a writer waits for another one on SQLite."""

LEAST_FREE = 1024 * 1024
"""So many bytes have to be free on the disk of a SQLite file: less, and a report may not be stored any more."""

KEPT_CONNECTIONS = 10
MOST_CONNECTIONS = 40
"""To PostgreSQL, of a process: so many stay open, and so many are open when many ask at once."""

_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


class DatabaseUrlError(ValueError):
    """A database URL that can't be used; its sentence never holds the URL, which may hold a password."""


def parse_url(text: str) -> URL:
    """Return the URL with the driver that we use. Raises DatabaseUrlError for anything but SQLite and PostgreSQL."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number; both may repeat the password
        msg = "the database URL can't be read; write sqlite:///FILE or postgresql://USER@HOST:PORT/DATABASE"
        raise DatabaseUrlError(msg) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        msg = f"the database {url.get_backend_name()!r} is not supported; use sqlite or postgresql"
        raise DatabaseUrlError(msg)
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        msg = "a database in memory forgets what it acknowledged; name a file: sqlite:///FILE"
        raise DatabaseUrlError(msg)
    return url


def open_engine(text: str = DEFAULT_URL, connections: int = MOST_CONNECTIONS, patience: Patience = UNHURRIED) -> Engine:
    """Return an engine for the URL, with at most so many connections. Raises DatabaseUrlError. Nothing is contacted yet.

    `patience` is for PostgreSQL: SQLite is a file, and who waits there waits for another writer.
    """
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    from monitor.store.patient_connection import wait_as_told  # PostgreSQL's driver: who has SQLite starts the sooner

    engine = create_engine(
        url,
        pool_size=min(KEPT_CONNECTIONS, connections),
        max_overflow=max(0, connections - KEPT_CONNECTIONS),
        pool_timeout=patience.queue,
        connect_args={"application_name": "cradlewatch"},
    )
    wait_as_told(engine, patience)
    return engine


def with_patience(engine: Engine, patience: Patience) -> Engine:
    """Return an engine for the same database whose statements may take so long: the same one on SQLite, where writers take turns."""
    if engine.dialect.name == "sqlite":
        return engine
    return open_engine(engine.url.render_as_string(hide_password=False), patience=patience)


_ONLY_READS = "25006"
"""PostgreSQL's word (SQLSTATE) for what can't be written because the server, or the database, only reads."""


def is_away(error: Exception) -> bool:
    """Tell whether the database doesn't answer or takes nothing now, whatever it is asked: the same may pass later."""
    if isinstance(error, DBAPIError):
        only_reads = getattr(error.orig, "sqlstate", None) == _ONLY_READS
        return isinstance(error, OperationalError) or error.connection_invalidated or only_reads
    return isinstance(error, PoolTimeout)


def in_its_words(error: Exception) -> str:
    """Return what the database says of an error, such as that its disk is full: one line, and nothing that a statement was given."""
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return said.partition("\n")[0][:200]


def is_full(engine: Engine) -> bool:
    """Tell whether the disk of a SQLite file takes nothing more, or is only read. A PostgreSQL server sees to its own."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        return False
    disk = os.statvfs(Path(path).absolute().parent)
    return disk.f_bavail * disk.f_frsize < LEAST_FREE or bool(disk.f_flag & os.ST_RDONLY)


_FSYNC_OFF = "PostgreSQL is set to fsync=off: a power cut loses reports that agents have deleted, and may spoil the database; set it on"
_COMMIT_OFF = (
    "PostgreSQL is set to synchronous_commit=off: this program's connections set it on, but behind a PgBouncer that pools by"
    " transaction others may be used; set it on at the server"
)


def forgets(connection: Connection) -> list[str]:
    """Return what PostgreSQL is set to that lets it lose in a power cut what it has committed: sentences, none where all is well."""
    if connection.dialect.name != "postgresql":
        return []
    query = (
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND reset_val = 'off' ORDER BY name"
    )
    sentences = {"fsync": _FSYNC_OFF, "synchronous_commit": _COMMIT_OFF}
    return [sentences[name] for name in connection.exec_driver_sql(query).scalars()]


def only_reads(connection: Connection) -> bool:
    """Tell whether PostgreSQL would refuse to write: a standby, or set so. SQLite says it when it is written to, no sooner."""
    if connection.dialect.name != "postgresql":
        return False
    return str(connection.exec_driver_sql("SHOW transaction_read_only").scalar_one()) == "on"


def _owners_alone(connection: Any) -> None:
    """Keep the file from other users of the machine: it has who may sign in, and every institution's readings."""
    for _, name, file in connection.execute("PRAGMA database_list").fetchall():
        if name == "main" and file:
            with contextlib.suppress(OSError):  # another user's file: its owner decides
                Path(file).chmod(0o600)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Make SQLite durable (WAL, every commit synced) and strict about references."""
    _owners_alone(connection)
    connection.isolation_level = None  # the driver's own BEGIN comes too late: ours is sent by _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin as a writer where a write will come: a reader that turns writer can't wait for its turn (SQLITE_BUSY)."""
    writes = connection.get_execution_options().get("cradlewatch_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def reading(engine: Engine, isolation: IsolationLevel | None = None) -> Iterator[Session]:
    """Give a session over one transaction that only reads: PostgreSQL refuses to write, SQLite rolls it back at the end."""
    options: dict[str, Any] = {"postgresql_readonly": True}
    if isolation is not None:
        options["isolation_level"] = isolation
    with Session(engine) as session:
        # Told to the connection: an engine with options of its own, made at each use, costs as much as a statement.
        session.connection(execution_options=options)
        yield session


@contextmanager
def snapshot(engine: Engine) -> Iterator[Session]:
    """Give a session that only reads and sees one moment, however long it reads and whatever comes in meanwhile."""
    # On SQLite a transaction sees one moment anyway.
    with reading(engine, "REPEATABLE READ" if engine.dialect.name == "postgresql" else None) as session:
        yield session


@contextmanager
def asking(engine: Engine) -> Iterator[Session]:
    """Give a session that asks once. On PostgreSQL its statement is a transaction by itself: one way there and back instead of three."""
    if engine.dialect.name != "postgresql":
        with reading(engine) as session:
            yield session
        return
    with Session(engine) as session:
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session


_TURNS: WeakKeyDictionary[Pool, RLock] = WeakKeyDictionary()


def _turn(engine: Engine) -> AbstractContextManager[object]:
    """Return what makes threads of this process write one after the other to SQLite.

    SQLite itself lets who waits sleep and try again, and whoever comes meanwhile is first: with a hundred evaluations
    due, reports waited for seconds.
    """
    if engine.dialect.name != "sqlite":
        return nullcontext()
    return _TURNS.setdefault(engine.pool, RLock())


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Give a session over one transaction that may write: committed at the end, rolled back when an error leaves it."""
    with _turn(engine), Session(engine) as session, session.begin():
        if engine.dialect.name == "sqlite":
            # Told to the connection: an engine with options of its own, made at each use, costs as much as a statement.
            session.connection(execution_options={"cradlewatch_writes": True})
        yield session
