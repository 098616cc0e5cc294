"""F9: the same reports in any order, with any copies, in batches of any size: byte for byte the same ledger and findings."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.torture.power import memory
from monitor.collector.evaluate import evaluate
from monitor.collector.ingest import ingest
from monitor.model.observation import Kind
from monitor.model.span import DAY, HOUR, MINUTE
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import NOW, Centre, declared, index, instant, make_centre, span
from support.packs import pack

LEFT_OUT = {
    *(("finding", "id"), ("finding_change", "finding_id"), ("notice", "finding_id")),
    *(("journal", column) for column in ("of_row", "body", "digest")),
    ("report", "arrival"),
}
"""Columns that may differ: a finding's id is drawn by chance when it is opened, and what the journal says of it names it;
and the order in which reports came in, which is noted.

All else of all tables is compared.
"""
UNORDERED = {("agent", "chain")}
"""JSON whose keys stand in the order in which their boots came in: compared as what it says."""
READINGS = 64
"""Of one camera's index, an hour apart."""
NEEDED = ("report", "span", "instant", "footage", "run", "verdict", "finding", "finding_change")
"""Where these have no row the comparison says nothing."""


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` orders."""
    problems: list[str] = []
    seeded = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=memory()) as name:  # on a disk its syncs are most of the time
        folder = Path(name)
        template, envelopes = _prepare(folder)
        wanted = _take_in(template, folder / "straight.db", [envelopes])
        for number in range(runs):
            order = [item for item in envelopes for _ in range(seeded.choice([1, 1, 2, 3, seeded.randrange(1, 50)]))]
            seeded.shuffle(order)
            batches, place = [], 0
            while place < len(order):
                size = seeded.randrange(1, 65)
                batches.append(order[place : place + size])
                place += size
            found = _take_in(template, folder / "order.db", batches)
            problems += [f"order {number}: {table} differs" for table in wanted if found[table] != wanted[table]]
    rows = ", ".join(f"{len(rows)} of {table}" for table, rows in wanted.items() if rows)
    print(f"F9: {runs} orders of {len(envelopes)} reports with copies; rows: {rows}")
    return problems + [f"the reports make no {table}: nothing is compared" for table in NEEDED if not wanted[table]]


def _centre(path: Path) -> Centre:
    return make_centre(open_engine(f"sqlite:///{path}"), pack(retention={"confirm_after": "0s"}))


def _prepare(folder: Path) -> tuple[Path, list[bytes]]:
    """Return a database with one enrolled agent, and what the agent has written in two boots while nobody heard it."""
    template = folder / "template.db"
    centre = _centre(template)
    migrate(centre.context.engine)
    agent = centre.add()
    seen = [
        [declared(NOW - DAY), index("gate", NOW - HOUR, 35)],
        [index("room1", NOW - HOUR, 120), instant("recorder/nvr", Kind.CLOCK, NOW - HOUR, {"offset_seconds": 2.0})],
        [span("camera/gate", "up", NOW - 60 * MINUTE, NOW - 40 * MINUTE)],
        [span("camera/gate", "down", NOW - 40 * MINUTE, NOW - 20 * MINUTE, cause="refused")],
        [span("camera/gate", "up", NOW - 20 * MINUTE, NOW), span("camera/room1", "up", NOW - HOUR, NOW - 30 * MINUTE)],
        [span("camera/room1", "up", NOW - 31 * MINUTE, NOW), span("agent/box", "up", NOW - HOUR, NOW, kind=Kind.AGENT)],
        [index("gate", NOW - MINUTE, 35.1)],
        [],
    ]
    envelopes = []
    for number, items in enumerate(seen):
        boot = "ab"[number // 5] * 32
        hours = range(2 + number, 2 + READINGS, len(seen))  # so many that they are put together
        report = centre.report(*items, *(index("room1", NOW - hour * HOUR, 119) for hour in hours), boot=boot)
        envelopes.append(agent.envelope(report.to_bytes()))
    centre.context.engine.dispose()
    with closing(sqlite3.connect(template)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return template, envelopes


def _take_in(template: Path, path: Path, batches: list[list[bytes]]) -> dict[str, list[str]]:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    shutil.copy(template, path)
    centre = _centre(path)
    context = replace(centre.context)
    for batch in batches:
        statuses = {item.status for item in ingest(context, batch).receipts}
        assert statuses <= {"stored", "already have it"}, statuses
    evaluate(context, "wj-0001")
    context.engine.dispose()
    return _rows(path)


def _rows(path: Path) -> dict[str, list[str]]:
    """Return all rows of all tables, in whichever order they lie, but what may differ."""
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [str(row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")')]
            compared = [name for name in columns if (table, name) not in LEFT_OUT]
            rows = connection.execute(f'SELECT {", ".join(map(_quoted, compared))} FROM "{table}"')
            found[table] = sorted(
                repr([_read(table, *pair) for pair in zip(compared, row, strict=True)]) for row in rows
            )
    return found


def _quoted(name: str) -> str:
    return f'"{name}"'


def _read(table: str, column: str, value: object) -> object:
    """Return a value as it is compared."""
    return json.dumps(json.loads(str(value)), sort_keys=True) if (table, column) in UNORDERED and value else value
