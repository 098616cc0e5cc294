"""Insert, and insert-or-update: the one place where SQLite and PostgreSQL are told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, cast

from sqlalchemy import Column, Insert, LargeBinary, String, Table, bindparam, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from monitor.store.given import literal, send_last

Row = Mapping[str, Any]
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

Then = Literal["fail", "keep", "replace"]
"""What happens where a row's primary key is there already."""


def insert_rows(session: Session, table: type[DeclarativeBase], rows: Sequence[Row], *, last: bool = False) -> None:
    """Insert rows whose primary keys aren't there yet. All rows name the same columns.

    `last`: nothing reads them before the transaction ends, so that they may go to the server with its end.
    """
    _write(session, table, rows, "fail", last=last)


def upsert(session: Session, table: type[DeclarativeBase], rows: Sequence[Row], *, last: bool = False) -> None:
    """Insert rows; where the primary key is there already, the row's other columns replace what stood there.

    All rows name the same columns, and no two have the same primary key. `last` as above.
    """
    _write(session, table, rows, "replace", last=last)


def insert_new(session: Session, table: type[DeclarativeBase], rows: Sequence[Row]) -> None:
    """Insert rows; one whose primary key is there already is left out. All rows name the same columns."""
    _write(session, table, rows, "keep")


def table_of(row: type[DeclarativeBase]) -> Table:
    """Return the table itself: statements over it are made once, where those over its class are made at each use."""
    return cast("Table", inspect(row).local_table)


def _write(
    session: Session, table: type[DeclarativeBase], rows: Sequence[Row], then: Then, *, last: bool = False
) -> None:
    if not rows:
        return
    given, rows = tuple(rows[0]), _whole(table_of(table), rows)
    names = (*given, *(name for name in rows[0] if name not in given))
    if session.get_bind().dialect.name == "sqlite":
        session.execute(_sqlite(table_of(table), names, given, then), [dict(row) for row in rows])
        return
    # All rows in one statement: PostgreSQL answers each statement by itself, and that costs more than a row.
    columns = table_of(table).columns
    values = tuple(_array([row[name] for row in rows], columns[name]) for name in names)
    statement = _postgresql(table_of(table), names, given, then)
    if last:
        send_last(session.connection(), statement, values)
    else:
        session.connection().exec_driver_sql(statement, values)


def _array(values: list[Any], column: Column[Any]) -> str | list[Any]:
    """Return a column's values as the driver takes them: bytes as they are, since as text the server reads them digit by digit."""
    return values if isinstance(column.type, LargeBinary) else literal(values)


def _whole(table: Table, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows with the defaults of columns that they don't name."""
    left_out = {name: value for name, value in _defaults(table).items() if name not in rows[0]}
    return [{**row, **left_out} for row in rows] if left_out else rows


@lru_cache(maxsize=64)
def _defaults(table: Table) -> Row:
    defaults = ((item.name, item.default) for item in table.columns)
    return {name: default.arg for name, default in defaults if isinstance(default, ScalarElementColumnDefault)}


@lru_cache(maxsize=1024)
def _postgresql(table: Table, names: tuple[str, ...], given: tuple[str, ...], then: Then) -> str:
    """Return the statement for any number of rows, of which what is `given` may replace what is there: always the same text, so that the server prepares it once."""
    quote = _DIALECT.identifier_preparer.quote
    # Not `FROM unnest(...)`, which keeps each array's rows aside before it gives one.
    arrays = ", ".join(f"unnest({_parameter(table.columns[name])})" for name in names)
    key = [column.name for column in table.primary_key]
    changed = [f"{quote(name)} = excluded.{quote(name)}" for name in given if name not in key]
    found = ", ".join(map(quote, key))
    ends = {
        "fail": "",
        "keep": f" ON CONFLICT ({found}) DO NOTHING",
        "replace": f" ON CONFLICT ({found}) DO UPDATE SET {', '.join(changed)}",
    }
    columns = ", ".join(map(quote, names))
    return f"INSERT INTO {quote(table.name)} ({columns}) SELECT {arrays}{ends[then]}"


def _parameter(column: Column[Any]) -> str:
    """Return the place of an array of a column's values, and its type. A text's length is left out: a cast would cut what is too long."""
    if isinstance(column.type, LargeBinary):
        return "%b::bytea[]"
    return "%s::text[]" if isinstance(column.type, String) else f"%s::{column.type.compile(_DIALECT)}[]"


@lru_cache(maxsize=256)
def _sqlite(table: Table, names: tuple[str, ...], given: tuple[str, ...], then: Then) -> Insert:
    statement = sqlite.insert(table).values({name: bindparam(name) for name in names})
    key = [column.name for column in table.primary_key]
    if then == "keep":
        return statement.on_conflict_do_nothing(index_elements=key)
    if then == "replace":
        changed = {name: statement.excluded[name] for name in given if name not in key}
        return statement.on_conflict_do_update(index_elements=key, set_=changed)
    return statement
