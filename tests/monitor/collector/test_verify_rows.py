"""Each column of each table edited by hand, and a row of each dropped: `verify` names it, or the README says that it can't be proved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import JsonValue
from sqlalchemy import Connection, Engine, inspect, text

from monitor.collector.enrolment import create_code
from monitor.collector.evaluate import evaluate
from monitor.collector.verify import verify_institution
from monitor.collector.views import ViewMove, decide_view
from monitor.model.calendar import Waiver
from monitor.model.inventory import Inventory
from monitor.model.observation import Kind, Observation, Source
from monitor.model.span import HOUR, MINUTE, from_millis
from monitor.model.view import view_id
from monitor.store import registry, views
from monitor.store.engine import reading, writing
from monitor.store.notices import owe_notices
from monitor.store.schema import downgrade, migrate
from support.centre import INVENTORY, NOW, Centre, declared, index, instant, make_centre, span, subject
from support.packs import pack

ELSEWHERE = {"footage", "disputed_report"}
"""What test_verify and test_verify_ledger edit."""

UNPROVED = {
    "institution": {"last_report_at", "evaluate_due_at", "unreadable"},
    "agent": {"last_report_at", "version", "silent_due_at", "forked_at", "clock_offset", "clock_at"},
    "report": {"received_at"},
    "notice": {"created_at", "due_at", "attempts", "sent_at", "taken_by"},
    "pack": {"kept_at", "id", "version"},
    "collector_key": {"created_at", "name", "value"},
    **{name: {"*"} for name in ("jurisdiction", "user_account", "user_session", "api_token")},
    **{name: {"*"} for name in ("listening", "clock_dispute", "clock_wait", "alembic_version")},
}  # fmt: skip
"""What nobody signed and the journal doesn't tell (`*`: the whole table): the collector's README lists it."""


def proposal() -> Observation:
    """Return a view that somebody on site proposes."""
    shown: dict[str, JsonValue] = {"version": 1, "cells": "of a view", "luma": 100.25}
    facts = {
        "light": "day", "view": view_id(shown), "by": "x", "looks": 5, "overlap": None, "state": "ok",
        "sketch": {"rows": ["..ab", "CD..", "efGH"]}, "fingerprint": shown,
    }  # fmt: skip
    return instant("camera/gate", Kind.BASELINE, NOW, facts, state="proposed", source=Source.PERSON)


@pytest.fixture
def centre(engine: Engine) -> Centre:
    """An institution with a row in each table that is edited here."""
    made = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    made.add()
    made.see(declared(NOW - HOUR))
    made.clock.advance(60)
    made.see(span("camera/gate", "up", NOW - 10 * MINUTE, NOW), index("gate", NOW, 36))
    made.see(instant("recorder/nvr", Kind.CLOCK, NOW, {"offset_seconds": 2.0}), proposal())
    made.clock.advance(60)
    create_code(made.context, "wj-0001")
    with reading(engine) as session:
        (proposed,) = views.open_proposals(session, "wj-0001")
    decide_view(made.context, "wj-0001", proposed.id, ViewMove.CONFIRM, "officer")
    evaluation = evaluate(made.context, "wj-0001")
    assert evaluation is not None
    waiver = Waiver(
        subject=subject("camera/gate"), start_at=from_millis(NOW - HOUR), end_at=from_millis(NOW), by="office", reason="rewiring"
    )  # fmt: skip
    with writing(engine) as session:
        registry.approve_inventory(session, Inventory.model_validate(INVENTORY))
        registry.add_waiver(session, "wj-0001", waiver, NOW)
        owe_notices(session, "wj-0001", evaluation.opened, NOW)
    assert problems(made) == []
    return made


def problems(centre: Centre) -> list[str]:
    return verify_institution(centre.context, "wj-0001").problems


@contextmanager
def by_hand(engine: Engine) -> Iterator[Connection]:
    """Write as somebody does who has the database's password: no reference is checked."""
    off, on = {
        "sqlite": ("PRAGMA foreign_keys=OFF", "PRAGMA foreign_keys=ON"),
        "postgresql": ("SET session_replication_role = replica", "SET session_replication_role = origin"),
    }[engine.dialect.name]
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        if engine.dialect.name == "sqlite":  # there it can't be turned off within a transaction
            connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql(off)
        yield connection
        connection.exec_driver_sql(on)


