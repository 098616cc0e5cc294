"""Evaluation: with the real judge and real packs, reports become verdicts, findings and notices, each finding once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event

from monitor.collector.evaluate import evaluate, verdicts_as_of
from monitor.collector.evidence import export_evidence
from monitor.collector.jobs import AFTER_FAILURE, evaluate_due, wake_silent
from monitor.collector.packs import Packs
from monitor.collector.settings import NoticeSettings, Settings
from monitor.evidence.bundle import Bundle
from monitor.evidence.check import check_bundle
from monitor.model.calendar import Waiver
from monitor.model.inventory import Inventory
from monitor.model.observation import Kind, Observation, Subject
from monitor.model.regulation import pack_digest, pack_json
from monitor.model.span import DAY, HOUR, MINUTE, Basis, Millis, from_millis
from monitor.regulations.loader import load
from monitor.regulations.problem import PackError
from monitor.store import registry
from monitor.store.engine import open_engine, reading, writing
from monitor.store.evaluations import count_late, due_evaluations
from monitor.store.findings import FindingRow, changes_of, current_verdicts, finding_rows
from monitor.store.keys import revoke_keys
from monitor.store.registry import known_entry
from monitor.store.tables import (
    AgentRow,
    FindingChange,
    FindingRecord,
    InstantRow,
    NoticeRow,
    ReportRow,
    RunRow,
    SpanRow,
    VerdictRow,
)
from support.centre import INVENTORY, NOW, Centre, declared, index, instant, make_centre, span
from support.pack_text import PACK
from support.packs import pack

WUJIANG = "cn-nursery-wujiang-2021"


@pytest.fixture
def centre(engine: Engine) -> Centre:
    made = make_centre(engine, pack(uptime={"window": "1h"}), load(WUJIANG))
    made.add()
    made.see(declared(NOW - HOUR))
    return made


def findings(centre: Centre, **filters: Any) -> list[FindingRow]:
    with reading(centre.context.engine) as session:
        return sorted(finding_rows(session, **filters), key=lambda row: (row.requirement, str(row.subject), row.began))


def brief(centre: Centre, **filters: Any) -> list[tuple[str, str, str, Millis, Millis | None]]:
    """Return (requirement, subject, state, began, ended) of the findings, times relative to noon."""
    return [
        (row.requirement, str(row.subject), row.state, row.began - NOW, None if row.ended is None else row.ended - NOW)
        for row in findings(centre, **filters)
    ]


def verdict(centre: Centre, requirement: str, subject: str) -> Any:
    with reading(centre.context.engine) as session:
        rows = current_verdicts(session, "wj-0001")
    kind, _, name = subject.partition("/")
    found = [row for row in rows if (row.requirement, row.subject_kind, row.subject_id) == (requirement, kind, name)]
    return found[0] if found else None


def pass_time(centre: Centre, millis: Millis) -> None:
    centre.clock.advance(millis / 1000)
    evaluate(centre.context, "wj-0001")


def now(centre: Centre) -> Millis:
    return centre.context.now()


def test_nothing_declared_nothing_judged(engine: Engine) -> None:
    centre = make_centre(engine)
    centre.add()
    evaluation = evaluate(centre.context, "wj-0001")
    assert evaluation is not None
    assert [(item.requirement.kind, item.state) for item in evaluation.verdicts] == [("agent_silence", "reporting")]
    assert brief(centre) == []


def test_an_agent_that_never_reports_is_silent_even_when_nothing_is_declared(engine: Engine) -> None:
    centre = make_centre(engine)
    centre.add()
    pass_time(centre, 31 * MINUTE)
    assert brief(centre) == [("agent_silence", "agent/box", "silent", 0, None)]


def test_who_is_not_in_the_register_is_not_evaluated(centre: Centre) -> None:
    assert evaluate(centre.context, "nobody") is None


def test_an_outage_opens_one_finding_that_persists_and_closes_by_evidence(centre: Centre) -> None:
    down = NOW + 5 * MINUTE
    centre.see(span("camera/gate", "up", NOW, down))
    pass_time(centre, 5 * MINUTE)
    assert brief(centre, requirement="uptime") == []
    for minute in range(1, 6):
        seen = down + minute * MINUTE
        centre.clock.advance(60)
        centre.see(span("camera/gate", "down", seen - MINUTE, seen, cause="refused"))
        evaluate(centre.context, "wj-0001")
        evaluate(centre.context, "wj-0001")
    assert brief(centre, requirement="uptime") == [("uptime", "camera/gate", "down", 5 * MINUTE, None)]
    back = down + 5 * MINUTE
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", back, back + MINUTE))
    evaluate(centre.context, "wj-0001")
    assert brief(centre, requirement="uptime") == [("uptime", "camera/gate", "down", 5 * MINUTE, 10 * MINUTE)]
    pass_time(centre, 3 * HOUR)  # the window moves on: the past stays as it was
    assert brief(centre, requirement="uptime") == [("uptime", "camera/gate", "down", 5 * MINUTE, 10 * MINUTE)]


def test_two_outages_that_turn_out_to_be_one_are_one_open_finding(centre: Centre) -> None:
    """In between it was up by one look, and is told afterwards to have been down: watched all the time."""
    began, up, down = NOW - 50 * MINUTE, NOW - 35 * MINUTE, NOW - 20 * MINUTE
    centre.see(span("camera/gate", "up", NOW - HOUR, began))
    centre.see(*(span("camera/gate", "down", *edges, cause="refused") for edges in ((began, up), (down, NOW))))
    centre.see(span("camera/gate", "up", up, down, basis=Basis.SAMPLED))

    def outages() -> list[FindingRow]:
        evaluate(centre.context, "wj-0001")
        return [row for row in findings(centre, requirement="uptime") if str(row.subject) == "camera/gate"]

    assert [(row.began, row.ended) for row in outages()] == [(began, up), (down, None)]
    centre.see(span("camera/gate", "down", up, down, cause="refused"))
    for _ in range(2):
        centre.clock.advance(1)
        found = outages()
        assert [(row.began, row.ended) for row in found] == [(began, None), (down, down)]
    with reading(centre.context.engine) as session:
        *_, last = changes_of(session, "wj-0001", found[1].id)
    assert "it is part of another finding" in last.reason


def test_a_finding_keeps_its_first_reading_and_every_change(centre: Centre) -> None:
    centre.see(span("camera/gate", "down", NOW, NOW + 2 * MINUTE, cause="stalled"))
    pass_time(centre, 2 * MINUTE)
    (row,) = findings(centre, requirement="uptime")
    assert row.reason == "No frames since 2026-11-23T04:00:00Z: stalled."
    assert row.to_json("zh")["citation"]["title"] == "测试规定"
    assert row.to_json()["citation"]["title"] == "Test rule"
    assert (row.regulation, row.regulation_version) == ("test-pack", 1)
    assert [item["kind"] for item in row.evidence] == ["stream"]
    assert set(row.to_json()) == {
        "id", "institution", "requirement", "subject", "state", "stage", "began_at", "opened_at", "ended_at", "reason",
        "citation", "measured", "evidence",
    }  # fmt: skip
    centre.see(span("camera/gate", "up", NOW + 2 * MINUTE, NOW + 3 * MINUTE))
    pass_time(centre, MINUTE)
    (closed,) = findings(centre, requirement="uptime")
    assert (closed.reason, closed.measured, closed.opened) == (row.reason, row.measured, row.opened)
    with reading(centre.context.engine) as session:
        first, last = changes_of(session, "wj-0001", row.id)
    assert (first.reason, first.ended) == (row.reason, None)
    assert last.ended == NOW + 2 * MINUTE
    assert last.reason == "Down from 2026-11-23T04:00:00Z until 2026-11-23T04:02:00Z: stalled."


def test_an_outage_longer_than_the_window_keeps_its_beginning(centre: Centre) -> None:
    centre.see(span("camera/gate", "down", NOW, NOW + 10 * MINUTE, cause="refused", expires=NOW + 9 * HOUR))
    pass_time(centre, 10 * MINUTE)
    for hour in range(1, 4):
        centre.clock.advance(3600)
        centre.see(span("camera/gate", "down", NOW + 10 * MINUTE, NOW + 10 * MINUTE + hour * HOUR, cause="refused"))
        evaluate(centre.context, "wj-0001")
    assert brief(centre, requirement="uptime") == [("uptime", "camera/gate", "down", 0, None)]
    with reading(centre.context.engine) as session:
        assert len(changes_of(session, "wj-0001", findings(centre, requirement="uptime")[0].id)) == 1


def test_an_outage_that_ended_while_nobody_evaluated_is_closed_by_the_look_that_shows_it(centre: Centre) -> None:
    centre.see(span("camera/gate", "down", NOW, NOW + 2 * MINUTE, cause="refused"))
    pass_time(centre, 2 * MINUTE)
    centre.clock.advance(5 * 3600)
    seen = now(centre)
    centre.see(span("camera/gate", "up", seen - 2 * HOUR, seen))
    evaluate(centre.context, "wj-0001")
    assert [(row.ended or 0) for row in findings(centre, requirement="uptime")] == [seen]


def test_a_later_name_for_an_outage_is_the_same_finding(engine: Engine) -> None:
    """The index tells of a hole; that the agent was off at the same time comes with a late report."""
    centre = make_centre(engine)
    centre.add()
    off, on, cameras = NOW, NOW + 20 * MINUTE, ("gate", "room1")
    centre.see(declared(NOW - HOUR), span("agent/box", "up", NOW - HOUR, off, kind=Kind.AGENT))
    centre.see(*(span(f"camera/{camera}", "up", NOW - HOUR, off) for camera in cameras))
    centre.see(span("recorder/nvr", "up", NOW - HOUR, off, kind=Kind.REACH))
    centre.clock.advance(40 * 60)
    at = now(centre)
    centre.see(*(index(camera, at, 100, holes=[(off, on)]) for camera in cameras))
    centre.see(span("recorder/nvr", "up", on, at, kind=Kind.REACH))
    evaluate(centre.context, "wj-0001")
    first = findings(centre, requirement="uptime")
    assert {(str(row.subject), row.state) for row in first} == {("camera/gate", "down"), ("camera/room1", "down")}
    centre.see(span("agent/box", "up", on, at, kind=Kind.AGENT))
    evaluate(centre.context, "wj-0001")
    later = findings(centre, requirement="uptime")
    assert [(row.id, row.state) for row in later if row.id in {item.id for item in first}] == [
        (row.id, "site_power") for row in first
    ]


def test_a_cause_takes_its_consequences_with_it(centre: Centre) -> None:
    """A recorder that dies: one finding on it, none on its cameras."""
    centre.see(
        span("recorder/nvr", "up", NOW - MINUTE, NOW, kind=Kind.REACH),
        span("camera/gate", "up", NOW - MINUTE, NOW),
        span("camera/room1", "up", NOW - MINUTE, NOW),
    )
    evaluate(centre.context, "wj-0001")
    gone = NOW + 20 * MINUTE
    centre.clock.advance(20 * 60)
    centre.see(
        span("recorder/nvr", "down", NOW, gone, kind=Kind.REACH, cause="timeout"),
        span("camera/gate", "unknown", NOW, gone, cause="recorder_unreachable"),
        span("camera/room1", "unknown", NOW, gone, cause="recorder_unreachable"),
    )
    evaluate(centre.context, "wj-0001")
    assert brief(centre, open_only=True, requirement="uptime") == [("uptime", "recorder/nvr", "unreachable", 0, None)]
    assert verdict(centre, "uptime", "camera/gate").json["because_of"]["subject"] == {"kind": "recorder", "id": "nvr"}


def test_short_retention_opens_after_two_scans_six_hours_apart_with_one_notice(engine: Engine) -> None:
    settings = Settings(notices=NoticeSettings(urls_env="NOWHERE"))
    centre = make_centre(engine, load(WUJIANG), settings=settings)
    centre.add(regulation=WUJIANG)
    centre.see(declared(NOW), index("gate", NOW, 36), index("room1", NOW, 120))
    evaluate(centre.context, "wj-0001")
    assert verdict(centre, "retention", "camera/gate").state == "short"
    assert verdict(centre, "retention", "camera/room1").outcome == "met"
    assert findings(centre, requirement="retention") == []
    for hours in (3, 6, 9):
        at = NOW + hours * HOUR
        centre.clock.advance(3 * 3600)
        centre.see(index("gate", at, 36 + hours / 24), index("room1", at, 120))
        evaluate(centre.context, "wj-0001")
    (row,) = findings(centre, requirement="retention")
    assert (str(row.subject), row.state, row.stage, row.ended) == ("camera/gate", "short", "lead", None)
    assert (row.measured["held_days"], row.measured["required_days"]) == (35, 90)
    assert row.opened == NOW + 6 * HOUR
    assert "90" in row.citation_zh["clause"]
    with reading(engine) as session:
        owed = session.query(NoticeRow).all()
    assert [(item.finding_id, item.due_at) for item in owed] == [(row.id, row.opened)]


def test_what_stays_unknown_is_measured_against_the_pack(centre: Centre) -> None:
    """Unknown is no hiding place: after 72 hours it is a finding of its own, since the first unknown look."""
    began = now(centre)
    evaluate(centre.context, "wj-0001")
    for hour in (24, 48, 73):
        centre.clock.advance(began / 1000 + hour * 3600 - now(centre) / 1000)
        at = now(centre)
        centre.see(span("agent/box", "up", at - MINUTE, at, kind=Kind.AGENT))
        centre.see(span("camera/gate", "unknown", at - MINUTE, at, cause="unauthorized"))
        evaluate(centre.context, "wj-0001")
    (row,) = findings(centre, requirement="measurability")  # the cameras' are explained by the recorder's
    assert (str(row.subject), row.state, row.began) == ("recorder/nvr", "unmeasured", began)
    assert verdict(centre, "measurability", "camera/gate").json["measured"]["cause"] == "credentials"


def test_silence_is_a_due_date(centre: Centre) -> None:
    evaluate_due(centre.context)
    assert wake_silent(centre.context) == 0
    centre.clock.advance(30 * 60)
    assert wake_silent(centre.context) == 0
    centre.clock.advance(1)
    assert wake_silent(centre.context) == 1
    assert wake_silent(centre.context) == 0
    assert evaluate_due(centre.context) == 1
    assert brief(centre, requirement="agent_silence") == [("agent_silence", "agent/box", "silent", 0, None)]
    with reading(centre.context.engine) as session:
        summary = registry.institution(session, "wj-0001")
    assert summary is not None
    assert summary.silent
    centre.clock.advance(60)
    centre.see(span("agent/box", "up", now(centre) - MINUTE, now(centre), kind=Kind.AGENT))
    evaluate(centre.context, "wj-0001")
    ended = findings(centre, requirement="agent_silence")[0].ended
    assert ended is not None
    with reading(centre.context.engine) as session:
        summary = registry.institution(session, "wj-0001")
    assert summary is not None
    assert not summary.silent


@pytest.mark.parametrize("declares", [False, True])
def test_an_agent_that_is_enrolled_and_never_started_falls_silent(
    engine: Engine, tmp_path: Path, *, declares: bool
) -> None:
    """Nobody else makes an evaluation due: and its bundle is to be checked like any other."""
    centre = make_centre(engine)
    began = now(centre)
    centre.add()
    if declares:
        with writing(engine) as session:
            registry.approve_inventory(session, Inventory.model_validate(INVENTORY))
    centre.clock.advance(30 * 60 + 1)
    assert (wake_silent(centre.context), evaluate_due(centre.context)) == (1, 1)
    (row,) = findings(centre, requirement="agent_silence")
    assert (str(row.subject), row.state, row.began) == ("agent/box", "silent", began)
    export_evidence(centre.context, row.id, tmp_path / "b.zip")
    assert check_bundle(Bundle(tmp_path / "b.zip")).fails == []


def test_what_is_said_to_hold_for_years_is_presumed_for_days_at_most(centre: Centre) -> None:
    """One last report and an agent that is switched off then must not leave a site in order for ten years."""
    at, far = now(centre), now(centre) + 3600 * DAY
    disks = {"disks": [{"id": "1", "state": "ok", "capacity_bytes": 10**12, "kind": "disk"}], "gone": [], "swapped": []}
    centre.see(
        declared(at),
        span("camera/gate", "up", at - HOUR, at, expires=far),
        span("camera/gate", "ok", at - HOUR, at, kind=Kind.VIEW, expires=far),
        span("recorder/nvr", "up", at - HOUR, at, kind=Kind.REACH, expires=far),
        instant("recorder/nvr", Kind.DISKS, at, disks, expires=far),
        instant("recorder/nvr", Kind.CLOCK, at, {"offset_seconds": 0.0}, expires=far),
        index("gate", at, 100).model_copy(update={"expires": far}),
    )
    asked = {
        ("uptime", "recorder/nvr"), ("uptime", "camera/gate"), ("view", "camera/gate"), ("storage_health", "recorder/nvr"),
        ("recorder_clock", "recorder/nvr"), ("retention", "camera/gate"),
    }  # fmt: skip

    def outcomes(as_of: Millis) -> set[str]:
        with reading(centre.context.engine) as session:
            found = verdicts_as_of(session, "wj-0001", as_of, centre.context.packs)
        told = {(item.key[0], str(item.subject)): item.outcome.value for item in found}
        return {told[key] for key in asked if key in told}

    assert outcomes(at) == {"met"}
    assert outcomes(at + 8 * DAY) == {"undetermined"}


def test_nobody_has_seen_what_the_centre_has_not_reached(centre: Centre) -> None:
    """A clock set ahead, and what is seen now would stand for tonight, when the box may be off."""
    at = now(centre)
    centre.see(declared(at), span("camera/gate", "up", at - HOUR, at))
    ahead = span("camera/gate", "up", at, at + 20 * HOUR, expires=at + 21 * HOUR)
    assert [item.reason for item in centre.send(centre.report(ahead))] == ["ahead"]
    pass_time(centre, 10 * HOUR)
    assert verdict(centre, "uptime", "camera/gate").outcome == "undetermined"


def test_a_revoked_agent_is_silent_no_more(centre: Centre) -> None:
    pass_time(centre, 31 * MINUTE)
    began = findings(centre, requirement="agent_silence")[0].began
    centre.clock.advance(60)
    revoked = now(centre)
    with writing(centre.context.engine) as session:
        assert revoke_keys(session, "wj-0001", "box", revoked) > 0
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    (ended,) = findings(centre, requirement="agent_silence")
    assert (ended.began, ended.ended) == (began, revoked)
    pass_time(centre, 31 * MINUTE)
    assert len(findings(centre, requirement="agent_silence")) == 1, "and stays so"
    with reading(centre.context.engine) as session:
        before = verdicts_as_of(session, "wj-0001", revoked - 1, centre.context.packs)
        after = verdicts_as_of(session, "wj-0001", now(centre), centre.context.packs)
    assert [item.state for item in before if item.requirement.kind == "agent_silence"] == ["silent"]
    assert [item.state for item in after if item.requirement.kind == "agent_silence"] == []


def test_evaluation_is_due_again_after_its_interval_and_no_sooner(centre: Centre) -> None:
    assert evaluate_due(centre.context) == 1
    centre.see(span("camera/gate", "up", NOW - MINUTE, NOW))
    assert evaluate_due(centre.context) == 0
    centre.clock.advance(60)
    assert evaluate_due(centre.context) == 1


def test_a_pack_that_cannot_be_read_keeps_nobody_else_waiting(centre: Centre) -> None:
    centre.add("wj-0000", regulation="there-is-none")
    centre.see(declared(NOW, {**INVENTORY, "institution": {"id": "wj-0000"}}), institution="wj-0000")
    assert evaluate_due(centre.context) == 1
    centre.clock.advance(100)
    assert evaluate_due(centre.context) == 1
    with reading(centre.context.engine) as session:
        assert {row.id: row.evaluated_at is None for row in registry.institution_rows(session)} == {
            "wj-0000": True,
            "wj-0001": False,
        }


def test_an_evaluation_that_fails_again_and_again_is_late(
    centre: Centre, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due anew after each failure, a little later: nobody would hear of it."""

    def late() -> int:
        with reading(engine) as session:
            return count_late(session, now(centre), centre.context.settings.evaluate_every)

    centre.see(declared(now(centre)))
    for _ in range(5):
        assert evaluate_due(centre.context) == 1
        centre.clock.advance(60)
        assert late() == 0
    monkeypatch.setattr("monitor.collector.jobs.evaluate", lambda *_, **_more: 1 / 0)
    found = []
    for _ in range(6):
        assert evaluate_due(centre.context) == 0
        found.append(late())
        centre.clock.advance(300)
    assert found == [0, 0, 1, 1, 1, 1]
    monkeypatch.undo()
    assert (evaluate_due(centre.context), late()) == (1, 0)


