"""Holds the rows that nobody signed against the journal, in which each was written down when it was made or changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import DeclarativeBase, Session

from monitor.model.observation import digest_of_text
from monitor.store.journal import ADDED_SINCE, GONE, JOURNALED, Entry, bodies, entries_of, journal_head, rows_now
from monitor.store.tables import RunRow


@dataclass
class JournalChecked:
    """How the rows that nobody signed were found."""

    rows: int = 0
    problems: list[str] = field(default_factory=list)
    """One sentence each, naming the row."""


def check_journal(session: Session, institution: str) -> JournalChecked:
    """Check the journal's own chain, and by its newest entries the rows. Memory has a number for each row, no content."""
    checked = JournalChecked()
    head = journal_head(session, institution)
    if head is None:
        return checked  # it is gone from the register, which is said elsewhere
    newest: dict[str, dict[str, int]] = {}
    runs = _Runs()
    number, digest = 0, None
    for entry in entries_of(session, institution):
        if entry.number != number + 1:
            checked.problems.append(f"entries {number + 1} to {entry.number - 1} of the journal are gone")
        elif not entry.follows(institution, digest):
            checked.problems.append(
                f"entry {entry.number} of the journal, of {entry.of_table} {entry.of_row}, was edited"
            )
        elif entry.of_table == RunRow.__tablename__:
            checked.problems += runs.follow(entry)
        number, digest = entry.number, entry.digest
        rows = newest.setdefault(entry.of_table, {})
        rows[entry.of_row] = number
        if entry.body == GONE:
            del rows[entry.of_row]
    if (number, digest) != head:
        checked.problems.append(f"the journal ends with entry {number}, and is said to end with another, {head[0]}")
    for row in JOURNALED:
        checked.problems += _rows(session, institution, row, newest.pop(row.__tablename__, {}), checked)
    checked.problems += [f"the journal tells of a table {name}, and there is none" for name in newest]
    checked.problems = [f"{institution}: {text}" for text in checked.problems]
    return checked


class _Runs:
    """What the journal has told of each run. An evaluation that ends a run writes it down again, as it finds it."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, Any, bool]] = {}

    def follow(self, entry: Entry) -> Iterator[str]:
        """Say so where a run became another one, which no evaluation does: somebody edited it, and the next one wrote that down."""
        before = self._said.pop(entry.of_row, None)
        if entry.body == GONE:
            return
        try:
            body = json.loads(entry.body)
            what = digest_of_text(json.dumps([body["outcome"], body["state"], body["because_of"]]))
            now = self._said[entry.of_row] = (what, body["began_at"], body["last_at"] is None)
        except (ValueError, KeyError, TypeError):
            return  # the row itself is compared with it
        ends = before is not None and before[2] and not now[2]
        if before is not None and (before[0] != now[0] or (ends and before[1] != now[1])):
            yield f"{_name(entry.of_table, entry.of_row)} was edited: entry {entry.number} of the journal tells another than the one before it"


def _rows(
    session: Session, institution: str, row: type[DeclarativeBase], newest: dict[str, int], checked: JournalChecked
) -> Iterator[str]:
    for page in rows_now(session, institution, row):
        checked.rows += len(page)
        wanted = {key: newest.pop(key) for key in page if key in newest}
        said = bodies(session, institution, wanted.values())
        for key, body in page.items():
            name = _name(row.__tablename__, key)
            if key not in wanted:
                yield f"{name} was added: the journal doesn't tell of it"
                continue
            try:
                kept = {**dict.fromkeys(ADDED_SINCE), **json.loads(said[wanted[key]])}
                other = [column for column in body if body[column] != kept[column]]
            except (ValueError, KeyError, TypeError):
                continue  # the entry was edited, and is named
            if other:
                yield f"{name} has another {' and another '.join(other)} than entry {wanted[key]} of the journal tells"
    for key, number in newest.items():
        yield f"{_name(row.__tablename__, key)} is gone: entry {number} of the journal tells of it"


def _name(table: str, key: str) -> str:
    try:
        parts = list(json.loads(key))
    except (ValueError, TypeError):  # whoever edits an entry may write anything
        parts = [key]
    return f"{table.replace('_', ' ')} {' '.join(str(item) for item in (parts[1:] or parts))}"
