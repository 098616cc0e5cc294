"""Ingest: what is answered `stored` is stored, once; what can't be accepted is refused with a sentence."""

from __future__ import annotations

import gc
import json
import threading
from datetime import timedelta
from types import TracebackType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from monitor.collector.enrolment import create_code, enrol
from monitor.collector.packs import Packs
from monitor.collector.verify import verify_institution
from monitor.model.observation import Kind
from monitor.model.report import MAX_REPORT_BYTES, Report
from monitor.model.span import DAY, HOUR, MINUTE, SECOND
from monitor.model.suite import PrivateKey
from monitor.store import agents, registry
from monitor.store.engine import open_engine, reading, writing
from monitor.store.reports import payloads
from monitor.store.tables import InstantRow, ReportRow, SpanRow
from support.centre import BOOT, INVENTORY, NOW, Centre, declared, instant, make_centre, span
from support.packs import pack
from support.signing import digest, offer


@pytest.fixture
def centre(engine: Engine) -> Any:
    made = make_centre(engine)
    made.add()
    return made


def stored(engine: Engine) -> dict[str, int]:
    with reading(engine) as session:
        tables = {"report": ReportRow, "span": SpanRow, "instant": InstantRow}
        return {name: session.scalars(select(func.count()).select_from(row)).one() for name, row in tables.items()}


UP = span("camera/gate", "up", NOW - MINUTE, NOW)


def test_a_report_is_stored_with_its_ledger_rows_and_its_exact_bytes(centre: Centre, engine: Engine) -> None:
    report = centre.report(UP, declared(NOW))
    (receipt,) = centre.send(report)
    assert receipt.status == "stored"
    assert receipt.digest == digest(centre.agents["wj-0001"].envelope(report.to_bytes()))
    assert stored(engine) == {"report": 1, "span": 1, "instant": 1}
    with reading(engine) as session:
        assert list(payloads(session, "wj-0001")) == [report.to_bytes()]


def test_a_copy_is_answered_and_counts_once(centre: Centre, engine: Engine) -> None:
    report = centre.report(UP)
    assert [item.status for item in centre.send(report, report)] == ["stored", "already have it"]
    assert [item.status for item in centre.send(report)] == ["already have it"]
    assert stored(engine)["report"] == 1
    with reading(engine) as session:
        assert [agent.reports for agent in agents.agents_of(session, "wj-0001")] == [1]


def test_another_report_under_a_stored_number_is_refused(centre: Centre, engine: Engine) -> None:
    report = centre.report(UP)
    other = report.model_copy(update={"version": "0.2.0"})
    assert [item.status for item in centre.send(report, other)] == ["stored", "rejected"]
    (receipt,) = centre.send(other)
    assert receipt.status == "rejected"
    assert "differs from the one already stored" in (receipt.error or "")
    assert stored(engine)["report"] == 1


def test_a_bad_report_loses_no_good_one(centre: Centre, engine: Engine) -> None:
    good = [centre.report(UP), centre.report(UP)]
    receipts = centre.give([good[0].to_bytes(), b"not json", good[1].to_bytes()])
    assert [item.status for item in receipts] == ["stored", "rejected", "stored"]
    assert stored(engine)["report"] == 2


def refused(centre: Centre, **changes: Any) -> str:
    value = json.loads(centre.report(UP).to_bytes())
    value.update(changes)
    (receipt,) = centre.give([json.dumps(value).encode()])
    assert receipt.status == "rejected"
    assert receipt.error is not None
    assert len(receipt.error) < 400
    return receipt.error


def observation(**changes: Any) -> dict[str, object]:
    return {**json.loads(UP.model_dump_json()), **changes}


def test_what_another_agent_saw_is_refused(centre: Centre) -> None:
    assert "differ in who wrote it" in refused(centre, institution="wj-0002")
    assert "differ in who wrote it" in refused(centre, agent="other")