@pytest.mark.parametrize(
    ("every", "worked", "waited", "rests"),
    [
        ("60s", 0.9, 0, 60),
        ("60s", 1.1, 0, 60),
        ("60s", 3.0, 0, 153),
        ("60s", 3.0, 10, 163),
        ("60s", 40.0, 0, 340),
        ("2s", 3.0, 0, 13),
        ("2m", 40.0, 0, 340),
        ("60s", 0.9, 8, 60),  # on a machine that is busy with other things
        ("60s", 0.5, 39.5, 240),  # for a database that is busy with this
    ],
)
def test_an_evaluation_that_takes_long_is_made_less_often(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, every: str, worked: float, waited: float, rests: int
) -> None:
    """Whoever has far more told than others keeps nobody else waiting: `rests` seconds after the last one began the next is due."""
    centre = make_centre(engine, settings=Settings.model_validate({"evaluate_every": every}))
    centre.add()

    def slowly(*args: Any, **more: Any) -> Any:
        found = evaluate(*args, **more)
        centre.clock.work(worked)
        centre.clock.advance(waited)
        return found

    centre.see(declared(now(centre)))
    began = now(centre)
    monkeypatch.setattr("monitor.collector.jobs.evaluate", slowly)
    assert evaluate_due(centre.context) == 1
    with reading(engine) as session:
        assert due_evaluations(session, began + AFTER_FAILURE + MINUTE) == [("wj-0001", began + rests * 1000)]
        assert count_late(session, began + rests * 1000, centre.context.settings.evaluate_every) == 0


