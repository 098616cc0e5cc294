"""The journal: each row that nobody signed, as it was written, in a chain of digests. Who edits a row by hand is seen by it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, Select, and_, case, exists, select, update
from sqlalchemy.orm import DeclarativeBase, Session

from monitor.model.observation import digest_of_text
from monitor.store.tables import (
    AgentKeyRow,
    AgentRow,
    EnrolmentRow,
    FindingChange,
    FindingRecord,
    InstitutionRow,
    JournalRow,
    NoticeRow,
    RunRow,
    ViewDecisionRow,
    WaiverRow,
)
from monitor.store.upsert import insert_rows, table_of

JOURNALED: Final[Mapping[type[DeclarativeBase], tuple[str, ...] | None]] = {
    InstitutionRow: ("id", "name", "timezone", "jurisdiction", "regulation", "approved_inventory", "created_at"),
    AgentRow: ("institution_id", "id", "enrolled_at"),
    AgentKeyRow: None,
    EnrolmentRow: None,
    WaiverRow: None,
    ViewDecisionRow: None,
    FindingRecord: None,
    FindingChange: None,
    NoticeRow: ("institution_id", "finding_id", "occasion"),
    RunRow: None,
}
"""The tables whose rows are written down, and which of their columns (None: all). The others change by themselves.

A run's last look is written down once another run follows: until then it moves with each evaluation.
"""

ADDED_SINCE: Final = ("reports",)
"""Columns that are younger than the journal: an entry of before says nothing of them, and neither does its row."""

GONE: Final = "null"
"""What an entry says of a row that was taken away by the program itself: runs are put together."""

_LONG = 200
"""Of a longer text its digest is written down."""

_PAGE = 200


@dataclass(frozen=True)
class Entry:
    """A row as it was written down."""

    number: int
    of_table: str
    of_row: str
    body: str
    digest: str

    def follows(self, institution_id: str, before: str | None) -> bool:
        """Tell whether it is what was written, after the entry with the digest `before`."""
        return self.digest == _digest(institution_id, self.number, before, self.of_table, self.of_row, self.body)


def hold_journal(session: Session, institution_id: str) -> tuple[int, str | None] | None:
    """Return how many entries an institution's journal has, and the last one's digest; nobody else adds to it meanwhile.

    None where it is not in the register.
    """
    found = session.execute(_head(institution_id).with_for_update()).one_or_none()
    return None if found is None else (found[0], found[1])


def journal_head(session: Session, institution_id: str) -> tuple[int, str | None] | None:
    """Return the same; nothing is held."""
    found = session.execute(_head(institution_id)).one_or_none()
    return None if found is None else (found[0], found[1])


def _head(institution_id: str) -> Select[int, str | None]:
    row = InstitutionRow
    return select(row.journal, row.journal_head).where(row.id == institution_id)


def note(session: Session, institution_id: str, row: type[DeclarativeBase], *conditions: ColumnElement[bool]) -> None:
    """Write down the rows of an institution as they have just been made or changed."""
    session.flush()
    rows = session.execute(_columns(row).where(*conditions).order_by(*table_of(row).primary_key)).mappings().all()
    _append(session, institution_id, row.__tablename__, [(_key(row, item), _body(item)) for item in rows])


def note_gone(session: Session, institution_id: str, row: type[DeclarativeBase], keys: Iterable[Sequence[Any]]) -> None:
    """Write down that rows, by their primary keys, have been taken away."""
    _append(session, institution_id, row.__tablename__, [(json.dumps(list(key)), GONE) for key in keys])


def _append(session: Session, institution_id: str, of_table: str, said: Sequence[tuple[str, str]]) -> None:
    head = hold_journal(session, institution_id) if said else None
    if head is None:
        return
    number, digest = head
    entries = []
    for key, body in said:
        number += 1
        digest = _digest(institution_id, number, digest, of_table, key, body)
        entries.append(
            {
                "institution_id": institution_id,
                "number": number,
                "of_table": of_table,
                "of_row": key,
                "body": body,
                "digest": digest,
            }
        )
    insert_rows(session, JournalRow, entries)
    here = InstitutionRow.id == institution_id
    session.execute(update(InstitutionRow).where(here).values(journal=number, journal_head=digest))


def entries_of(session: Session, institution_id: str) -> Iterator[Entry]:
    """Give an institution's journal in order."""
    row = JournalRow
    columns = (row.number, row.of_table, row.of_row, row.body, row.digest)
    query = select(*columns).where(row.institution_id == institution_id).order_by(row.number)
    for found in session.execute(query.execution_options(yield_per=_PAGE)):
        yield Entry(*found)


def rows_now(session: Session, institution_id: str, row: type[DeclarativeBase]) -> Iterator[dict[str, dict[str, Any]]]:
    """Give the rows of a table as they stand, as they would be written down, by their keys: some at a time."""
    table = table_of(row)
    own = table.c["institution_id"] if "institution_id" in table.c else table.c["id"]
    query = _columns(row).where(own == institution_id).order_by(*table.primary_key)
    for page in session.execute(query.execution_options(yield_per=_PAGE)).mappings().partitions():
        yield {_key(row, item): json.loads(_body(item)) for item in page}


def bodies(session: Session, institution_id: str, numbers: Iterable[int]) -> dict[int, str]:
    """Return what entries say, by their numbers."""
    row = JournalRow
    here = (row.institution_id == institution_id, row.number.in_(list(numbers)))
    return dict(session.execute(select(row.number, row.body).where(*here)).all())


def tells_since(session: Session, institution_id: str, number: int, tables: Iterable[type[DeclarativeBase]]) -> bool:
    """Tell whether any entry after `number` is of one of these tables."""
    row = JournalRow
    here = (
        row.institution_id == institution_id,
        row.number > number,
        row.of_table.in_([t.__tablename__ for t in tables]),
    )
    return session.execute(select(row.number).where(*here).limit(1)).first() is not None


def _columns(row: type[DeclarativeBase]) -> Any:
    table, names = table_of(row), JOURNALED[row]
    columns: dict[str, ColumnElement[Any]] = {name: table.c[name] for name in names or table.c.keys()}
    if row is RunRow:
        columns["last_at"] = _last_of_past_run().label("last_at")
    return select(*columns.values())


def _last_of_past_run() -> ColumnElement[Any]:
    run = table_of(RunRow)
    later = run.alias()
    same = (later.c[name] == run.c[name] for name in ("institution_id", "requirement", "subject_kind", "subject_id"))
    follows = exists().where(and_(*same, later.c.first_at > run.c.first_at)).correlate(run)
    return case((follows, run.c.last_at))


def _key(row: type[DeclarativeBase], item: RowMapping) -> str:
    return json.dumps([item[column.name] for column in table_of(row).primary_key])


def _body(item: RowMapping) -> str:
    return json.dumps({name: _short(value) for name, value in item.items()})


def _short(value: Any) -> Any:
    if isinstance(value, bytes):  # SQLite keeps whatever somebody writes into a column
        value = value.hex()
    if isinstance(value, str) and len(value) > _LONG:
        return digest_of_text(value.encode(errors="replace").decode())
    return value


def _digest(institution_id: str, number: int, before: str | None, table: str, key: str, body: str) -> str:
    return digest_of_text(json.dumps([institution_id, number, before, table, key, body]))
