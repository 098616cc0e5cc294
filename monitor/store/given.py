"""Rows that a statement is given as a table, however many in the same text: arrays on PostgreSQL, VALUES on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.orm import Session

TEXT, NUMBER = "text", "bigint"
MOST_VALUES = 30_000
"""Of a statement on SQLite, which allows 32,766."""

Rows = Sequence[Sequence[Any]]


def run_given(session: Session, statement: str, columns: Mapping[str, str], rows: Rows, *more: str) -> Rows:
    """Run SQL over `rows`, in parts where SQLite can't take all at once, and return what rows it gives.

    In the statement `{given}` stands for the table `given` with these columns (name -> SQL type), `{0}`, `{1}` ... for
    what of `more` only PostgreSQL reads. All text is ours: values go as parameters.
    """
    if not rows:
        return []
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        text = statement.format(*more, given=_arrays(tuple(columns.items())))
        return _rows_of(connection.exec_driver_sql(text, tuple(map(literal, zip(*rows, strict=True)))))
    step = max(1, MOST_VALUES // len(columns))
    parts = [rows[begin : begin + step] for begin in range(0, len(rows), step)]
    nothing = [""] * len(more)
    results = [
        connection.exec_driver_sql(
            statement.format(*nothing, given=_values(tuple(columns), len(part))),
            tuple(value for row in part for value in row),
        )
        for part in parts
    ]
    return [row for result in results for row in _rows_of(result)]


def run_last(session: Session, statement: str, columns: Mapping[str, str], rows: Rows) -> None:
    """Run SQL over `rows` as `run_given` does, whose rows nobody wants and whose work nothing reads before the transaction ends."""
    connection = session.connection()
    if connection.dialect.name == "postgresql" and rows:
        text = statement.format(given=_arrays(tuple(columns.items())))
        send_last(connection, text, tuple(map(literal, zip(*rows, strict=True))))
    else:
        run_given(session, statement, columns, rows)


def send_last(connection: Connection, statement: str, values: Sequence[Any]) -> None:
    """Send a statement to PostgreSQL together with the transaction's end: each way there and back costs both sides more than a row.

    Raises RuntimeError outside of a transaction, whose end would never come.
    """
    if not connection.in_transaction():
        raise RuntimeError("a statement that is sent with a transaction's end needs one")
    driver: Any = connection.connection.driver_connection
    driver.put_off(statement, values)


def _rows_of(result: CursorResult[Any]) -> Rows:
    """Return a result's rows, all at once: one after the other they take the driver three times as long."""
    return result.all() if result.returns_rows else []


def literal(values: Iterable[Any]) -> str:
    """Return values as a PostgreSQL array literal: made here, since the driver takes ten times as long."""
    found = list(values)
    kinds = set(map(type, found))
    if all(issubclass(kind, str) for kind in kinds):  # nearly all columns: in a fourth of the time
        whole = "".join(found)
        if '"' in whole or "\\" in whole:
            found = list(map(_escaped, found))
        return '{"' + '","'.join(found) + '"}'
    return "{" + ",".join(map(str if kinds == {int} else _element, found)) + "}"


def _element(value: Any) -> str:
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    if value is None:
        return "NULL"
    return str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@lru_cache(maxsize=256)
def _arrays(columns: tuple[tuple[str, str], ...]) -> str:
    names = ", ".join(name for name, _ in columns)
    return f"unnest({', '.join(f'%s::{kind}[]' for _, kind in columns)}) AS given ({names})"


@lru_cache(maxsize=1024)
def _values(names: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    chosen = ", ".join(f"column{number} AS {name}" for number, name in enumerate(names, 1))
    return f"(SELECT {chosen} FROM (VALUES {', '.join([row] * count)})) AS given"  # noqa: S608  (names of our own)
