"""Fixtures of these tests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.databases import postgres_server

__all__ = ["postgres_server", "written"]


@pytest.fixture
def written(tmp_path: Path) -> tuple[bytes, bytes]:
    """A database and its log, of transactions of one page and of several, some of zeros: the first ones are in the database, too."""
    path = tmp_path / "written.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE item (number, data)")
        for number in range(6):
            data = bytes([(number + 2) % 6]) * (100 if number % 2 else 9000)
            connection.execute("INSERT INTO item VALUES (?, ?)", (number, data))
            if number == 2:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return path.read_bytes(), path.with_name("written.sqlite-wal").read_bytes()
