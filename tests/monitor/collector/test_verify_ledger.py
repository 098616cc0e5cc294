"""Rows of the ledger that somebody edits, drops or adds by hand are found by the stored reports, and named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, insert, select, text
from sqlalchemy.orm import Session

from monitor.collector import verify
from monitor.collector.ingest import ingest
from monitor.collector.verify import verify_institution
from monitor.model.observation import Kind, Observation
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, from_millis
from monitor.store.engine import reading, writing
from monitor.store.instants import put_together
from monitor.store.ledger import Entry, add_entries
from monitor.store.rebuilt import rebuilding
from monitor.store.reports import StoredReport, stored_reports
from monitor.store.tables import Base, InstitutionRow
from monitor.store.upsert import insert_new
from support.centre import BOOT, NOW, Centre, index, instant, make_centre, span
from support.signing import SigningAgent

INSTITUTION = {"id": "wj-0001", "name": "", "timezone": "UTC", "regulation": "x", "created_at": 0}
R = f"of boot {BOOT} of agent box"
SPAN = "wj-0001: span stream of camera/gate, up|-|watched|probe, from 2026-11-23T04:00:00Z"
CLOCK = "wj-0001: instant clock of recorder/nvr at 2026-11-23T04:01:00Z"
INDEX = "wj-0001: what was put together of the index of camera/gate"


@pytest.fixture
def centre(engine: Engine) -> Centre:
    """An institution whose agent told of spans that touch, of instants, and of an index that was put together."""
    made = make_centre(engine)
    made.add()
    made.clock.advance(600)
    for number in range(4):
        made.see(span("camera/gate", "up", NOW + number, NOW + number + 1))
    made.see(span("camera/gate", "down", NOW + 9, NOW + 11, cause="refused"))
    made.see(instant("recorder/nvr", Kind.CLOCK, NOW + MINUTE, {"offset_seconds": 1}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.store.instants.COMPACT_AFTER", 1)
        for minute in (1, 2, 3):
            made.see(index("gate", NOW + minute * MINUTE, 90 + minute, holes=[(NOW - HOUR, NOW - HOUR + minute)]))
            with writing(engine) as session:
                put_together(session, "wj-0001")
    return made


def ledger(centre: Centre) -> list[str]:
    found = verify_institution(centre.context, "wj-0001")
    assert all(item.problems == [] for item in found.agents)
    return found.ledger.problems


TAMPERS = {
    "UPDATE span SET end_at = end_at + 60000 WHERE lane LIKE 'up%'": [f"{SPAN} has another end_at than report 4 {R} tells"],
    "UPDATE span SET newest = replace(newest, '\"expires\":', '\"expires\":1') WHERE lane LIKE 'up%'": [f"{SPAN} has another newest than report 4 {R} tells"],
    "UPDATE span SET lasting = newest WHERE lane LIKE 'up%'": [f"{SPAN} has another lasting"],
    "UPDATE span SET start_at = start_at + 1 WHERE lane LIKE 'up%'": [f"{SPAN} is gone: report 4 {R} tells it", "from 2026-11-23T04:00:00.001Z was added"],
    "UPDATE span SET lane = 'up|-|watched|probe' WHERE lane LIKE 'down%'": ["span stream of camera/gate, down|refused|watched|probe, from 2026-11-23T04:00:00.009Z is gone: report 5", "span stream of camera/gate, up|-|watched|probe, from 2026-11-23T04:00:00.009Z was added"],
    "DELETE FROM span WHERE lane LIKE 'down%'": [f"is gone: report 5 {R} tells it"],
    "INSERT INTO span SELECT institution_id, kind, subject_kind, 'room1', lane, start_at, end_at, replace(newest, 'gate', 'room1'), lasting FROM span WHERE lane LIKE 'up%'": ["wj-0001: span stream of camera/room1, up|-|watched|probe, from 2026-11-23T04:00:00Z was added: no stored report tells it"],
    "UPDATE instant SET body = replace(body, 'offset_seconds\":1', 'offset_seconds\":0') WHERE kind = 'clock'": [f"{CLOCK} has another body than report 6 {R} tells"],
    "UPDATE instant SET at = at - 60000 WHERE kind = 'clock'": [f"{CLOCK} has another at than report 6 {R} tells"],
    "DELETE FROM instant WHERE kind = 'clock'": [f"{CLOCK} is gone: report 6 {R} tells it"],
    "INSERT INTO instant SELECT institution_id, 'sha256:0', kind, subject_kind, subject_id, at, body FROM instant WHERE kind = 'clock'": [f"{CLOCK} was added: no stored report tells it"],
    "UPDATE footage SET body = replace(body, '\"locked\":[]', '\"locked\":[[1795320000000,1795320000009]]')": [f"{INDEX} has another body"],
    "UPDATE footage SET body = '{}'": [f"{INDEX} has another body"],
    "UPDATE footage SET digest = 'sha256:' || upto_at": [f"{INDEX} has another digest"],
    "UPDATE footage SET since_at = since_at + 1": [f"{INDEX} has another upto_at and another since_at"],
    "UPDATE footage SET upto_at = 1": [f"{INDEX} was added: no stored report tells it"],
    "UPDATE report SET doubt = 'back_dated' WHERE sequence = 6": [f"{CLOCK} was added: no stored report tells it"],
}  # fmt: skip


def test_a_row_changed_by_hand_is_found_and_named(centre: Centre, engine: Engine) -> None:
    tables = [Base.metadata.tables[name] for name in ("span", "instant", "footage", "report")]
    with engine.connect() as connection:
        kept = [[dict(row) for row in connection.execute(select(table)).mappings()] for table in tables]
    assert ledger(centre) == []
    for sql, said in TAMPERS.items():
        with engine.begin() as connection:
            assert connection.execute(text(sql.replace(":", "\\:"))).rowcount == 1, sql
        found = verify_institution(centre.context, "wj-0001").ledger
        assert found.differing == len(found.problems) == len(said), (sql, found.problems)
        assert all(any(part in problem for problem in found.problems) for part in said), (sql, found.problems)
        with engine.begin() as connection:
            for table, rows in zip(tables, kept, strict=True):
                connection.execute(delete(table))
                connection.execute(insert(table), rows)


def test_misdated_reports_copies_and_two_agents_are_no_difference(centre: Centre, engine: Engine) -> None:
    second = SigningAgent.enrolled(centre.context, "wj-0001", "second")
    report = centre.report(span("camera/gate", "up", NOW + 2, NOW + 8))
    for _ in range(2):
        told = report.model_copy(update={"agent": "second", "boot": "2" * 32})
        second.hear(ingest(centre.context, [second.envelope(told.to_bytes())]))
    late = centre.report(span("camera/gate", "down", NOW - DAY, NOW, cause="stalled"))
    (receipt,) = centre.send(late.model_copy(update={"written_at": from_millis(NOW - DAY)}))
    assert (receipt.status, receipt.reason) == ("stored", "back_dated")
    assert ledger(centre) == []


def test_of_many_rows_the_first_are_named_and_all_counted(centre: Centre, engine: Engine) -> None:
    centre.see(*(span(f"camera/c{number}", "up", NOW, NOW + 1) for number in range(verify.MOST_NAMED + 5)))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM span"))
    found = verify_institution(centre.context, "wj-0001").ledger
    assert (found.differing, len(found.problems)) == (verify.MOST_NAMED + 5 + 2, verify.MOST_NAMED)


def test_what_comes_in_meanwhile_is_no_difference(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(session: Session, institution: str, agent: str) -> Iterator[StoredReport]:
        centre.see(span("camera/gate", "up", NOW + 20 + centre.sequences.total(), NOW + 60))
        yield from stored_reports(session, institution, agent)

    monkeypatch.setattr(verify, "stored_reports", slow)
    assert verify_institution(centre.context, "wj-0001").problems == []


@st.composite
def readings(draw: st.DrawFn) -> Observation:
    """A reading of an index, with footage beyond its window too, or a refusal."""
    at, low = NOW + draw(st.integers(0, 9)) * SECOND, draw(st.integers(0, 20))
    edges = sorted(draw(st.sets(st.integers(low, low + 40), max_size=6)))
    pairs = [[NOW - DAY + a * MINUTE, NOW - DAY + b * MINUTE] for a, b in zip(edges[::2], edges[1::2], strict=False)]
    window = [NOW - DAY + low * MINUTE, NOW - DAY + (low + draw(st.integers(1, 20))) * MINUTE]
    refused = draw(st.integers(0, 5)) == 0
    facts = {} if refused else {"window": window, "spans": pairs[:-1], "locked": pairs[-1:]}
    return instant("camera/gate", Kind.RECORDINGS, at, facts, state="unknown" if refused else "read")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seen=st.lists(readings(), min_size=1, max_size=10), data=st.data())
def test_what_was_put_together_in_any_steps_is_as_the_readings_say(
    engine: Engine, seen: list[Observation], data: st.DataObject
) -> None:
    empty(engine)
    with rebuilding("wj-0001") as rebuilt, pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.store.instants.COMPACT_AFTER", 1)
        patch.setattr("monitor.store.instants._PAGE", 2)
        for number, item in enumerate(seen):
            entries = [Entry.of(item)]
            with writing(engine) as session:
                add_entries(session, {"wj-0001": entries})
                if data.draw(st.booleans()):
                    put_together(session, "wj-0001")
            rebuilt.add("box", [(("b", number), entries)])
        with reading(engine) as session:
            rebuilt.hold(session)
        assert list(rebuilt.differences()) == []


def empty(engine: Engine) -> None:
    with writing(engine) as session:
        for name in ("instant", "footage"):
            session.execute(delete(Base.metadata.tables[name]))
        insert_new(session, InstitutionRow, [INSTITUTION])
