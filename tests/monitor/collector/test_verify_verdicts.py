"""Verdicts, looks and counts that somebody edits are found by the newest evaluation, made again; an honest store is never accused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from sqlalchemy import Engine, delete, text

from monitor.collector import evaluate as evaluation
from monitor.collector import verify_verdicts
from monitor.collector.arrival import NotProved
from monitor.collector.enrolment import revoke
from monitor.collector.evaluate import evaluate
from monitor.collector.ingest import ingest
from monitor.collector.jobs import bring_back, note_clocks, note_listening
from monitor.collector.mend_chain import mend_chain
from monitor.collector.verify import Verified, verify_institution
from monitor.collector.views import ViewMove, decide_view
from monitor.model.calendar import Waiver
from monitor.model.inventory import Institution, Inventory
from monitor.model.observation import Kind, Observation, Source
from monitor.model.report import Report
from monitor.model.span import DAY, HOUR, MINUTE, SECOND, from_millis
from monitor.model.view import view_id
from monitor.store import registry, views
from monitor.store.agents import agents_of
from monitor.store.clocks import note_offset
from monitor.store.engine import reading, writing
from monitor.store.evaluated import _digest
from monitor.store.schema import downgrade, migrate
from monitor.store.tables import Base
from support.centre import BOOT, INVENTORY, NOW, Centre, declared, index, instant, make_centre, span, subject
from support.packs import pack

SITE = "wj-0001"
AT = "its evaluation at 2026-11-23T04:03:00Z"
OTHER = pack(uptime={"grace": "0s"}, retention=None, measurability={"max_undetermined_hours": 1}).model_copy(
    update={"id": "other-pack"}
)
PACKS = (
    pack(uptime={"window": "1h"}, retention={"confirm_after": "0s"}, measurability={"max_undetermined_hours": 1}),
    OTHER,
)


def proposal(at: int, shown: str = "a view", camera: str = "gate") -> Observation:
    """Return a view that somebody on site proposes."""
    seen: dict[str, JsonValue] = {"version": 1, "cells": shown, "luma": 100.25}
    facts = {
        "light": "day", "view": view_id(seen), "by": "x", "looks": 5, "overlap": None, "state": "ok",
        "sketch": {"rows": ["..ab", "CD..", "efGH"]}, "fingerprint": seen,
    }  # fmt: skip
    return instant(f"camera/{camera}", Kind.BASELINE, at, facts, state="proposed", source=Source.PERSON)


@pytest.fixture
def centre(engine: Engine) -> Centre:
    """An institution that was evaluated three times, with a run that is over, a view that waits, and a finding."""
    made = make_centre(engine, *PACKS)
    made.add()
    made.see(declared(NOW - HOUR), proposal(NOW), span("camera/gate", "up", NOW - 10 * MINUTE, NOW))
    made.clock.advance(60)
    evaluate(made.context, SITE)
    made.see(index("gate", NOW + MINUTE, 36))
    made.see(span("camera/gate", "down", NOW, NOW + MINUTE, cause="refused"))
    made.clock.advance(60)
    evaluate(made.context, SITE)
    made.see(index("gate", NOW + 2 * MINUTE, 36), span("camera/gate", "up", NOW + MINUTE, NOW + 2 * MINUTE))
    made.clock.advance(60)
    evaluate(made.context, SITE)
    made.see(span("camera/gate", "down", NOW + 3 * MINUTE, NOW + 3 * MINUTE + SECOND, cause="refused"))
    found = verify(made)
    assert (found.problems, found.verdicts.unjudged) == ([], None)
    assert found.verdicts.verdicts > 10
    return made


def verify(centre: Centre) -> Verified:
    return verify_institution(centre.context, SITE)


def execute(engine: Engine, sql: str, **values: Any) -> int:
    with engine.begin() as connection:
        return connection.execute(text(sql), values).rowcount


def test_an_edit_is_named(centre: Centre, engine: Engine) -> None:
    whose = "requirement = 'uptime' AND subject_id = 'gate'"
    newest = f"{whose} AND first_at = (SELECT max(first_at) FROM run AS r WHERE r.requirement = 'uptime' AND r.subject_id = 'gate')"
    past = f"{whose} AND first_at = (SELECT min(first_at) FROM run AS r WHERE r.requirement = 'uptime' AND r.subject_id = 'gate')"
    verdict = "verdict uptime of camera/gate"
    edits = {
        f"UPDATE verdict SET outcome = 'undetermined' WHERE {whose}": [f"{verdict} has another outcome than {AT} comes to"],
        f"UPDATE verdict SET state = 'x' WHERE {whose}": [f"{verdict} has another state than {AT} comes to"],
        f"UPDATE verdict SET body = replace(body, 'up', 'UP') WHERE {whose}": [f"{verdict} has another body than {AT} comes to"],
        f"UPDATE verdict SET citation_zh = '{{}}' WHERE {whose}": [f"{verdict} has another citation_zh than {AT} comes to"],
        f"UPDATE verdict SET subject_id = 'gone' WHERE {whose}": [
            f"verdict uptime of camera/gone was added: {AT} doesn't come to it", f"{verdict} is gone: {AT} comes to it",
        ],
        f"DELETE FROM verdict WHERE {whose}": [f"{verdict} is gone: {AT} comes to it"],
        "UPDATE institution SET met = met + 1, breached = breached - 1": [f"the institution has another breached and another met than {AT} comes to"],
        "UPDATE institution SET open_findings = 0": [f"the institution has another open_findings than {AT} comes to"],
        "UPDATE institution SET views_waiting = 0": [f"the institution has another views_waiting than {AT} comes to"],
        "UPDATE institution SET silent = NOT silent": [f"the institution has another silent than {AT} comes to"],
        "UPDATE institution SET evaluated_at = evaluated_at + 1": [f"the institution has another evaluated_at than {AT} comes to"],
        "UPDATE institution SET evaluation = evaluation + 1": ["4 evaluations are said to have been written, and 3 were"],
        "UPDATE evaluation SET body = replace(body, '\"clocks_disputed\"', '\"disputed\"')": ["what is kept of its newest evaluation was edited"],
        "DELETE FROM evaluation": ["what is kept of its newest evaluation is gone: 3 were written"],
        f"UPDATE run SET last_at = last_at - 1 WHERE {newest}": [f"the newest run of uptime of camera/gate has another last_at than {AT} comes to"],
    }  # fmt: skip
    tables = [Base.metadata.tables[name] for name in ("verdict", "institution", "evaluation", "run")]
    with engine.connect() as connection:
        kept = [[dict(row) for row in connection.execute(table.select()).mappings()] for table in tables]

    def restore() -> None:
        with engine.begin() as connection:
            for table, rows in zip(tables, kept, strict=True):
                if table.name == "institution":
                    connection.execute(table.update().values(**rows[0]))
                    continue
                connection.execute(delete(table))
                connection.execute(table.insert(), rows)

    for sql, said in edits.items():
        assert execute(engine, sql.replace(":", "\\:")) == 1, sql
        found = verify(centre)
        assert found.verdicts.problems == [f"{SITE}: {text}" for text in said], sql
        restore()
    told = {
        f"UPDATE run SET outcome = 'undetermined' WHERE {newest}": "has another outcome than entry",
        f"UPDATE run SET last_at = last_at + 1 WHERE {past}": "has another last_at than entry",
        f"UPDATE run SET began_at = 1 WHERE {past}": "has another began_at than entry",
        f"DELETE FROM run WHERE {past}": "is gone: entry",
        "INSERT INTO run SELECT institution_id, requirement, subject_kind, 'x', first_at, last_at, outcome, state, began_at, because_of"
        f" FROM run WHERE {past}": "was added: the journal doesn't tell of it",
    }  # fmt: skip
    for sql, part in told.items():
        assert execute(engine, sql) == 1, sql
        (first, *_) = verify(centre).journal.problems
        assert first.startswith(f"{SITE}: run uptime camera "), sql
        assert part in first, sql
        restore()
    assert verify(centre).problems == []


@pytest.mark.parametrize("edit", ["outcome = 'undetermined'", "began_at = 1", "because_of = NULL, state = 'x'"])
def test_a_run_that_was_edited_and_then_ended_by_an_evaluation_is_named(
    centre: Centre, engine: Engine, edit: str
) -> None:
    """The evaluation writes it down in the journal as it finds it."""
    newest = "(SELECT max(first_at) FROM run AS r WHERE r.requirement = 'uptime' AND r.subject_id = 'gate')"
    execute(
        engine, f"UPDATE run SET {edit} WHERE requirement = 'uptime' AND subject_id = 'gate' AND first_at = {newest}"
    )
    centre.clock.advance(60)
    centre.see(span("camera/gate", "down", NOW + 3 * MINUTE, NOW + 4 * MINUTE, cause="refused"))
    evaluate(centre.context, SITE)
    (problem,) = verify(centre).journal.problems
    assert problem.startswith(f"{SITE}: run uptime camera gate 1795406")
    assert "was edited: entry" in problem


def test_who_writes_the_digests_anew_is_found_by_the_reports(centre: Centre, engine: Engine) -> None:
    """What an evaluation wrote has a digest that anybody can compute; what it comes to is told by signed reports alone."""
    with engine.connect() as connection:
        number, body = connection.execute(text("SELECT number, body FROM evaluation")).one()
    value = json.loads(body)
    value["standing"] |= {"met": 99, "breached": 0}
    value["undetermined_since"], value["verdicts"] = [], "sha256:" + "0" * 64
    body = json.dumps(value)
    execute(engine, "UPDATE evaluation SET body = :body, digest = :d", body=body, d=_digest(SITE, number, body))
    execute(engine, "UPDATE institution SET met = 99, breached = 0")
    execute(engine, "UPDATE verdict SET outcome = 'met' WHERE outcome = 'breached'")
    found = verify(centre).verdicts
    assert found.unjudged is None
    assert f"{SITE}: the institution has another breached and another met than {AT} comes to" in found.problems
    assert f"{SITE}: verdict retention of camera/gate has another outcome than {AT} comes to" in found.problems


def test_a_verdict_on_an_edited_ledger_is_named(centre: Centre, engine: Engine) -> None:
    """The evaluation itself was honest: the rows that it read were not."""
    execute(engine, "UPDATE span SET end_at = end_at + 3600000 WHERE lane LIKE 'down%'")
    centre.clock.advance(60)
    evaluate(centre.context, SITE)
    found = verify(centre)
    assert found.ledger.problems
    assert any("verdict uptime of camera/gate has another" in item for item in found.verdicts.problems)


def test_reports_taken_away_with_all_that_counts_them(centre: Centre, engine: Engine) -> None:
    centre.clock.advance(60)
    evaluate(centre.context, SITE)
    execute(engine, "UPDATE agent SET reports = reports - 1")
    found = verify(centre).verdicts
    assert found.problems == [
        f"{SITE}: its evaluation at 2026-11-23T04:04:00Z had 5 reports of agent box, and 4 are there"
    ]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE report SET arrival = 1 WHERE sequence = 2", f"report 1 of boot {BOOT}, report 2 of boot {BOOT} came in as number 1"),
        ("UPDATE report SET arrival = 99 WHERE sequence = 2", f"report 2 of boot {BOOT} came in as number 99"),
        ("UPDATE report SET arrival = 0 WHERE sequence = 2", f"report 2 of boot {BOOT} came in as number 0"),
    ],
)  # fmt: skip
def test_an_edited_arrival_is_named(centre: Centre, engine: Engine, sql: str, said: str) -> None:
    assert execute(engine, sql) == 1
    (problem,) = verify(centre).agents[0].problems
    assert problem.startswith(said)


def _other_code(centre: Centre, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verify_verdicts, "judged_by", lambda: "sha256:another")


def _waiver(centre: Centre, _patch: pytest.MonkeyPatch) -> None:
    waiver = Waiver(
        subject=subject("camera/gate"), start_at=from_millis(NOW - HOUR), end_at=from_millis(NOW + DAY), by="x", reason="x"
    )  # fmt: skip
    with writing(centre.context.engine) as session:
        registry.add_waiver(session, SITE, waiver, NOW)


def _view(centre: Centre, _patch: pytest.MonkeyPatch) -> None:
    with reading(centre.context.engine) as session:
        (item,) = views.open_proposals(session, SITE)
    decide_view(centre.context, SITE, item.id, ViewMove.CONFIRM, "officer")


def _regulation(centre: Centre, _patch: pytest.MonkeyPatch) -> None:
    with writing(centre.context.engine) as session:
        registry.change_institution(session, Institution(id=SITE, name=SITE), "other-pack", NOW)


def _migrated(centre: Centre, _patch: pytest.MonkeyPatch) -> None:
    engine = centre.context.engine
    with reading(engine) as session:
        said = session.execute(text("SELECT reports, finding_id, number FROM finding_change")).all()
    downgrade(engine, "0009")
    migrate(engine)
    for reports, finding, number in said:  # the journal of a version of before doesn't tell them, and this one's does
        sql = "UPDATE finding_change SET reports = :reports WHERE finding_id = :finding AND number = :number"
        execute(engine, sql, reports=reports, finding=finding, number=number)


def _clock_set(centre: Centre, _patch: pytest.MonkeyPatch) -> None:
    execute(centre.context.engine, "UPDATE institution SET evaluate_due_at = 0")
    centre.clock.step(-3 * HOUR / SECOND)
    execute(centre.context.engine, "UPDATE institution SET evaluate_due_at = :at", at=NOW + HOUR)
    with writing(centre.context.engine) as session:  # its agent has said since that the clock is right
        note_offset(session, SITE, "box", 0, centre.context.now())
    assert bring_back(centre.context) > 0


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (_other_code, "another version of this program"), (_waiver, "something was decided since"),
        (_view, "something was decided since"), (_regulation, "something was decided since"),
        (_migrated, "before what is needed for it was kept"), (_clock_set, "clock was set back since"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_again_is_said_and_accuses_nobody(
    centre: Centre, engine: Engine, what: Callable[[Centre, pytest.MonkeyPatch], None], why: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        what(centre, patch)
        found = verify(centre)
        assert found.problems == []
        assert why in (found.verdicts.unjudged or "")
        if what not in (_migrated, _clock_set):  # then what was edited since is seen all the same
            execute(engine, "UPDATE verdict SET state = 'x' WHERE requirement = 'retention' AND subject_id = 'gate'")
            assert verify(centre).verdicts.problems == [f"{SITE}: the verdicts are others than {AT} wrote"]
    centre.clock.advance(60)
    evaluate(centre.context, SITE)
    found = verify(centre)
    assert (found.problems, found.verdicts.unjudged) == ([], None)


def test_what_the_store_had_before_the_migration_is_judged_after_the_next_evaluation(engine: Engine) -> None:
    """Reports of before have no number of arrival: they came before those that have."""
    made = make_centre(engine, *PACKS)
    made.add()
    made.see(declared(NOW - HOUR), span("camera/gate", "up", NOW - 10 * MINUTE, NOW))
    _migrated(made, pytest.MonkeyPatch())
    assert verify(made).problems == []
    made.see(span("camera/gate", "down", NOW, NOW + MINUTE, cause="refused"))
    made.clock.advance(90)
    evaluate(made.context, SITE)
    made.see(span("camera/gate", "up", NOW + MINUTE, NOW + 2 * MINUTE))
    found = verify(made)
    assert (found.problems, found.verdicts.unjudged) == ([], None)


def test_an_institution_that_was_never_evaluated(engine: Engine) -> None:
    made = make_centre(engine)
    made.add()
    found = verify(made)
    assert (found.problems, found.verdicts.evaluations, found.verdicts.unjudged) == ([], 0, None)
    execute(engine, "UPDATE institution SET met = 3")
    assert verify(made).verdicts.problems == [f"{SITE}: its counts were edited: it was never evaluated"]


def test_what_comes_in_while_it_is_judged_is_no_difference(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports, a view proposed and one decided on, between what an evaluation reads and what it writes."""
    whole = evaluation.assess
    seen: list[Any] = []

    def assess(*args: Any, **more: Any) -> Any:
        found = whole(*args, **more)
        if not seen:
            _view(centre, monkeypatch)
        centre.see(
            span("camera/gate", "down", NOW, NOW + 5 * MINUTE, cause="refused"), proposal(NOW + MINUTE, "b", "room1")
        )
        seen.append(found)
        return found

    monkeypatch.setattr(evaluation, "assess", assess)
    centre.clock.advance(60)
    evaluate(centre.context, SITE)
    assert verify(centre).problems == []
    monkeypatch.undo()
    evaluate(centre.context, SITE)
    found = verify(centre)
    assert (found.problems, found.verdicts.unjudged) == ([], None)


