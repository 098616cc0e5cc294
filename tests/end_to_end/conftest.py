"""The whole thread runs on both databases."""

from support.databases import database_url, emptied, empty_database_url, postgres_server, sqlite_template

__all__ = ["database_url", "emptied", "empty_database_url", "postgres_server", "sqlite_template"]