def test_an_evaluation_reads_no_more_evidence_for_a_longer_history(centre: Centre, engine: Engine) -> None:
    """Years of spans are a few texts of the database; what they said is read of the present alone."""
    read = list[str]()

    def count() -> int:
        read.clear()
        evaluate(centre.context, "wj-0001")
        return len(read)

    def counting(text: str) -> Observation:
        read.append(text)
        return read_stored(text)

    def told(since: Millis) -> list[Observation]:
        times = range(since, NOW, 10 * MINUTE)
        kinds = ((Kind.STREAM, "up", "down"), (Kind.VIEW, "ok", "covered"))
        return [
            span("camera/gate", state, at + index * 5 * MINUTE, at + (index + 1) * 5 * MINUTE, kind=kind)
            for at in times
            for kind, *states in kinds
            for index, state in enumerate(states)
        ]

    def clocks(days: int) -> list[Observation]:
        times = (NOW - day * DAY for day in range(days))
        return [instant("recorder/nvr", Kind.CLOCK, at, {"offset_seconds": at % 3 / 2}) for at in times]

    read_stored = Observation.read_stored
    centre.see(declared(NOW - DAY), *told(NOW - HOUR))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Observation, "read_stored", counting)
        centre.see(*clocks(2))
        few = count()
        centre.see(*told(NOW - 20 * HOUR), *clocks(300))
        assert count() == few
    assert verdict(centre, "uptime", "camera/gate").outcome == "breached"