def test_a_version_that_no_database_can_keep_is_refused_alone(centre: Centre) -> None:
    odd = centre.report(UP).model_copy(update={"version": "0.1\0"})
    assert [item.status for item in centre.send(odd, centre.report(UP))] == ["rejected", "stored"]
    assert "control character" in refused(centre, version="0.1\n")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"subject": {"kind": "agent", "id": "other"}, "kind": "agent"}, "agent/other, which is not the sender's"),
        ({"subject": {"kind": "institution", "id": "wj-9"}}, "institution/wj-9, which is not the sender's"),
        ({"subject": {"kind": "recorder", "id": "nvr"}}, "stream speaks of a camera"),
        (
            {"kind": "identity", "end": UP.start, "subject": {"kind": "zone", "id": "gate"}},
            "identity speaks of a recorder or camera",
        ),
        ({"kind": "alarm_inputs", "end": UP.start}, "alarm_inputs speaks of a recorder"),
        ({"subject": {"kind": "camera", "id": "a\x00b"}}, "control character"),
        ({"end": 10**30}, "observations.0.end"),
        ({"start": -(10**30)}, "observations.0.start"),
        ({"expires": NOW + 3661 * DAY}, "at most ten years"),
        ({"expires": -1}, "observations.0.expires"),
        ({"expires": 10**40}, "observations.0.expires"),
        ({"state": "up down"}, "state and cause are words"),
        ({"state": "u|p"}, "state and cause are words"),
        ({"cause": ""}, "state and cause are words"),
        ({"cause": "-"}, "state and cause are words"),
        ({"cause": "a\x00"}, "state and cause are words"),
        (
            {"subject": {"kind": "agent", "id": "box"}, "kind": "agent", "state": "unknown", "cause": "clock_set"},
            "a clock is set in one instant",
        ),
        ({"facts": {"x": 2**53 + 1}}, "larger than 2^53"),
        ({"facts": {"x": [{"y": -(10**40)}]}}, "larger than 2^53"),
        ({"facts": {"x": 1e300}}, "larger than 2^53"),
        ({"end": NOW - HOUR}, "end must not be before start"),
        ({"kind": "nonsense"}, "observations.0.kind"),
        ({"extra": 1}, "observations.0.extra"),
        ({"subject": []}, "observations.0.subject"),
        ({"start": "now"}, "observations.0.start"),
        ({"facts": 7}, "observations.0.facts"),
    ],
)
def test_an_observation_that_cannot_be_is_refused(centre: Centre, engine: Engine, changes: Any, sentence: str) -> None:
    assert sentence in refused(centre, observations=[observation(**changes)])
    assert stored(engine) == {"report": 0, "span": 0, "instant": 0}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start": NOW + DAY + 1, "end": NOW + DAY + 1}, "ahead"),
        ({"end": NOW + DAY + 1}, "ahead"),
        ({"start": 0}, "back_dated"),
    ],
)
def test_a_report_of_what_was_seen_at_a_time_that_cannot_be_is_kept_and_counts_for_nothing(
    centre: Centre, engine: Engine, changes: Any, reason: str
) -> None:
    """As an agent writes it whose clock was set right meanwhile: it is not lost, and the chain goes on."""
    value = json.loads(centre.report(UP).to_bytes()) | {"observations": [observation(**changes)]}
    (receipt,) = centre.give([json.dumps(value).encode()])
    assert (receipt.status, receipt.reason) == ("stored", reason)
    assert stored(engine) == {"report": 1, "span": 0, "instant": 0}
    centre.see(UP)
    with reading(engine) as session:
        assert [(item.state, item.missing) for item in agents.agents_of(session, "wj-0001")] == [("misdated", 0)]
    assert verify_institution(centre.context, "wj-0001").problems == []