LATE = "9" * 32
"""A boot whose reports come late."""


class Life:
    """What may become of an institution, in any order. Whatever it is, its store is honest."""

    def __init__(self, engine: Engine, draw: Callable[[Any], Any]) -> None:
        self.centre, self.draw, self.number = make_centre(engine, *PACKS), draw, 0
        self.centre.add()
        self.boots = {BOOT: 0, LATE: 0}
        self.waiting: list[bytes] = []
        """Sealed, and not sent yet."""

    def at(self) -> int:
        """Return an instant a little before now, in whole seconds."""
        before: int = self.draw(st.integers(0, 5)) * 20 * SECOND
        return self.centre.context.now() // SECOND * SECOND - before

    def observation(self) -> Observation:
        """Return something that an agent may have seen."""
        at, camera = self.at(), self.draw(st.sampled_from(["gate", "room1"]))
        kind = self.draw(
            st.sampled_from(["span", "span", "index", "declared", "proposal", "clock", "disks", "refused", "agent"])
        )
        length = self.draw(st.integers(1, 4)) * 30 * SECOND
        if kind == "span":
            state = self.draw(st.sampled_from(["up", "down", "unknown"]))
            return span(f"camera/{camera}", state, at - length, at, cause=None if state == "up" else "refused")
        if kind == "agent":
            return span("agent/box", "up", at - length, at, kind=Kind.AGENT)
        if kind == "index":
            hole = (at - 3 * DAY, at - 3 * DAY + length)
            return index(camera, at, self.draw(st.sampled_from([36, 89, 95])), holes=[hole])
        if kind == "declared":
            return declared(at, {**INVENTORY, "cameras": INVENTORY["cameras"][: self.draw(st.integers(0, 2))]})
        if kind == "proposal":
            return proposal(at, self.draw(st.sampled_from("abc")), camera)
        if kind == "clock":
            return instant("recorder/nvr", Kind.CLOCK, at, {"offset_seconds": self.draw(st.sampled_from([0, 90]))})
        if kind == "disks":
            disks = [{"id": "1", "state": self.draw(st.sampled_from(["ok", "failed"])), "capacity_bytes": 10}]
            return instant("recorder/nvr", Kind.DISKS, at, {"disks": disks})
        return instant(f"camera/{camera}", Kind.RECORDINGS, at, {}, state="unknown")

    def sealed(self) -> bytes:
        """Return the next report of the agent, signed."""
        boot = self.draw(st.sampled_from([BOOT, BOOT, LATE]))
        self.boots[boot] += 1
        off = self.draw(st.sampled_from([0, 0, 0, 0, -5 * HOUR]))
        report = Report(
            institution=SITE, agent="box", boot=boot, sequence=self.boots[boot], monotonic_seconds=1.0, version="0.1.0",
            written_at=from_millis(self.centre.context.now() + off),
            observations=tuple(self.observation() for _ in range(self.draw(st.integers(1, 3)))),
        )  # fmt: skip
        return self.centre.agents[SITE].envelope(report.to_bytes())

    def send(self, envelopes: list[bytes]) -> None:
        agent = self.centre.agents[SITE]
        with contextlib.suppress(NotProved):  # kept back until its key was revoked: it is refused
            agent.hear(ingest(self.centre.context, envelopes))

    def report(self) -> None:
        self.send([self.sealed() for _ in range(self.draw(st.integers(1, 2)))])

    def keep_back(self) -> None:
        self.waiting.append(self.sealed())

    def send_late(self) -> None:
        if self.waiting:
            self.send([self.waiting.pop(self.draw(st.integers(0, len(self.waiting) - 1)))])

    def evaluate(self) -> None:
        evaluate(self.centre.context, SITE)

    def advance(self) -> None:
        self.centre.clock.advance(self.draw(st.sampled_from([0.001, 1, 60, 2000, 8000])))
        if self.draw(st.booleans()):
            note_listening(self.centre.context)
            note_clocks(self.centre.context)

    def step_back(self) -> None:
        self.centre.clock.step(-self.draw(st.sampled_from([1, 600, 90_000])))
        bring_back(self.centre.context)

    def change_pack(self) -> None:
        with writing(self.centre.context.engine) as session:
            other = self.draw(st.sampled_from(["test-pack", "other-pack"]))
            registry.change_institution(session, Institution(id=SITE, name=SITE), other, self.centre.context.now())

    def approve(self) -> None:
        with writing(self.centre.context.engine) as session:
            registry.approve_inventory(session, Inventory.model_validate(INVENTORY))

    def waive(self) -> None:
        now = self.centre.context.now()
        waiver = Waiver(
            subject=subject("camera/gate"), start_at=from_millis(now - HOUR), end_at=from_millis(now + HOUR), by="x", reason="x"
        )  # fmt: skip
        with writing(self.centre.context.engine) as session:
            registry.add_waiver(session, SITE, waiver, now)

    def decide(self) -> None:
        with reading(self.centre.context.engine) as session:
            found = views.open_proposals(session, SITE)
        for item in found[:1]:
            move = self.draw(st.sampled_from([ViewMove.CONFIRM, ViewMove.REJECT]))
            decide_view(self.centre.context, SITE, item.id, move, "officer", settles=self.draw(st.booleans()))

    def enrol_again(self) -> None:
        if self.draw(st.booleans()):
            revoke(self.centre.context, SITE, "box")
        before = self.centre.agents[SITE]
        self.centre.agents[SITE] = type(before).enrolled(self.centre.context, SITE)
        self.centre.agents[SITE].after = before.after


STEPS = (
    *[Life.report] * 6, *[Life.evaluate] * 5, *[Life.advance] * 5, *[Life.keep_back] * 2, *[Life.send_late] * 2,
    Life.change_pack, Life.approve, Life.waive, Life.decide, Life.decide, Life.step_back, Life.enrol_again,
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_an_honest_store_is_never_accused(engine: Engine, data: st.DataObject) -> None:
    """Reports, late ones, evaluations, packs, decisions, keys and clocks in any order."""
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitor.store.instants.COMPACT_AFTER", 1)
        patch.setattr("monitor.store.indexes._BODIES", 2)
        patch.setattr("monitor.store.rebuilt._PAGE", 2)
        life = Life(engine, data.draw)
        life.send([life.sealed()])
        for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=5, max_size=30)):
            step(life)
        last = data.draw(st.sampled_from(["evaluated", "as it is", "with a late report"]))
        if last != "as it is":
            life.evaluate()
            if last == "with a late report":
                life.report()
        found = verify(life.centre)
        assert found.problems == []
        if last != "as it is":
            assert found.verdicts.unjudged is None
        with reading(engine) as session:
            (kept,) = agents_of(session, SITE)
        assert mend_chain(life.centre.context, SITE, "box").agent == kept