def another(value: Any, of_type: str) -> Any:
    if isinstance(value, bool) or "BOOL" in of_type:
        return not value
    if value is None:
        return NOW if "INT" in of_type else "x"
    if isinstance(value, (bytes, memoryview)):
        return bytes(value)[:-1] + bytes([bytes(value)[-1] ^ 1])
    return value + 1000 if isinstance(value, int) else value[:-1] + ("x" if value[-1:] != "x" else "y")


@pytest.mark.parametrize("part", range(8))
def test_each_column_edited_by_hand_is_found(centre: Centre, engine: Engine, part: int) -> None:
    unseen = []
    schema = inspect(engine)
    for table in sorted(set(schema.get_table_names()) - ELSEWHERE)[part::8]:
        columns = {item["name"]: str(item["type"]).upper() for item in schema.get_columns(table)}
        unproved = UNPROVED.get(table, set())
        if "*" in unproved:
            continue
        assert unproved <= columns.keys(), f"{table}: the list names a column that isn't there"
        with by_hand(engine) as connection:
            row = dict(connection.execute(text(f"SELECT * FROM {table} LIMIT 1")).mappings().one())
            for column in columns.keys() - unproved:
                now = {**row, column: another(row[column], columns[column])}
                replace(connection, table, row, now)
                if not problems(centre):
                    unseen.append(f"{table}.{column}")
                replace(connection, table, now, row)
    assert unseen == []
    assert problems(centre) == []


def test_each_row_dropped_by_hand_is_found(centre: Centre, engine: Engine) -> None:
    unseen = []
    for table in sorted(set(inspect(engine).get_table_names()) - ELSEWHERE - {"collector_key"}):
        if "*" in UNPROVED.get(table, set()):
            continue
        with by_hand(engine) as connection:
            row = dict(connection.execute(text(f"SELECT * FROM {table} LIMIT 1")).mappings().one())
            replace(connection, table, row, None)
            if not problems(centre):
                unseen.append(table)
            replace(connection, table, None, row)
    assert unseen == []
    assert problems(centre) == []


def test_what_was_there_before_the_journal_is_in_it(centre: Centre, engine: Engine) -> None:
    downgrade(engine, "0007")
    migrate(engine)
    assert problems(centre) == []
    with by_hand(engine) as connection:
        connection.execute(text("UPDATE waiver SET created_at = 1"))
    assert [item.partition(" has")[0].split()[:2] for item in problems(centre)] == [["wj-0001:", "waiver"]]


def test_a_finding_dropped_with_all_that_tells_of_it_is_found(centre: Centre, engine: Engine) -> None:
    """Its readings and its entries in the journal too: the next entry has the digest of the one before it."""
    with by_hand(engine) as connection:
        finding = connection.execute(text("SELECT id FROM finding ORDER BY id LIMIT 1")).scalar_one()
        for sql in (
            "DELETE FROM finding_change WHERE finding_id = :it",
            "DELETE FROM notice WHERE finding_id = :it",
            "DELETE FROM finding WHERE id = :it",
            "DELETE FROM journal WHERE of_row LIKE '%' || :it || '%'",
        ):
            connection.execute(text(sql), {"it": finding})
    found = problems(centre)
    assert found
    assert all(
        (item.startswith("wj-0001: entr") and "of the journal" in item) or "the journal ends" in item for item in found
    )


def replace(connection: Connection, table: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
    """Put one row in the place of another."""
    if old is not None:
        same = " AND ".join(f"{name} IS NULL" if value is None else f"{name} = :{name}" for name, value in old.items())
        assert connection.execute(text(f"DELETE FROM {table} WHERE {same}"), old).rowcount == 1
    if new is not None:
        names = ", ".join(new)
        values = ", ".join(f":{name}" for name in new)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), new)