@pytest.mark.parametrize("start", [NOW + DAY + 1, 0])
def test_what_was_in_doubt_leaves_nothing_that_waits_for_garbage_to_be_looked_for(centre: Centre, start: int) -> None:
    """An error holds the frames that it came through, and those the whole report: a flood of them was gone only after minutes."""
    value = json.loads(centre.report(UP).to_bytes()) | {"observations": [observation(start=start, end=start)]}
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        (receipt,) = centre.give([json.dumps(value).encode()])
        gc.collect()
        left = [item for item in gc.garbage if isinstance(item, (Report, TracebackType))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert receipt.status == "stored"
    assert left == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused(centre: Centre, number: str) -> None:
    text = centre.report(UP).to_bytes().replace(b'"facts":{}', b'"facts":{"x":[%s]}' % number.encode())
    (receipt,) = centre.give([text])
    assert receipt.status == "rejected"


def test_large_digits_in_a_text_are_no_large_number(centre: Centre) -> None:
    centre.see(instant("recorder/nvr", Kind.IDENTITY, NOW, {"model": "12345678901234567890", "serial_digest": "1e+99"}))


def test_an_inventory_of_another_institution_is_refused(centre: Centre) -> None:
    other = {**INVENTORY, "institution": {"id": "wj-0002"}}
    seen = json.loads(declared(NOW, other).model_copy(update={"subject": UP.subject}).model_dump_json())
    seen["subject"] = {"kind": "institution", "id": "wj-0001"}
    assert "declares another institution" in refused(centre, observations=[seen])
    seen["facts"] = {"institution": 7}
    assert "declares another institution" in refused(centre, observations=[seen])


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "can't be read"),
        (b"\xff\xfe", "can't be read"),
        (b"[" * 100_000, "can't be read"),
        (b'{"observations":' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "can't be read"),
        (b"null", "can't be read"),
        (b'{"schema":"cradlewatch.report/2"}', "can't be read"),
        (b" " * (MAX_REPORT_BYTES + 1), "bytes"),
    ],
)
def test_bytes_that_are_no_report_are_refused(centre: Centre, payload: bytes, sentence: str) -> None:
    (receipt,) = centre.give([payload])
    assert receipt.status == "rejected"
    assert sentence in (receipt.error or "")


def test_deep_facts_are_stored_or_refused_but_never_fail(centre: Centre) -> None:
    for depth in (50, 150, 250, 1000):
        facts = b'{"a":' * depth + b"1" + b"}" * depth
        text = centre.report(UP).to_bytes().replace(b'"facts":{}', b'"facts":' + facts)
        (receipt,) = centre.give([text])
        assert receipt.status in {"stored", "rejected"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    key=st.sampled_from(
        ["subject", "kind", "start", "end", "state", "cause", "basis", "source", "expires", "detail", "facts"]
    ),
    value=JSON,
    deeper=st.booleans(),
)
def test_any_json_in_any_place_is_answered(centre: Centre, key: str, value: Any, deeper: bool) -> None:
    seen = observation(**{key: {"kind": "camera", "id": value} if deeper and key == "subject" else value})
    text = json.loads(centre.report(UP).to_bytes())
    text["observations"] = [seen]
    (receipt,) = centre.give([json.dumps(text).encode()])
    assert receipt.status in {"stored", "rejected"}


def test_a_report_makes_the_evaluation_due_and_moves_the_silence(centre: Centre, engine: Engine) -> None:
    centre.see(UP)
    with reading(engine) as session:
        summary = registry.institution(session, "wj-0001")
        assert summary is not None
        assert summary.last_report_at == NOW
        assert agents.due_silences(session, NOW + 30 * MINUTE) == []
        assert agents.due_silences(session, NOW + 30 * MINUTE + 1) == [("wj-0001", "box", NOW + 30 * MINUTE + 1)]
    centre.clock.advance(600)
    centre.see(UP)
    with reading(engine) as session:
        assert agents.due_silences(session, NOW + 40 * MINUTE) == []


def test_a_pack_that_asks_for_no_silence_makes_none_due(engine: Engine) -> None:
    centre = make_centre(engine, pack(agent_silence=None))
    centre.add()
    centre.see(UP)
    with reading(engine) as session:
        assert agents.due_silences(session, NOW + 400 * DAY) == []


def test_a_pack_that_cannot_be_read_loses_no_report(engine: Engine) -> None:
    centre = make_centre(engine, pack())
    centre.add(regulation="there-is-none")
    assert isinstance(centre.context.packs, Packs)
    centre.see(UP)
    assert stored(engine)["report"] == 1


