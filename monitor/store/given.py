"""Rows that a statement is given as a table, however many in the same text: arrays on PostgreSQL, VALUES on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

TEXT, NUMBER = "text", "bigint"
MOST_VALUES = 30_000
"""Of a statement on SQLite, which allows 32,766."""

Rows = Sequence[Sequence[Any]]
Result = Iterable[Sequence[Any]]
"""Its rows. Nothing may be asked of a statement that returns none."""


def run_given(session: Session, statement: str, columns: Mapping[str, str], rows: Rows, *more: str) -> list[Result]:
    """Run SQL over `rows` and return the results, one after the other where SQLite can't take all at once.

    In the statement `{given}` stands for the table `given` with these columns (name -> SQL type), `{0}`, `{1}` ... for
    what of `more` only PostgreSQL reads. All text is ours: values go as parameters.
    """
    if not rows:
        return []
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        text = statement.format(*more, given=_arrays(tuple(columns.items())))
        return [connection.exec_driver_sql(text, tuple(map(literal, zip(*rows, strict=True))))]
    step = max(1, MOST_VALUES // len(columns))
    parts = [rows[begin : begin + step] for begin in range(0, len(rows), step)]
    nothing = [""] * len(more)
    return [
        connection.exec_driver_sql(
            statement.format(*nothing, given=_values(tuple(columns), len(part))),
            tuple(value for row in part for value in row),
        )
        for part in parts
    ]


def literal(values: Iterable[Any]) -> str:
    """Return values as a PostgreSQL array literal: made here, since the driver takes ten times as long."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return '"\\\\x' + value.hex() + '"'
    return str(value)


@lru_cache(maxsize=256)
def _arrays(columns: tuple[tuple[str, str], ...]) -> str:
    names = ", ".join(name for name, _ in columns)
    return f"unnest({', '.join(f'%s::{kind}[]' for _, kind in columns)}) AS given ({names})"


@lru_cache(maxsize=1024)
def _values(names: tuple[str, ...], count: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    chosen = ", ".join(f"column{number} AS {name}" for number, name in enumerate(names, 1))
    return f"(SELECT {chosen} FROM (VALUES {', '.join([row] * count)})) AS given"  # noqa: S608  (names of our own)
