"""What comes after a finding changes nothing of what it stood on: its bundle holds, and says what was so then."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from monitor.collector.evaluate import evaluate, verdicts_as_of
from monitor.collector.evidence import export_evidence
from monitor.evidence.bundle import Bundle
from monitor.evidence.check import Result, check_bundle
from monitor.model.regulation import Regulation
from monitor.store.engine import reading
from monitor.store.findings import FindingRow, finding_rows
from support.centre import NOW, Centre, declared, index, make_centre, span
from support.packs import pack
from support.signing import SigningAgent

PACK = pack(retention={"confirm_after": "0s"})


@pytest.fixture
def centre(engine: Engine) -> Centre:
    centre = make_centre(engine, PACK)
    centre.add()
    return centre


def short_of_days(centre: Centre) -> None:
    """Let a camera be found that holds 36 days."""
    centre.see(declared(NOW - 3_600_000))
    centre.clock.advance(60)
    centre.see(span("camera/gate", "up", NOW - 60_000, NOW), index("gate", NOW, 36))
    centre.clock.advance(60)
    evaluate(centre.context, "wj-0001")
    centre.clock.advance(60)


def found(centre: Centre, requirement: str) -> FindingRow:
    with reading(centre.context.engine) as session:
        (row,) = [item for item in finding_rows(session) if item.requirement == requirement]
    return row


def exported(centre: Centre, requirement: str, folder: Path) -> Result:
    """Export the one finding of a requirement, and check its bundle."""
    row = found(centre, requirement)
    path = folder / f"{len(list(folder.iterdir()))}.zip"
    export_evidence(centre.context, row.id, path)
    return check_bundle(Bundle(path))


def test_the_silence_of_an_agent_that_never_reported_stays_after_it_was_enrolled_again(
    centre: Centre, tmp_path: Path
) -> None:
    centre.clock.advance(7200)
    evaluate(centre.context, "wj-0001")
    silent = centre.context.now()
    centre.clock.advance(60)
    before = exported(centre, "agent_silence", tmp_path)
    SigningAgent.enrolled(centre.context, "wj-0001")
    after = exported(centre, "agent_silence", tmp_path)
    assert (after.fails, after.holds) == ([], before.holds)
    with reading(centre.context.engine) as session:
        (verdict,) = verdicts_as_of(session, "wj-0001", silent, centre.context.packs)
    assert (verdict.state, verdict.began) == ("silent", NOW)
