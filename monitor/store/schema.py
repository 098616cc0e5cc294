"""Brings the database's schema up to date, and tells whether it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, column, inspect, select, table

from monitor.store.patience import UNHURRIED

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic itself is loaded where a schema is changed: that costs a quarter of a command's start, and each asks `is_current`.

HEAD = "head"
NEWEST = "0014"
"""The revision that this program needs: the last one in `migrations`."""

_VERSIONS = table("alembic_version", column("version_num"))

_LOCK = 0x43_52_41_44
"""PostgreSQL's advisory lock for migrations: two processes that start together migrate one after the other."""


class SchemaError(Exception):
    """A database whose schema this program doesn't know; the sentence says what to do."""


def config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; no file is read."""
    from alembic.config import Config

    found = Config()
    found.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    found.attributes["connection"] = connection
    return found


def migrate(engine: Engine, revision: str = HEAD) -> None:
    """Upgrade to `revision`, in one transaction: all of it or nothing. Raises SchemaError."""
    from alembic import command

    with engine.execution_options(cradlewatch_writes=True).begin() as connection:
        _one_at_a_time(connection)
        check_known(connection)
        command.upgrade(config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to `revision` (`base`: nothing is left), in one transaction."""
    from alembic import command

    with engine.execution_options(cradlewatch_writes=True).begin() as connection:
        _one_at_a_time(connection)
        command.downgrade(config(connection), revision)


def _one_at_a_time(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's BEGIN IMMEDIATE has seen to it already
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{UNHURRIED.lock}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def current(connection: Connection) -> str | None:
    """Return the revision that the database has, None when it is empty."""
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    found: str | None = connection.execute(select(_VERSIONS.c.version_num)).scalar_one_or_none()
    return found


def check_known(connection: Connection) -> None:
    """Raise SchemaError where a newer program has migrated the database: this one can't tell what it would break."""
    from alembic.script import ScriptDirectory

    found = current(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if found is not None and found not in known:
        raise SchemaError(
            f"the database has the schema {found[:40]} of a newer version of cradlewatch (this one knows up to {NEWEST}):"
            " install that version again, or restore a backup from before its migration"
        )


def is_current(connection: Connection) -> bool:
    """Tell whether the database has the schema that this program needs."""
    return current(connection) == NEWEST
