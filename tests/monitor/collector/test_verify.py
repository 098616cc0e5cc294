"""Rows that somebody edits, drops or exchanges by hand in the store are found and named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from monitor.collector.evaluate import evaluate
from monitor.collector.verify import verify_institution
from monitor.model.envelope import Envelope
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import BOOT, NOW, Centre, make_centre, span


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine)
    made.add()
    for number in range(6):
        made.clock.advance(60)
        made.see(span("camera/gate", "up", NOW + number, NOW + number + 1))
    return made


def problems(centre: Centre) -> list[str]:
    (found,) = verify_institution(centre.context, "wj-0001").agents
    return found.problems


def execute(engine: Engine, sql: str, **values: object) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql), values)


def swap(connection: Connection) -> None:
    """Exchange the contents of two rows, all columns but their numbers."""
    for before, after in ((2, -2), (3, 2), (-2, 3)):
        connection.execute(text(f"UPDATE report SET sequence = {after} WHERE sequence = {before}"))


def edited(connection: Connection) -> None:
    row = connection.execute(text("SELECT envelope FROM report WHERE sequence = 3")).scalar_one()
    connection.execute(
        text("UPDATE report SET envelope = :new WHERE sequence = 3"),
        {"new": bytes(row).replace(b'"state":"up"', b'"state":"ok"')},
    )


def drop_with_a_hole(connection: Connection) -> None:
    """Drop two reports, and make of one of them a hole that had been known."""
    chain = json.loads(connection.execute(text("SELECT chain FROM agent")).scalar_one())
    (whole,) = chain["segments"]
    rows = connection.execute(text("SELECT envelope FROM report ORDER BY sequence")).scalars()
    places = [Envelope.read(bytes(row)).place.model_dump() for row in rows]
    first = {**whole, "last": {**whole["last"], "place": places[1]}, "count": 2}
    second = {**whole, "after": places[2], "first": {**whole["first"], "place": places[3]}, "count": 3}
    chain["segments"] = [first, second]
    chain["boots"][BOOT]["seen"] = "1-2,4-6"
    connection.execute(text("UPDATE agent SET chain = :new, missing = 1, reports = 4"), {"new": json.dumps(chain)})
    connection.execute(text("DELETE FROM report WHERE sequence IN (3, 5)"))


def drop_and_settle(connection: Connection, joined: int) -> None:
    """Drop a report, and say that so many holes are told apart no more."""
    chain = json.loads(connection.execute(text("SELECT chain FROM agent")).scalar_one()) | {"joined": joined}
    connection.execute(text("UPDATE agent SET chain = :new"), {"new": json.dumps(chain)})
    connection.execute(text("DELETE FROM report WHERE sequence = 3"))


R = f"of boot {BOOT}"
TAMPERS: dict[str, tuple[Callable[[Connection], object], list[str]]] = {
    "nothing": (lambda c: None, []),
    "edited": (edited, [f"report 3 {R}: the signature is not that"]),
    "dropped": (lambda c: c.execute(text("DELETE FROM report WHERE sequence = 3")), [f"report 3 {R} is gone: report 4 {R} follows it", "6 reports were taken in, and 5 are stored", "6 reports are in the agent's chain", f"the agent's chain says that reports 1-6 {R} came in, and 1-2,4-6 are stored"]),
    "the newest dropped": (lambda c: c.execute(text("DELETE FROM report WHERE sequence = 6")), [f"report 6 {R} is gone: it is an end of the agent's chain", "6 reports were taken in, and 5 are stored", "6 reports are in the agent's chain", "and 1-5 are stored"]),
    "the oldest dropped": (lambda c: c.execute(text("DELETE FROM report WHERE sequence = 1")), [f"report 1 {R} is gone: report 2 {R} follows it", f"report 1 {R} is gone: it is an end of", "6 reports were taken in", "6 reports are in the agent's chain", "and 2-6 are stored"]),
    "exchanged": (swap, [f"report 2 {R}: the signed bytes in this place are those of wj-0001/box, 3 of", f"report 3 {R}: the signed bytes in this place are those of wj-0001/box, 2 of", f"report 2 {R} is not the one that report 2", f"report 3 {R} is not the one that report 4"]),
    "back-dated": (lambda c: c.execute(text("UPDATE report SET received_at = received_at - 86400000 WHERE sequence = 4")), [f"report 4 {R}: it is said to have come in at"]),
    "another moment": (lambda c: c.execute(text("UPDATE report SET nonce_at = nonce_at - 86400000 WHERE sequence = 4")), [f"report 4 {R}: the moment beside the signed bytes"]),
    "another time": (lambda c: c.execute(text("UPDATE report SET written_at = 1 WHERE sequence = 4")), [f"report 4 {R}: digest, key or time"]),
    "marked as misdated": (lambda c: c.execute(text("UPDATE report SET doubt = 'back_dated' WHERE sequence = 4")), [f"report 4 {R}: it is marked back_dated", "0 reports counted as misdated, and 1 are marked so"]),
    "a key removed": (lambda c: c.execute(text("DELETE FROM agent_key")), ["the key that signed it is not registered any more"] * 6),
    "a key that can't be read": (lambda c: c.execute(text("UPDATE agent_key SET jwk = '{}'")), ["the key that signed it is not registered any more"] * 6),
    "dropped, and a hole made of one": (drop_with_a_hole, [f"report 5 {R} is gone: report 6 {R} follows it", "5 reports are in the agent's chain, and 4 are stored", "reports 1-2,4-6 of"]),
    "dropped, and the chain said to be merged": (lambda c: drop_and_settle(c, 0), [f"report 3 {R} is gone: report 4 {R} follows it", "6 reports were taken in, and 5 are stored", "6 reports are in the agent's chain, and 5 are stored", "and 1-2,4-6 are stored"]),
    "dropped, and a hole said to be told apart no more": (lambda c: drop_and_settle(c, 1), ["6 reports were taken in, and 5 are stored", "6 reports are in the agent's chain, and 5 are stored", "and 1-2,4-6 are stored"]),
    "the count of what is missing": (lambda c: c.execute(text("UPDATE agent SET missing = 2")), ["2 reports are noted as missing, and the agent's chain says 0"]),
    "the count of what came twice": (lambda c: c.execute(text("UPDATE agent SET disputed = 2")), ["2 reports came in a second time with other bytes, and 0 of them are kept"]),
    "the chain": (lambda c: c.execute(text("UPDATE agent SET chain = 'x'")), ["0 reports are in the agent's chain, and 6 are stored"]),
    "an envelope emptied": (lambda c: c.execute(text("UPDATE report SET envelope = :new WHERE sequence = 5"), {"new": b""}), [f"report 5 {R}: the envelope has no line"]),
}  # fmt: skip


def test_what_was_done_to_the_store_is_found_and_named(centre: Centre, engine: Engine) -> None:
    for name, (tamper, said) in TAMPERS.items():
        with engine.connect() as connection:
            tamper(connection)
            connection.commit()
            found = problems(centre)
            assert len(found) == len(said), (name, found)
            assert all(part in " ".join(found) for part in said), (name, found)
            _restore(connection, centre)


def _restore(connection: Connection, centre: Centre) -> None:
    """Put everything back as it was kept."""
    for table in ("report", "agent_key"):
        connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text(f"INSERT INTO {table} SELECT * FROM kept_{table}"))
    kept = connection.execute(text("SELECT chain, missing, reports, disputed FROM kept_agent")).mappings().one()
    new = "chain = :chain, missing = :missing, reports = :reports, disputed = :disputed"
    connection.execute(text(f"UPDATE agent SET {new}"), dict(kept))
    connection.commit()


@pytest.fixture(autouse=True)
def kept(centre: Centre, engine: Engine) -> None:
    for table in ("report", "agent_key", "agent"):
        execute(engine, f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")


def test_what_was_known_to_be_missing_is_no_problem_of_the_store(centre: Centre) -> None:
    centre.agents["wj-0001"].envelope(centre.report().to_bytes())  # written, and lost on the way
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW, NOW + 1))
    assert problems(centre) == []


FINDING_TAMPERS = {
    "": [],
    "UPDATE finding SET began_at = began_at - 86400000": ["began_at is"],
    "UPDATE finding SET ended_at = began_at + 1": ["ended_at is"],
    "UPDATE finding SET opened_at = opened_at + 1": ["it opened at"],
    "UPDATE finding SET state = 'mended'": ["state is mended"],
    "UPDATE finding SET reason = 'nothing'": ["no reading says its reason"],
    "UPDATE finding SET measured = '{'": ["it can't be read"],
    "UPDATE finding SET citation = '{}'": ["it cites another text than its pack"],
    "UPDATE finding SET subject_id = 'box2'": ["its id is not that of what opened it"],
    "UPDATE finding SET opened_at = opened_at + 1; UPDATE finding_change SET at = at + 1": ["its id is not that of"],
    "UPDATE finding SET began_at = 5; UPDATE finding_change SET began_at = 5": ["its id is not that of"],
    "DELETE FROM finding_change": ["1 readings were made of it, and 0 are stored", "none of its readings is there"],
}


@pytest.mark.parametrize("sql", FINDING_TAMPERS)
def test_a_finding_that_was_edited_or_dropped_is_named(centre: Centre, engine: Engine, sql: str) -> None:
    centre.clock.advance(10 * 86_400)
    evaluate(centre.context, "wj-0001")
    with engine.begin() as connection:
        for part in filter(None, sql.split(";")):
            connection.execute(text(part))
    found = verify_institution(centre.context, "wj-0001").findings
    assert [part in item for item, part in zip(found.problems, FINDING_TAMPERS[sql], strict=True)] == [True] * len(
        FINDING_TAMPERS[sql]
    ), found.problems


def test_who_edits_the_file_itself_is_bound_by_no_reference(tmp_path: Path) -> None:
    """PostgreSQL refuses it, and SQLite's own command doesn't: what is left over says that something is gone."""
    made = make_centre(open_engine(f"sqlite:///{tmp_path / 'centre.db'}"))
    migrate(made.context.engine)
    made.add()
    made.clock.advance(60)
    made.see(span("camera/gate", "up", NOW, NOW + 1))
    made.clock.advance(10 * 86_400)
    evaluate(made.context, "wj-0001")
    assert verify_institution(made.context, "wj-0001").problems == []
    with closing(sqlite3.connect(tmp_path / "centre.db")) as connection:
        connection.executescript("DELETE FROM agent; DELETE FROM finding; DELETE FROM institution")
    found = " ".join(verify_institution(made.context, "wj-0001").problems)
    for said in (
        "agent box is gone: reports of it are stored",
        "is gone: readings of it are stored",
        "wj-0001 is gone from the register",
    ):
        assert said in found


def test_a_check_makes_no_key(centre: Centre, engine: Engine) -> None:
    execute(engine, "DELETE FROM collector_key")
    assert len(problems(centre)) == 6
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM collector_key")).scalar_one() == 0
