"""An evaluation goes by what had come in by its instant, whatever comes in beside it: who computes it again does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from monitor.collector import evaluate as evaluating
from monitor.collector import evidence
from monitor.collector import ingest as ingesting
from monitor.collector.evaluate import evaluate
from monitor.collector.evidence import export_evidence
from monitor.evidence.bundle import Bundle
from monitor.evidence.check import check_bundle
from monitor.model.span import HOUR
from monitor.store.agents import hold_institutions
from monitor.store.engine import reading, writing
from monitor.store.findings import Reading, change_finding, changes_of, finding_rows
from monitor.store.tables import ReportRow
from support.centre import NOW, declared, index, make_centre, span
from support.packs import pack


def test_a_report_that_comes_in_while_an_institution_is_judged_counts_next_time(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.add()
    centre.see(declared(NOW - HOUR))
    centre.see(index("gate", NOW, 36))
    centre.clock.advance(60)
    assess = evaluating.assess

    def beside(*args: Any) -> Any:
        centre.clock.advance(1)
        centre.see(index("gate", NOW + 1000, 20), span("camera/gate", "up", NOW, NOW + 1000))
        return assess(*args)

    monkeypatch.setattr(evaluating, "assess", beside)
    evaluate(centre.context, "wj-0001")
    with reading(engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == "retention"]
    export_evidence(centre.context, row.id, tmp_path / "b.zip")
    assert check_bundle(Bundle(tmp_path / "b.zip")).fails == []
    assert row.measured["held_days"] == 35


def test_a_bundle_is_of_one_moment_whatever_is_judged_while_it_is_exported(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = make_centre(engine, pack(retention={"confirm_after": "0s"}))
    centre.add()
    centre.see(declared(NOW - HOUR), index("gate", NOW, 36))
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    with reading(engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == "retention"]

    def beside(*args: Any) -> Any:
        with writing(engine) as session:
            ended = Reading(centre.context.now(), "short", row.began, NOW + 1000, "Over.", {}, [])
            change_finding(session, "wj-0001", row.id, ended)
        return changes_of(*args)

    monkeypatch.setattr(evidence, "changes_of", beside)
    export_evidence(centre.context, row.id, tmp_path / "b.zip")
    assert check_bundle(Bundle(tmp_path / "b.zip")).fails == []


def test_a_report_comes_in_when_it_is_its_turn(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it waits for may be an evaluation, which has gone by what was there."""
    centre = make_centre(engine)
    centre.add()

    def wait(*args: Any) -> Any:
        held = hold_institutions(*args)
        centre.clock.advance(5)
        return held

    monkeypatch.setattr(ingesting, "hold_institutions", wait)
    centre.see(span("camera/gate", "up", NOW - 1000, NOW))
    with reading(engine) as session:
        assert session.scalars(select(ReportRow.received_at)).all() == [NOW + 5000]
