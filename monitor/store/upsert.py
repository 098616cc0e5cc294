"""Insert-or-update: the one place where SQLite and PostgreSQL are told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Table, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

Row = Mapping[str, Any]


def upsert(session: Session, table: type[DeclarativeBase], rows: Sequence[Row]) -> None:
    """Insert rows; where the primary key is there already, the row's other columns replace what stood there.

    All rows name the same columns.
    """
    if not rows:
        return
    insert = postgresql.insert if _is_postgresql(session) else sqlite.insert
    statement = insert(_table(table))
    key = _key(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    session.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), [dict(row) for row in rows])


def insert_new(session: Session, table: type[DeclarativeBase], rows: Sequence[Row]) -> None:
    """Insert rows; one whose primary key is there already is left out."""
    if not rows:
        return
    insert = postgresql.insert if _is_postgresql(session) else sqlite.insert
    statement = insert(_table(table))
    session.execute(statement.on_conflict_do_nothing(index_elements=_key(table)), [dict(row) for row in rows])


def _table(table: type[DeclarativeBase]) -> Table:
    return cast("Table", inspect(table).local_table)


def _is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _key(table: type[DeclarativeBase]) -> list[str]:
    return [column.name for column in inspect(table).primary_key]
