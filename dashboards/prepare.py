"""Before the collector works on a database: its schema is this version's."""

from __future__ import annotations

from sqlalchemy import Engine

from dashboards.serve_error import ServeError
from monitor.store.schema import check_known, is_current, migrate


def prepare(engine: Engine, *, may_migrate: bool) -> None:
    """Bring the schema up to date: SQLite at once, PostgreSQL only when told to. Raises ServeError, SchemaError.

    On PostgreSQL other collectors may be running: a migration is the operator's decision.
    """
    with engine.connect() as connection:
        if is_current(connection):
            return
        check_known(connection)
    if engine.dialect.name != "sqlite" and not may_migrate:
        msg = "the database has not this version's schema: run `cradlewatch collector migrate`, or serve with --migrate"
        raise ServeError(msg)
    migrate(engine)
