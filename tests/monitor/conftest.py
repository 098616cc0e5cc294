"""Databases for the tests of the centre."""

from support.databases import (
    database_url,
    emptied,
    empty_database_url,
    engine,
    engines,
    postgres_server,
    sqlite_template,
)

__all__ = ["database_url", "emptied", "empty_database_url", "engine", "engines", "postgres_server", "sqlite_template"]
