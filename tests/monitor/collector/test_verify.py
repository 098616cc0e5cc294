"""Rows that somebody edits, drops or exchanges by hand in the store are found and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, text

from monitor.collector.verify import verify_institution
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


R = f"of boot {BOOT}"
TAMPERS: dict[str, tuple[Callable[[Connection], object], list[str]]] = {
    "nothing": (lambda c: None, []),
    "edited": (edited, [f"report 3 {R}: the signature is not that"]),
    "dropped": (lambda c: c.execute(text("DELETE FROM report WHERE sequence = 3")), [f"report 3 {R} is gone: report 4 {R} follows it", "6 reports were taken in, and 5 are stored"]),
    "the newest dropped": (lambda c: c.execute(text("DELETE FROM report WHERE sequence = 6")), [f"report 6 {R} is gone: it is an end of the agent's chain", "6 reports were taken in, and 5 are stored"]),
    "the oldest dropped": (lambda c: c.execute(text("DELETE FROM report WHERE sequence = 1")), [f"report 1 {R} is gone: report 2 {R} follows it", f"report 1 {R} is gone: it is an end of", "6 reports"]),
    "exchanged": (swap, [f"report 2 {R}: the signed bytes in this place are those of wj-0001/box, 3 of", f"report 3 {R}: the signed bytes in this place are those of wj-0001/box, 2 of", f"report 2 {R} is not the one that report 2", f"report 3 {R} is not the one that report 4"]),
    "back-dated": (lambda c: c.execute(text("UPDATE report SET received_at = received_at - 86400000 WHERE sequence = 4")), [f"report 4 {R}: it is said to have come in at"]),
    "another moment": (lambda c: c.execute(text("UPDATE report SET nonce_at = nonce_at - 86400000 WHERE sequence = 4")), [f"report 4 {R}: the moment beside the signed bytes"]),
    "another time": (lambda c: c.execute(text("UPDATE report SET written_at = 1 WHERE sequence = 4")), [f"report 4 {R}: digest, key or time"]),
    "marked as misdated": (lambda c: c.execute(text("UPDATE report SET doubt = 'back_dated' WHERE sequence = 4")), [f"report 4 {R}: it is marked back_dated", "0 reports counted as misdated, and 1 are marked so"]),
    "a key removed": (lambda c: c.execute(text("DELETE FROM agent_key")), ["the key that signed it is not registered any more"] * 6),
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
    connection.commit()


@pytest.fixture(autouse=True)
def kept(centre: Centre, engine: Engine) -> None:
    for table in ("report", "agent_key"):
        execute(engine, f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")


def test_what_was_known_to_be_missing_is_no_problem_of_the_store(centre: Centre) -> None:
    centre.agents["wj-0001"].envelope(centre.report().to_bytes())  # written, and lost on the way
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW, NOW + 1))
    assert problems(centre) == []
