"""The centre is told that an agent's clock was set back, or its own is: what was told twice is unknown, and the index may settle it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from agents.run import clock_set
from monitor.collector.evaluate import evaluate
from monitor.collector.evidence import export_evidence
from monitor.collector.verify import verify_institution
from monitor.evidence.bundle import Bundle
from monitor.evidence.check import check_bundle
from monitor.model.ledger import fold
from monitor.model.observation import Subject
from monitor.model.span import HOUR
from monitor.store.engine import reading
from monitor.store.findings import finding_rows
from monitor.store.told import load_told
from support.centre import NOW, declared, index, make_centre, span
from support.packs import pack


def test_an_outage_told_before_the_clock_went_back_does_not_vanish(engine: Engine) -> None:
    centre = make_centre(engine)
    centre.add()
    centre.see(declared(NOW - 5 * HOUR), span("camera/gate", "up", NOW - 3 * HOUR, NOW - 2 * HOUR))
    centre.see(span("camera/gate", "down", NOW - 2 * HOUR, NOW - HOUR, cause="refused"))
    step = clock_set(Subject(kind="agent", id="box"), NOW - HOUR, NOW - 2 * HOUR)
    centre.see(step, span("camera/gate", "up", NOW - 2 * HOUR, NOW))
    evaluate(centre.context, "wj-0001")
    with reading(centre.context.engine) as session:
        told = load_told(session, "wj-0001", NOW)
    facts = fold(told.observations, NOW, stretches=told.stretches, twice=told.twice)
    assert facts is not None
    spans: list[tuple[Any, ...]] = [(s.state, s.cause, s.start - NOW, s.end - NOW) for s in facts.streams["gate"].spans]
    assert spans == [
        ("up", None, -3 * HOUR, -2 * HOUR),
        ("unknown", "clock_set", -2 * HOUR, -HOUR),
        ("up", None, -HOUR, 0),
    ]
    assert not facts.agents["box"].spans, "that the clock was set doesn't say how the agent was"
    found = verify_institution(centre.context, "wj-0001")
    assert (found.ledger.problems, found.findings.problems) == ([], [])


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_bundle_stands_on_the_reports_that_its_finding_stood_on_whatever_time_they_are_noted_at(
    engine: Engine, tmp_path: Path, ahead: int
) -> None:
    """The centre's clock is set right after a word was given, or before the next report: one is noted after the finding, or before it."""
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.clock.advance(max(ahead, 0))
    centre.add()
    centre.clock.advance(60 - max(ahead, 0))
    centre.see(declared(NOW - HOUR), index("gate", NOW, 36))
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    with reading(engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == "retention"]
    centre.clock.advance(min(ahead, 0) + 1)
    centre.see(index("gate", NOW + 30_000, 20))
    export_evidence(centre.context, row.id, tmp_path / "b.zip")
    found = check_bundle(Bundle(tmp_path / "b.zip"))
    assert found.fails == []
    noted = [item for item in found.notes if "1 report came in before the reading and not after it, or" in item]
    assert len(noted) == (ahead > 0), "what came in later is in no bundle unless something follows it"
    assert row.measured["held_days"] == 35


def test_a_bundle_of_a_silence_tells_when_the_agent_was_last_heard_by_then_whatever_time_a_later_report_is_noted_at(
    engine: Engine, tmp_path: Path
) -> None:
    """The centre's clock is set back before the agent reports again: that report is noted at a time before the finding."""
    centre = make_centre(engine)
    centre.add()
    centre.see(declared(NOW - HOUR))
    centre.clock.advance(7200)
    evaluate(centre.context, "wj-0001")
    with reading(engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == "agent_silence"]
    centre.clock.advance(-3600)
    centre.see(span("camera/gate", "up", NOW, NOW + 1000))
    export_evidence(centre.context, row.id, tmp_path / "b.zip")
    assert check_bundle(Bundle(tmp_path / "b.zip")).fails == []
