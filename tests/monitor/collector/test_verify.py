"""Rows that somebody edits, drops or exchanges by hand in the store are found and named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from monitor.collector.evaluate import evaluate
from monitor.collector.verify import verify_institution
from monitor.model.chain import read_chain
from monitor.model.envelope import Envelope, Place
from monitor.model.observation import Kind
from monitor.model.suite import PrivateKey
from monitor.store.engine import open_engine
from monitor.store.schema import migrate
from support.centre import BOOT, NOW, Centre, instant, make_centre, span
from support.signing import SigningAgent


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
    "a key that can't be read": (lambda c: c.execute(text("UPDATE agent_key SET jwk = '{}'")), [*["the key that signed it is not registered any more"] * 6, "is not what its id says: it was edited"]),
    "a key exchanged under its name": (lambda c: c.execute(text("UPDATE agent_key SET jwk = :new"), {"new": json.dumps(PrivateKey.make().public.jwk)}), [*["the key that signed it is not registered any more"] * 6, "is not what its id says: it was edited"]),
    "dropped, and a hole made of one": (drop_with_a_hole, [f"report 5 {R} is gone: report 6 {R} follows it", "5 reports are in the agent's chain, and 4 are stored", "reports 1-2,4-6 of"]),
    "dropped, and the chain said to be merged": (lambda c: drop_and_settle(c, 0), [f"report 3 {R} is gone: report 4 {R} follows it", "6 reports were taken in, and 5 are stored", "6 reports are in the agent's chain, and 5 are stored", "and 1-2,4-6 are stored"]),
    "dropped, and a hole said to be told apart no more": (lambda c: drop_and_settle(c, 1), ["6 reports were taken in, and 5 are stored", "6 reports are in the agent's chain, and 5 are stored", "and 1-2,4-6 are stored"]),
    "the count of what is missing": (lambda c: c.execute(text("UPDATE agent SET missing = 2")), ["2 reports are noted as missing, and the agent's chain says 0"]),
    "the count of what came twice": (lambda c: c.execute(text("UPDATE agent SET disputed = 2")), ["2 reports came in a second time with other bytes, and 0 of them are kept"]),
    "the chain": (lambda c: c.execute(text("UPDATE agent SET chain = 'x'")), ["what is kept of its chain can't be read: which reports are missing isn't known; `cradlewatch collector agent mend box --institution wj-0001`"]),
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


def chain(change: Callable[[dict[str, Any]], object]) -> Callable[[Connection], None]:
    """Change what is kept of the chain, and what is noted as missing with it."""

    def tamper(connection: Connection) -> None:
        found = json.loads(connection.execute(text("SELECT chain FROM agent")).scalar_one())
        change(found)
        new = json.dumps(found)
        values = {"new": new, "missing": read_chain(new).missing}
        connection.execute(text("UPDATE agent SET chain = :new, missing = :missing"), values)

    return tamper


def sql(statement: str, **values: object) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(text(statement), values)


CHAIN_TAMPERS: dict[str, tuple[Callable[[Connection], object], str]] = {
    "what nobody gave up said to be given up": (chain(lambda c: c["boots"][BOOT].update(told="7,9")), "gave up reports 7 of boot"),
    "a hole said to be none": (chain(lambda c: c["boots"][BOOT].update(skipped="7,11-12")), "2 reports are missing by what is stored, and the agent's chain says 1"),
    "a hole exchanged for another": (chain(lambda c: c["boots"][BOOT].update(skipped="7")), "never were reports 7 of boot"),
    "a hole where nothing was": (chain(lambda c: c["boots"][BOOT].update(upto=99)), "had 99 reports"),
    "a hole of which nothing tells": (chain(lambda c: c.update(settled=4)), "4 more reports are missing"),
    "when a hole ended": (chain(lambda c: c["segments"][1]["first"].update(written_at=NOW)), "something else of report 8 of"),
    "what an end was": (chain(lambda c: c["segments"][0]["last"].update(nonce_at=NOW)), "something else of report 6 of"),
    "what follows a hole": (chain(lambda c: c["segments"][1].update(after=None)), "report 7 of boot"),
    "whether a chain began": (chain(lambda c: c.update(earlier_beginnings=1)), "begin a chain 1 times, and the agent's chain says 2"),
    "a fork said to be none": (chain(lambda c: c["segments"][-1].update(forked=False)), "is missing by the agent's chain, and is stored"),
    "a fork not noted": (sql("UPDATE agent SET forked_at = NULL"), "its chain forked by"),
    "another enrolment": (sql("UPDATE agent SET enrolled_at = enrolled_at + 86400000"), "no key of it was registered then"),
    "other bytes edited": (sql("UPDATE disputed_report SET envelope = :new", new=b"x"), "the other report 1 of boot"),
    "other bytes for another report": (sql("UPDATE disputed_report SET sequence = 2"), "the other report 2 of boot"),
}  # fmt: skip


def test_what_is_kept_of_a_chain_and_beside_it_is_what_the_reports_come_to(centre: Centre, engine: Engine) -> None:
    """The inspector sees it: what is missing unexplained, forks, and what came twice with other bytes."""
    own = centre.agents["wj-0001"]
    own.envelope(centre.report().to_bytes())  # 7: written, and lost on the way
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW, NOW + 1))
    own.envelope(centre.report().to_bytes())  # 9: given up
    centre.clock.advance(60)
    ranges = [{"boot": BOOT, "first": 9, "last": 9, "why": "full", "digests": []}]
    centre.see(instant("agent/box", Kind.DROPPED, centre.context.now(), {"ranges": ranges}, state="dropped"))
    other = centre.report().model_copy(update={"sequence": 1})
    assert [item.reason for item in centre.send(other)] == ["equivocation"]
    before = own.after = centre_end(engine)
    for _ in range(2):  # both follow the same one
        own.after = before
        centre.clock.advance(60)
        centre.see()
    assert problems(centre) == []
    with engine.begin() as connection:
        for table in ("agent", "disputed_report"):
            connection.execute(text(f"DROP TABLE IF EXISTS kept_{table}"))
            connection.execute(text(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}"))
    for name, (tamper, said) in CHAIN_TAMPERS.items():
        with engine.begin() as connection:
            tamper(connection)
        found = problems(centre)
        assert any(said in item for item in found), (name, found)
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM disputed_report"))
            connection.execute(text("INSERT INTO disputed_report SELECT * FROM kept_disputed_report"))
            columns = ("chain", "missing", "forked_at", "enrolled_at")
            values = connection.execute(text(f"SELECT {', '.join(columns)} FROM kept_agent")).mappings().one()
            new = ", ".join(f"{column} = :{column}" for column in columns)
            connection.execute(text(f"UPDATE agent SET {new}"), dict(values))
    assert problems(centre) == []


def centre_end(engine: Engine) -> Place:
    """Return the end of the agent's chain."""
    with engine.connect() as connection:
        found = read_chain(connection.execute(text("SELECT chain FROM agent")).scalar_one())
    return found.segments[-1].last.place


def test_a_fork_that_a_person_saw_to_is_no_problem(centre: Centre, engine: Engine) -> None:
    own = centre.agents["wj-0001"]
    before = centre_end(engine)
    for _ in range(2):
        own.after = before
        centre.clock.advance(60)
        centre.see()
    centre.clock.advance(60)
    centre.agents["wj-0001"] = SigningAgent.enrolled(centre.context, "wj-0001")
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