def test_concurrent_copies_and_neighbours_give_one_row(database_url: str) -> None:
    """Two agents' worth of connections send touching spans of one camera and the same reports at the same time."""
    engine = open_engine(database_url)
    centre = make_centre(engine)
    centre.add()
    reports = [
        centre.report(span("camera/gate", "up", NOW - MINUTE + i * SECOND, NOW - MINUTE + (i + 1) * SECOND))
        for i in range(24)
    ]
    for report in reports:  # written in their order, whatever the order in which they arrive
        centre.agents["wj-0001"].envelope(report.to_bytes())
    answers: list[str] = []
    start = threading.Barrier(4)

    def work(shift: int) -> None:
        start.wait()
        for i in range(24):
            answers.extend(item.status for item in centre.send(reports[(i * 5 + shift) % 24]))

    threads = [threading.Thread(target=work, args=(shift,)) for shift in (0, 0, 7, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(answers)) == ["already have it", "stored"]
    assert answers.count("stored") == 24
    with reading(engine) as session:
        assert [(row.start_at, row.end_at) for row in session.scalars(select(SpanRow))] == [
            (NOW - MINUTE, NOW - MINUTE + 24 * SECOND)
        ]
        (agent,) = agents.agents_of(session, "wj-0001")
    assert (agent.state, agent.reports, agent.missing) == ("whole", 24, 0)
    engine.dispose()


def test_nothing_is_acknowledged_when_the_database_fails(centre: Centre, engine: Engine) -> None:
    with writing(engine) as session:
        session.connection().exec_driver_sql("ALTER TABLE span RENAME TO span_gone")
    with pytest.raises(DBAPIError):
        centre.send(centre.report(UP))
    with writing(engine) as session:
        session.connection().exec_driver_sql("ALTER TABLE span_gone RENAME TO span")
    assert stored(engine)["report"] == 0


KEY = PrivateKey.make()


def test_a_code_registers_one_key(centre: Centre, engine: Engine) -> None:
    code = create_code(centre.context, "wj-0001")
    enrolled = enrol(centre.context, code.lower().replace("-", " "), "second", offer(KEY, code))
    assert (enrolled.institution, enrolled.agent) == ("wj-0001", "second")
    with pytest.raises(ValueError, match="used or has expired"):
        enrol(centre.context, code, "third", offer(PrivateKey.make(), code))
    with reading(engine) as session:
        assert [agent.id for agent in agents.agents_of(session, "wj-0001")] == ["box", "second"]


def test_a_code_may_name_its_agent(centre: Centre) -> None:
    code = create_code(centre.context, "wj-0001", "nvr-box")
    assert enrol(centre.context, code, "whatever", offer(KEY, code)).agent == "nvr-box"


def test_a_code_expires(centre: Centre) -> None:
    code = create_code(centre.context, "wj-0001", valid=HOUR)
    centre.clock.advance(timedelta(hours=1).total_seconds())
    with pytest.raises(ValueError, match="used or has expired"):
        enrol(centre.context, code, "late", offer(KEY, code))


def test_a_code_needs_an_institution(centre: Centre) -> None:
    with pytest.raises(ValueError, match="institution nobody is not in the register"):
        create_code(centre.context, "nobody")
    with pytest.raises(ValueError, match="no such code"):
        enrol(centre.context, "AAAA-BBBB-CCCC-DDDD", "box", offer(KEY, "AAAA-BBBB-CCCC-DDDD"))


def test_what_an_agent_says_it_gave_up_is_told_apart_from_what_is_missing(centre: Centre, engine: Engine) -> None:
    """Whatever else it writes into that place is no reason to refuse a report, and claims nothing."""
    sender = centre.agents["wj-0001"]
    centre.send(centre.report(UP))
    for _ in range(3):
        sender.envelope(centre.report().to_bytes())  # written, and given up
    gone: list[Any] = [{"boot": BOOT, "first": 2, "last": 3, "why": "full", "digests": []}]
    claims = [*gone, {"boot": BOOT, "first": 3, "last": 2}, {"first": 1}, None, {"boot": 1, "first": "x", "last": 9}]
    said = instant("agent/box", Kind.DROPPED, NOW, {"ranges": claims}, state="dropped")
    assert [item.status for item in centre.send(centre.report(said))] == ["stored"]
    with reading(engine) as session:
        (agent,) = agents.agents_of(session, "wj-0001")
    assert (agent.state, agent.missing, agent.chain.dropped) == ("incomplete", 3, 2)
    told = agent.to_json()["chain"]
    assert isinstance(told, dict)
    assert (told["missing"], told["dropped"], told["gaps"][0]["dropped"]) == (3, 2, 2)
    assert (
        centre.send(centre.report(instant("agent/box", Kind.DROPPED, NOW, {"ranges": 7}, state="dropped")))[0].status
        == "stored"
    )
    assert verify_institution(centre.context, "wj-0001").problems == []
