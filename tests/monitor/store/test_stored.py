"""What is stored can't stop an institution's evaluation, its pages or its check: what can't be read is unknown, the rest is judged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from monitor.api.routes import build_api
from monitor.collector.evaluate import evaluate
from monitor.collector.evidence import export_evidence
from monitor.collector.verify import verify_institution
from monitor.evidence.bundle import Bundle
from monitor.evidence.check import check_bundle
from monitor.model import facts
from monitor.model.inventory import Inventory
from monitor.model.observation import Kind, Observation
from monitor.model.report import Report
from monitor.model.span import DAY, HOUR, MINUTE
from monitor.store.agents import all_agents
from monitor.store.engine import reading, writing
from monitor.store.findings import finding_rows
from monitor.store.instants import read_together
from monitor.store.registry import approve_inventory
from monitor.store.stored import UNREADABLE, unreadable
from monitor.store.tables import AgentRow, FindingRecord, FootageRow, InstantRow, InstitutionRow, RunRow, SpanRow
from monitor.store.told import load_told
from support.centre import INVENTORY, NOW, Centre, declared, index, instant, make_centre, span
from support.packs import pack

CHANNELS = [{"id": str(number), "name": f"channel {number}", "online": True} for number in range(1, 601)]


@pytest.fixture
def centre(engine: Engine) -> Centre:
    one = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    one.add()
    one.see(declared(NOW - DAY))
    one.see(index("gate", NOW - MINUTE, 36), span("camera/gate", "up", NOW - 10 * MINUTE, NOW))
    return one


def states(centre: Centre) -> dict[tuple[str, str], str]:
    found = evaluate(centre.context, "wj-0001")
    assert found is not None
    return {(item.requirement.kind, str(item.subject)): item.state for item in found.verdicts}


def test_what_came_in_by_wider_bounds_is_judged_verified_and_proved_as_it_was(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A recorder of 600 channels, from before a list of them was bounded."""
    monkeypatch.setattr(facts, "MOST_ENTRIES", 1000)
    centre.see(instant("recorder/nvr", Kind.CHANNELS, NOW, {"channels": CHANNELS}))
    monkeypatch.undo()
    centre.clock.advance(60)
    found = states(centre)
    assert found["undeclared_channel", "recorder/nvr"] == "found"
    assert found["retention", "camera/gate"] == "short"
    assert verify_institution(centre.context, "wj-0001").problems == []
    with reading(centre.context.engine) as session:
        assert unreadable(session) == 0
        (row,) = [item for item in finding_rows(session) if item.requirement == "undeclared_channel"]
    export_evidence(centre.context, row.id, tmp_path / "b.zip")
    assert check_bundle(Bundle(tmp_path / "b.zip")).fails == []


def test_what_comes_in_keeps_to_the_bounds_of_today() -> None:
    said = {"subject": {"kind": "recorder", "id": "nvr"}, "kind": "channels", "start": NOW, "end": NOW, "state": "read"}
    text = json.dumps({**said, "expires": NOW, "facts": {"channels": CHANNELS}})
    assert len(Observation.read_stored(text).facts["channels"]) == 600  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="another shape"):
        Observation.model_validate_json(text)
    payload = json.dumps(
        {
            "schema": "cradlewatch.report/1", "institution": "wj-0001", "agent": "box", "boot": "0" * 32, "sequence": 1,
            "written_at": "2026-11-23T04:00:00Z", "monotonic_seconds": 1.0, "version": "1",
            "observations": [json.loads(text)],
        }
    ).encode()  # fmt: skip
    assert Report.from_bytes(payload).sequence == 1
    with pytest.raises(ValueError, match="another shape"):
        Report.from_sender(payload)
    with pytest.raises(ValueError, match="JSON compliant"):
        Observation.read_stored(text.replace('"channels": [', '"channels": [NaN, ', 1))


