"""F9: the same reports in any order, with any copies, in batches of any size: byte for byte the same ledger and findings."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from monitor.collector.evaluate import evaluate
from monitor.collector.ingest import ingest
from monitor.model.observation import Kind
from monitor.model.span import DAY, HOUR, MINUTE
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import NOW, Centre, declared, index, instant, make_centre, span
from support.packs import pack

TABLES = {
    "span": "*",
    "instant": "*",
    "verdict": "*",
    "run": "*",
    "finding": "requirement, subject_kind, subject_id, state, stage, began_at, opened_at, ended_at, reason, measured, evidence",
}
"""What is compared; of findings all but their random ids."""


def torture(runs: int, seed: int) -> list[str]:
    """Return what went wrong in `runs` orders."""
    problems: list[str] = []
    seeded = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
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
            problems += [f"order {number}: {table} differs" for table in TABLES if found[table] != wanted[table]]
    rows = ", ".join(f"{len(rows)} of {table}" for table, rows in wanted.items())
    print(f"F9: {runs} orders of {len(envelopes)} reports with copies; rows: {rows}")
    if not wanted["finding"] or not wanted["span"]:
        problems.append("the reports make no finding: nothing is compared")
    return problems


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
        report = centre.report(*items, boot=boot)
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
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(map(repr, connection.execute(f"SELECT {columns} FROM {table}")))
            for table, columns in TABLES.items()
        }
