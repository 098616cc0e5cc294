"""Holds what was answered against what the tables hold, by plain SQL: nothing here imports the product."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from benchmarks.intake.load import Driven

# What the bare side of a benchmark writes into the same file is that of institutions of its own.
_OURS = "institution_id NOT LIKE 'bench-%'"
_REPORTS = f"SELECT institution_id, sequence FROM report WHERE {_OURS}"
_COUNTED = f"SELECT institution_id, reports FROM agent WHERE {_OURS}"
_SPANS = f"SELECT institution_id, count(*), max(end_at - start_at) FROM span WHERE {_OURS} GROUP BY institution_id, subject_id"

CAMERAS = 15
"""Of each site."""


class Audit:
    """Collects what was answered as stored."""

    def __init__(self) -> None:
        """Nothing was answered yet."""
        self._answered: set[tuple[str, int]] = set()
        self._wrong: list[str] = []

    def answered(self, driven: Driven) -> None:
        """Take what a load was answered."""
        for institution, first, last in driven.stored:
            self._answered |= {(institution, number) for number in range(first, last + 1)}
        self._wrong += driven.wrong

    def problems(self, url: str, minute: int = 60_000) -> list[str]:
        """Return what is lost, double, counted wrongly, or stored without an answer; every load has ended.

        Each camera of a site has one stretch, as long as its site's reports are many.
        """
        with closing(_connect(url)) as connection:
            rows = [(str(who), int(number)) for who, number in connection.execute(_REPORTS)]
            counted = dict(connection.execute(_COUNTED).fetchall())
            spans = connection.execute(_SPANS).fetchall()
        stored = set(rows)
        found = list(self._wrong)
        found += [f"report {number} of {who} was answered and is lost" for who, number in self._answered - stored]
        found += [f"report {number} of {who} is stored and was not answered" for who, number in stored - self._answered]
        if len(rows) != len(stored):
            found.append("a report is stored twice")
        held: dict[str, int] = {}
        for who, _ in rows:
            held[who] = held.get(who, 0) + 1
        for who, count in held.items():
            if counted.get(who) != count:
                found.append(f"{who}: {counted.get(who, 0)} reports are counted, {count} are stored")
        for who, count, longest in spans:
            if (count, longest) != (1, minute * held.get(who, 0)):
                found.append(
                    f"{who}: a camera has {count} stretches, the longest of {longest} ms; reports: {held.get(who, 0)}"
                )
        cameras = Counter(who for who, _, _ in spans)
        found += [f"{who}: {cameras[who]} cameras are in the ledger" for who in held if cameras[who] != CAMERAS]
        return found


def _connect(url: str) -> Any:
    """Return a connection of either driver."""
    return sqlite3.connect(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else psycopg.connect(url)