BROKEN = ["", "{}", "nonsense", "[]", '{"subject": 7}', '{"kind": "channels"', "[" * 100_000]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_an_instant_that_cannot_be_read_is_unknown_and_counted(centre: Centre, text: str) -> None:
    centre.see(instant("recorder/nvr", Kind.CHANNELS, NOW, {"channels": CHANNELS[:3]}))
    assert states(centre)["undeclared_channel", "recorder/nvr"] == "found"
    engine = centre.context.engine
    with writing(engine) as session:
        session.execute(update(InstantRow).where(InstantRow.kind.in_(["channels", "recordings"])).values(body=text))
    centre.clock.advance(60)
    centre.context.kept._kept.clear()
    found = states(centre)
    assert found["undeclared_channel", "recorder/nvr"] == "unknown"
    assert found["retention", "camera/gate"] == "unknown"
    assert found["uptime", "camera/gate"] == "up", "the rest is judged"
    with reading(engine) as session:
        causes = {
            item.cause for item in load_told(session, "wj-0001", NOW + DAY).observations if item.kind is Kind.CHANNELS
        }
        assert (causes, unreadable(session)) == ({UNREADABLE}, 1)


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_span_that_cannot_be_read_keeps_its_state(centre: Centre, text: str) -> None:
    before = states(centre)
    with writing(centre.context.engine) as session:
        session.execute(update(SpanRow).values(newest=text, lasting=text))
    assert {**before, **states(centre)} == states(centre)
    with writing(centre.context.engine) as session:
        session.execute(update(SpanRow).values(newest=text, lane="of another version"))
    assert states(centre)["uptime", "camera/gate"] == "unknown"


@pytest.mark.parametrize("column", ["end_at", "lane", "kind", "subject_kind"])
def test_spans_whose_columns_were_edited_stop_nothing(centre: Centre, column: str) -> None:
    """SQLite keeps a word where a number belongs; PostgreSQL doesn't take it."""
    engine = centre.context.engine
    if column == "end_at" and engine.dialect.name == "postgresql":
        with writing(engine) as session, pytest.raises(DBAPIError):
            session.execute(text("UPDATE span SET end_at = 'a word'"))
        return
    before = states(centre)
    assert before["uptime", "camera/gate"] == "up"
    with writing(engine) as session:
        session.execute(text(f"UPDATE span SET {column} = 'a word'"))
    found = states(centre)
    assert found["uptime", "camera/gate"] == "unknown"
    assert found["retention", "camera/gate"] == before["retention", "camera/gate"], "the rest is judged"
    with reading(engine) as session:
        told = load_told(session, "wj-0001", NOW + DAY)
        assert (told.stretches, unreadable(session) > 0) == ([], True)


@pytest.mark.parametrize("end", ["-1", "9223372036854775807", "140737488355329", "x'ff'", "'5,6,7'", "1.5", "'[1]'"])
def test_a_span_whose_end_was_edited_hides_no_other(centre: Centre, end: str) -> None:
    """Bytes that are no text ended the whole evaluation, as an instant beyond the calendar did."""
    engine = centre.context.engine
    centre.see(span("camera/gate", "up", NOW - 9 * HOUR, NOW - 8 * HOUR))
    if engine.dialect.name == "postgresql" and not end.lstrip("-").isdigit():
        return  # it keeps whole numbers alone there
    with writing(engine) as session:
        session.execute(text(f"UPDATE span SET end_at = {end} WHERE start_at > {NOW - 8 * HOUR}"))
    states(centre)
    with reading(engine) as session:
        told = load_told(session, "wj-0001", NOW + DAY)
        assert unreadable(session) > 0
    (line,) = told.stretches
    assert line.pairs.tolist() == [[NOW - 9 * HOUR, NOW - 8 * HOUR]]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_register_that_cannot_be_read_leaves_what_is_declared(centre: Centre, text: str) -> None:
    with writing(centre.context.engine) as session:
        approve_inventory(session, Inventory.model_validate(INVENTORY))
        session.execute(update(InstitutionRow).values(approved_inventory=text))
    assert states(centre)["retention", "camera/gate"] == "short"


def test_readings_of_years_that_were_put_together_are_read_again(engine: Engine) -> None:
    """Of segments of a minute that don't touch, some hundred days are more text than one reading may bring."""
    start = NOW - 400 * DAY
    spans = [[start + n * MINUTE, start + n * MINUTE + 59_000] for n in range(150_000)]
    body = json.dumps({"windows": [[start, NOW]], "spans": spans, "locked": []})
    row = FootageRow(
        institution_id="wj-0001", camera_id="gate", upto_at=NOW, since_at=NOW, digest="sha256:" + "0" * 64, body=body
    )  # fmt: skip
    (found,) = read_together(row)
    assert len(found.facts["spans"]) == 150_000  # type: ignore[arg-type]
    row.body = body[:-1]
    assert read_together(row) == []