@pytest.mark.parametrize("broken", ["monitor.store.registry.entry", "monitor.collector.evaluate.assess"])
def test_an_evaluation_that_fails_is_tried_again_later_however_early_it_fails(
    centre: Centre, engine: Engine, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Also where it fails in the transaction that takes it on: else it would be the longest due for ever."""
    centre.see(declared(now(centre)))
    monkeypatch.setattr(broken, lambda *_, **_more: 1 / 0)
    assert evaluate_due(centre.context) == 0
    with reading(engine) as session:
        assert due_evaluations(session, now(centre) + AFTER_FAILURE - 1) == []
        assert due_evaluations(session, now(centre) + AFTER_FAILURE) == [("wj-0001", now(centre) + AFTER_FAILURE)]


def test_an_evaluation_that_another_process_took_on_is_left_to_it(
    centre: Centre, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre.see(declared(now(centre)))
    with reading(engine) as session:
        due = due_evaluations(session, now(centre))
    assert evaluate_due(centre.context) == 1
    monkeypatch.setattr("monitor.store.evaluations.due_evaluations", lambda *_: due)
    assert evaluate_due(centre.context) == 0
    with reading(engine) as session:
        assert known_entry(session, "wj-0001").evaluation == 1


def test_an_evaluation_asks_each_thing_once(centre: Centre, engine: Engine) -> None:
    """The same statements for every institution, whatever is in its ledger, and none of them twice."""
    asked: dict[str, list[str]] = {}
    for name in ("wj-0002", "wj-0003"):
        centre.add(name)
    at = now(centre)
    for name, cameras in (("wj-0001", 1), ("wj-0002", 3), ("wj-0003", 2)):
        seen = [index(f"c{number}", at - 5 * MINUTE * number, 91) for number in range(cameras)]
        seen += [instant(f"camera/c{number}", Kind.EXPIRY, at, {"days": 90}) for number in range(cameras)]
        centre.see(declared(at, {**INVENTORY, "institution": {"id": name, "name": name}}), *seen, institution=name)
        evaluate(centre.context, name)
        with noted(engine) as statements:
            evaluate(centre.context, name)
        asked[name] = [re.sub(r"\(VALUES [^)]*\)(, \([^)]*\))*", "(VALUES)", text) for text in statements]
    read = [text for text in asked["wj-0001"] if text.startswith("SELECT")]
    assert len(read) == len(set(read)) >= 15
    assert asked["wj-0001"] == asked["wj-0002"] == asked["wj-0003"]


@contextmanager
def noted(engine: Engine) -> Iterator[list[str]]:
    """Give the statements that are sent until the block ends."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_what_is_kept_of_a_pack_is_what_it_was_judged_by() -> None:
    packs = Packs.of(pack(), load(WUJIANG))
    for name in ("test-pack", WUJIANG):
        assert packs.digest(name) == packs.digest(name) == pack_digest(pack_json(packs.get(name)))
    with pytest.raises(PackError):
        packs.digest("none")


@pytest.mark.parametrize(
    "odd",
    [
        {"hours": {"open": "07:30+08:00", "close": "18:00"}},
        {"hours": {"open": "07:30", "close": "18:00Z"}},
        {"naps": [{"from": "12:00", "to": "14:00-05:00"}]},
    ],
)
def test_an_odd_declaration_hides_nobody(centre: Centre, odd: dict[str, Any]) -> None:
    """What can't be read is passed over for what was declared before, whatever is odd about it."""
    at = now(centre)
    centre.see(declared(at - 1), span("camera/gate", "ok", at - HOUR, at, kind=Kind.VIEW))
    centre.see(declared(at, {**INVENTORY, **odd}), span("camera/gate", "dark", at, at + MINUTE, kind=Kind.VIEW))
    pass_time(centre, MINUTE)
    assert verdict(centre, "view", "camera/gate").state == "dark"


def test_a_directory_of_packs_that_vanishes_takes_only_its_own_packs_along(tmp_path: Path) -> None:
    packs = Packs([tmp_path])
    (tmp_path / "mine.yaml").write_text(PACK.replace("id: x", "id: mine"), encoding="utf-8")
    (tmp_path / "other.yaml").write_text(PACK.replace("id: x", "id: other"), encoding="utf-8")
    assert packs.get("mine").id == "mine"
    tmp_path.rename(tmp_path.with_name("away"))
    assert packs.get(WUJIANG).id == WUJIANG
    with pytest.raises(PackError, match=rf"{tmp_path}: pack_dirs: .* can't be read: No such file"):
        packs.get("other")
    assert packs.unreadable(["mine", "other", WUJIANG]) == {"other"}
    tmp_path.with_name("away").rename(tmp_path)
    assert packs.unreadable(["other"]) == set()


def test_an_evaluation_that_another_overtook_is_dropped(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.collector import evaluate as module

    real = module.assess

    def overtaken(*arguments: Any) -> Any:
        found = real(*arguments)
        monkeypatch.setattr(module, "assess", real)
        other = evaluate(centre.context, "wj-0001")
        assert other is not None
        assert other.verdicts
        return found

    centre.see(span("camera/gate", "down", NOW - 10 * MINUTE, NOW, cause="refused"))
    monkeypatch.setattr(module, "assess", overtaken)
    dropped = evaluate(centre.context, "wj-0001")
    assert dropped is not None
    assert dropped.verdicts == ()
    assert len(findings(centre, requirement="uptime")) == 1


def test_what_is_no_longer_declared_is_no_longer_judged_but_its_finding_stays(centre: Centre) -> None:
    centre.see(span("camera/gate", "down", NOW - 10 * MINUTE, NOW, cause="refused"))
    evaluate(centre.context, "wj-0001")
    assert verdict(centre, "uptime", "camera/gate") is not None
    fewer = {**INVENTORY, "cameras": INVENTORY["cameras"][1:]}
    centre.clock.advance(60)
    centre.see(declared(now(centre), fewer))
    evaluate(centre.context, "wj-0001")
    assert verdict(centre, "uptime", "camera/gate") is None
    assert brief(centre, requirement="uptime", open_only=True) == [
        ("uptime", "camera/gate", "down", -10 * MINUTE, None)
    ]


def test_the_approved_inventory_wins(centre: Centre) -> None:
    fewer = Inventory.model_validate({**INVENTORY, "cameras": INVENTORY["cameras"][1:]})
    with writing(centre.context.engine) as session:
        registry.approve_inventory(session, fewer)
    evaluate(centre.context, "wj-0001")
    assert verdict(centre, "uptime", "camera/gate") is None
    assert verdict(centre, "uptime", "camera/room1") is not None


def test_waived_time_is_not_due(centre: Centre) -> None:
    camera = Subject(kind="camera", id="gate")
    waiver = Waiver(
        subject=camera, start_at=from_millis(NOW - HOUR), end_at=from_millis(NOW), by="office", reason="rewiring"
    )
    with writing(centre.context.engine) as session:
        registry.add_waiver(session, "wj-0001", waiver, NOW)
    centre.see(span("camera/gate", "down", NOW - 30 * MINUTE, NOW, cause="refused"))
    evaluate(centre.context, "wj-0001")
    assert brief(centre, requirement="uptime") == []


@pytest.mark.parametrize("requirement", [None, "view"])
def test_no_case_of_a_picture_begins_in_waived_time(centre: Centre, requirement: str | None) -> None:
    camera, until = Subject(kind="camera", id="gate"), NOW + HOUR
    waiver = Waiver(
        subject=camera, requirement=requirement, start_at=from_millis(NOW), end_at=from_millis(until), by="office",
        reason="scaffolding",
    )  # fmt: skip
    with writing(centre.context.engine) as session:
        registry.add_waiver(session, "wj-0001", waiver, NOW)
    began = NOW + 10 * MINUTE
    centre.see(span("camera/gate", "black", began, NOW + 50 * MINUTE, kind=Kind.VIEW))
    centre.clock.advance(50 * 60)
    evaluate(centre.context, "wj-0001")
    assert brief(centre, requirement="view") == []
    centre.see(span("camera/gate", "black", NOW + 50 * MINUTE, NOW + 70 * MINUTE, kind=Kind.VIEW))
    centre.clock.advance(20 * 60)
    evaluate(centre.context, "wj-0001")
    (found,) = findings(centre, requirement="view")
    assert (found.state, found.began) == ("black", until), "it outlasts the waiver"


def test_no_case_that_is_folded_from_looks_begins_in_waived_time(centre: Centre) -> None:
    def look(at: Millis, offset: float) -> Observation:
        facts = {"offset_seconds": offset}
        return span("recorder/nvr", "read", at, at, kind=Kind.CLOCK).model_copy(
            update={"facts": facts, "expires": at + HOUR}
        )

    waiver = Waiver(
        subject=Subject(kind="recorder", id="nvr"), requirement="recorder_clock", start_at=from_millis(NOW),
        end_at=from_millis(NOW + HOUR), by="office", reason="the new time server comes on Monday",
    )  # fmt: skip
    with writing(centre.context.engine) as session:
        registry.add_waiver(session, "wj-0001", waiver, NOW)
    for minute in range(0, 120, 10):
        centre.see(look(now(centre), 3600.0))
        evaluate(centre.context, "wj-0001")
        begun = [item.began for item in findings(centre, requirement="recorder_clock")]
        assert begun == ([] if minute < 60 else [NOW + HOUR])
        centre.clock.advance(600)


def test_the_past_can_be_judged_again(centre: Centre) -> None:
    centre.see(span("camera/gate", "down", NOW, NOW + 4 * MINUTE, cause="refused"))
    centre.clock.advance(20 * 60)
    centre.see(span("camera/gate", "up", NOW + 4 * MINUTE, NOW + 20 * MINUTE))
    evaluate(centre.context, "wj-0001")
    with reading(centre.context.engine) as session:
        then = {item.key: item for item in verdicts_as_of(session, "wj-0001", NOW + 3 * MINUTE, centre.context.packs)}
        today = {item.key: item for item in verdicts_as_of(session, "wj-0001", now(centre), centre.context.packs)}
        with pytest.raises(registry.RegisterError):
            verdicts_as_of(session, "nobody", NOW, centre.context.packs)
    gate = Subject(kind="camera", id="gate")
    assert then["uptime", gate].state == "down"
    assert today["uptime", gate].state == "up"
    evaluation = evaluate(centre.context, "wj-0001")
    assert evaluation is not None
    assert today == {item.key: item for item in evaluation.verdicts}


def test_how_an_institution_stands_orders_the_list(centre: Centre) -> None:
    for name in ("wj-0002", "wj-0003"):
        centre.add(name)
        centre.see(declared(NOW - HOUR, {**INVENTORY, "institution": {"id": name}}), institution=name)
    centre.see(span("camera/gate", "down", NOW - 10 * MINUTE, NOW, cause="refused"), institution="wj-0003")
    assert evaluate_due(centre.context) == 3
    with reading(centre.context.engine) as session:
        rows = registry.institution_rows(session)
        assert [row.id for row in rows] == ["wj-0003", "wj-0001", "wj-0002"]
        assert [row.open_findings for row in rows] == [1, 0, 0]
        again: list[str] = []
        after = None
        for _ in range(4):
            page = registry.institution_rows(session, after=after, limit=1)
            again += [row.id for row in page]
            after = registry.cursor_of(page[-1]) if page else after
        assert again == ["wj-0003", "wj-0001", "wj-0002"]


# --- any order, any copies ----------------------------------------------------------------------------------------


def clear(engine: Engine) -> None:
    with writing(engine) as session:
        for table in (FindingChange, NoticeRow, FindingRecord, VerdictRow, RunRow, SpanRow, InstantRow, ReportRow):
            session.execute(delete(table))
        session.query(AgentRow).update({AgentRow.last_report_at: None, AgentRow.reports: 0})


@st.composite
def histories(draw: st.DrawFn) -> list[list[Observation]]:
    """Half an hour of reports, a minute each: streams, views and the recorder, in whatever state."""
    reports: list[list[Observation]] = []
    for minute in range(draw(st.integers(2, 8))):
        start = NOW + minute * MINUTE
        seen: list[Observation] = []
        for camera in ("gate", "room1"):
            state = draw(st.sampled_from(["up", "up", "down", "unknown"]))
            cause = "refused" if state == "down" else None
            seen.append(span(f"camera/{camera}", state, start, start + MINUTE, cause=cause))
            look = draw(st.sampled_from(["ok", "ok", "black", "frozen"]))
            seen.append(span(f"camera/{camera}", look, start, start + MINUTE, kind=Kind.VIEW))
        if draw(st.booleans()):
            seen.append(
                instant("recorder/nvr", Kind.CLOCK, start, {"offset_seconds": draw(st.sampled_from([0, 3600]))})
            )
        reports.append(seen)
    return reports


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), history=histories())
def test_reports_in_any_order_with_copies_give_the_same_findings(
    centre: Centre, data: st.DataObject, history: Any
) -> None:
    end = NOW + len(history) * MINUTE
    first = centre.report(declared(NOW - HOUR))
    reports = [first, *(centre.report(*seen) for seen in history)]

    def outcome(order: Any) -> Any:
        clear(centre.context.engine)
        for report in order:
            centre.send(report)
        evaluate(centre.context, "wj-0001", as_of=end)
        evaluate(centre.context, "wj-0001", as_of=end)
        with reading(centre.context.engine) as session:
            verdicts = [row.json for row in current_verdicts(session, "wj-0001")]
        keys = ("requirement", "subject", "state", "began_at", "ended_at", "reason", "measured", "evidence")
        return verdicts, [{key: row.to_json()[key] for key in keys} for row in findings(centre)]

    in_order = outcome(reports)
    shuffled = data.draw(st.permutations([*reports, *data.draw(st.lists(st.sampled_from(reports), max_size=5))]))
    assert outcome(shuffled) == in_order


def test_both_databases_come_to_the_same(centre: Centre, sqlite_template: Any, tmp_path: Any) -> None:
    """The same reports on this database and on a second one (SQLite): the same verdicts and findings."""
    import shutil

    shutil.copy(sqlite_template, tmp_path / "second.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'second.db'}")
    second = make_centre(engine, pack(uptime={"window": "1h"}))
    second.add()
    second.see(declared(NOW - HOUR))
    for one, step in itertools.product((centre, second), range(6)):
        state = "down" if step in (2, 3) else "up"
        start = NOW + step * 3 * MINUTE
        one.clock.advance(180)
        one.see(span("camera/gate", state, start, start + 3 * MINUTE, cause="refused" if state == "down" else None))
        evaluate(one.context, "wj-0001")
    assert [row.to_json() for row in findings(centre)] == [row.to_json() for row in findings(second)]
    assert len(findings(second, requirement="uptime")) == 1
    engine.dispose()