def test_how_many_rows_cannot_be_read_is_in_the_metrics(centre: Centre) -> None:
    engine = centre.context.engine

    def said() -> list[str]:
        with TestClient(build_api(centre.context)) as client:
            lines = client.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("cradlewatch_unreadable_rows")]

    states(centre)
    assert said() == []
    with writing(engine) as session:
        kept = session.scalars(select(SpanRow.newest)).one()
        session.execute(update(SpanRow).values(newest="nonsense"))
    states(centre)
    assert said() == ['cradlewatch_unreadable_rows{institution="wj-0001"} 1.0']
    with writing(engine) as session:
        session.execute(update(SpanRow).values(newest=kept))
    states(centre)
    assert said() == []


def test_what_was_put_together_and_cannot_be_read_is_made_again(centre: Centre) -> None:
    for number in range(70):
        centre.see(index("gate", NOW + number * 1000, 36))
        centre.clock.advance(1)
    before = states(centre)
    with writing(centre.context.engine) as session:
        assert _body(session).startswith("{")
        session.execute(update(FootageRow).values(body="nonsense"))
    centre.context.kept._kept.clear()
    assert states(centre) == before
    for number in range(70, 140):
        centre.see(index("gate", NOW + number * 1000, 36))
        centre.clock.advance(1)
    assert states(centre) == before
    with reading(centre.context.engine) as session:
        assert _body(session) != "nonsense"


def _body(session: Session) -> str:
    return session.scalars(select(FootageRow.body)).one()


@pytest.mark.parametrize("text", ["nonsense", "{}"])
@pytest.mark.parametrize("column", ["citation", "citation_zh", "measured", "evidence", "subject_kind"])
def test_a_finding_that_cannot_be_read_hides_no_other(engine: Engine, column: str, text: str) -> None:
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    for site in ("wj-0001", "wj-0002"):
        centre.add(site)
        where = {**INVENTORY, "institution": {"id": site, "name": site}}
        centre.see(declared(NOW, where), index("gate", NOW, 36), institution=site)
        evaluate(centre.context, site)
    with reading(engine) as session:
        (mine,) = [item for item in finding_rows(session, institution="wj-0001") if item.subject.id == "gate"][:1]
    before = count(engine)
    with writing(engine) as session:
        session.execute(update(FindingRecord).where(FindingRecord.id == mine.id).values({column: text}))
    harmless = (column, text) == ("measured", "{}")
    assert count(engine) == before - (not harmless)
    centre.clock.advance(60)
    assert states(centre)["retention", "camera/gate"] == "short"
    assert any(mine.id in text for text in verify_institution(centre.context, "wj-0001").problems)


def count(engine: Engine) -> int:
    with reading(engine) as session:
        return len(finding_rows(session))


@pytest.mark.parametrize("column", ["outcome", "subject_kind", "because_of"])
def test_a_run_of_looks_that_cannot_be_read_stops_no_evaluation(centre: Centre, column: str) -> None:
    before = states(centre)
    with writing(centre.context.engine) as session:
        session.execute(update(RunRow).values({column: "nonsense"}))
    centre.clock.advance(60)
    assert {key: state for key, state in states(centre).items() if key in before} == before


def test_a_chain_that_cannot_be_read_stops_no_evaluation_and_no_metrics(centre: Centre) -> None:
    before = states(centre)
    with writing(centre.context.engine) as session:
        session.execute(update(AgentRow).values(chain="nonsense"))
    assert states(centre) == before
    with reading(centre.context.engine) as session:
        assert [agent.id for agent in all_agents(session)] == ["box"]
    assert verify_institution(centre.context, "wj-0001").problems


@pytest.mark.parametrize("text", ["nonsense", "{}", "[]", "7", '{"start": "x", "end": 1, "expires": 1}'])
def test_a_span_that_cannot_be_read_keeps_no_report_out(centre: Centre, text: str) -> None:
    """One that ends with what comes has to be told apart from it; what comes takes its place."""
    with writing(centre.context.engine) as session:
        session.execute(update(SpanRow).values(newest=text, lasting=text))
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW - 5 * MINUTE, NOW))
    assert states(centre)["uptime", "camera/gate"] == "up"
    assert verify_institution(centre.context, "wj-0001").problems == []
